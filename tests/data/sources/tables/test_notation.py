"""Numbers and dates in a notation that is not read yet are recognised, and nothing else is taken for one."""

import pytest

from data.sources.tables.notation import unread


@pytest.mark.parametrize(
    "cell",
    [
        "183,6",
        "1.298,67",
        "28%",
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
def test_numbers_in_another_notation_are_told_with_an_example(cell):
    found = unread([cell, "7"])

    assert found.remedy == "convert them in the data, to such as 1234.5"
    assert found.looks == f"its cells look like numbers in a notation that is not read yet, such as {cell!r}"


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
def test_dates_in_another_notation_are_told_with_an_example(cell):
    found = unread([cell])

    expected = f"its cells look like dates or times in a notation that is not read yet, such as {cell!r}"
    assert (found.looks, found.remedy) == (expected, "convert them in the data, to such as 2024-01-31")


@pytest.mark.parametrize(
    "cell", ["abc", "A12", "25-34", "1.2.3", "192.168.1.1", "Maria 12", "12 Main", "K", "10.5", ""]
)
def test_what_is_neither_or_is_read_is_not_told(cell):
    assert unread([cell]) is None


def test_words_among_numbers_are_told_elsewhere():
    assert unread(["1,5", "low", "high", "none given"]) is None
