"""The notation of numbers and dates is recognised, supported or not, and other texts are not taken for either."""

import pytest

from data.numerals import PLAIN, Notation
from data.sources.tables.notation import (
    MostlyNumbers,
    common,
    find_unsupported,
    read_differently,
    recognise,
    recognise_most,
)


@pytest.mark.parametrize(
    ("cells", "unit", "first"),
    [
        (["1.5", "-3", "1e5"], "", "."),
        (["183,6", "7"], "", ","),
        (["1.298,67", "1.000.000"], "", ",."),
        (["1,298.67", "5"], "", ".,"),
        (["1 234,5"], "", ", "),
        (["1\u00a0234"], "", ", "),
        (["1'234.50"], "", ".'"),
        (["3,0 %", "12 %"], "%", ","),
        (["\u20ac 12", "\u20ac 13.50"], "\u20ac", "."),
        (["12 kg", "13"], "kg", "."),
        (["\u22125"], "", "."),
    ],
)
def test_the_likeliest_notation_in_which_all_cells_are_numbers_is_recognised(cells, unit, first):
    number_format = recognise(cells)

    assert (number_format.unit, number_format.notations[0]) == (unit, Notation(*first))


@pytest.mark.parametrize(
    "cells",
    [
        [],
        ["a", "1"],
        ["3%", "0.03"],  # the second is ambiguous
        ["12 kg", "12 lb"],
        ["1,23", "1.5"],
        ["1,2,3"],
        ["(12.50)"],
        ["1_000"],
        ["192.168.1.1"],
    ],
)
def test_cells_without_a_common_notation_and_unit_are_not_numbers(cells):
    assert recognise(cells) is None


def test_columns_of_a_table_share_a_notation_and_an_ambiguous_cell_is_found():
    prices, counts, small = recognise(["1.234,50"]), recognise(["1.234", "7"]), recognise(["1.5"])

    assert common([prices, counts]) == (Notation(",", "."),)
    assert common([counts])[0] == PLAIN
    assert common([prices, small]) == ()
    assert read_differently(["7", "1.234"], PLAIN, Notation(",", ".")) == "1.234"
    assert read_differently(["7", "12"], PLAIN, Notation(",", ".")) is None


@pytest.mark.parametrize(
    "cell",
    [
        "183,6",
        "1.298,67",
        "€ 12",
        "12.50 €",
        "1 234,5",
        "1\u00a0234",
        "1'234.50",
        "(12.50)",
        "\u22125",
        "12 kg",
        "1_000",
    ],
)
def test_numbers_in_an_unsupported_notation_are_reported_with_an_example(cell):
    unsupported = find_unsupported([cell, "7"])

    assert unsupported.remedy == "convert them in the data, to such as 1234.5"
    assert (
        unsupported.description == f"its cells look like numbers in a notation that is not read yet, such as {cell!r}"
    )


@pytest.mark.parametrize(
    "cell",
    [
        "3. März 2024",
        "March 3rd, 2024",
        "03-Jan-24",
        "2024-03",
        "2024 Q1",
        "10:35 PM",
        "31-12-24",
        "2024年3月1日",
        "Jan 2024",
    ],
)
def test_dates_in_an_unsupported_format_are_reported_with_an_example(cell):
    unsupported = find_unsupported([cell])

    expected = f"its cells look like dates or times in a notation that is not read yet, such as {cell!r}"
    assert (unsupported.description, unsupported.remedy) == (
        expected,
        "convert them in the data, to such as 2024-01-31",
    )


@pytest.mark.parametrize(
    "cell", ["abc", "A12", "25-34", "1.2.3", "192.168.1.1", "Maria 12", "12 Main", "K", "10.5", ""]
)
def test_supported_formats_and_other_texts_are_not_reported(cell):
    assert find_unsupported([cell]) is None


def test_numbers_mixed_with_words_have_no_unsupported_format():
    assert find_unsupported(["1,5", "low", "high", "none given"]) is None


def test_numbers_with_a_few_other_cells_have_a_format_and_the_other_cells():
    cells = ["1,5", "2,25", "1.234,5", "7", "k.A."]

    assert recognise_most(cells) == MostlyNumbers(Notation(",", "."), "", ("k.A.",))
    assert recognise_most(cells[:4]) is None  # all are numbers
    assert recognise_most(["1,5", "2,5", "low", "high"]) is None
    assert recognise_most(["1,5", "2,5", "3,5", "4,5", "0.098,67"]) is None  # a number, too
