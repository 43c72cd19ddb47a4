from datetime import date

import pytest

from data.inference import choose_label, guess_input, guess_label, survey


def _column(cells):
    return survey({"c": cell} for cell in cells)["c"]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1.5", "2", "-3e4"] * 10, "number"),
        ([1, 2.5, None] * 10, "number"),
        (["yes", "no", "", "yes"] * 10, "boolean"),
        ([True, False] * 10, "boolean"),
        (["2024-01-31", "2023-12-01"] * 10, "date"),
        (["31.01.2024 10:00", "01.12.2023 23:59"] * 10, "date"),
        ([date(2024, 1, 31), date(2023, 2, 1)] * 10, "date"),
        (["rot", "grün", "青"] * 10, "category"),
        ([f"this is remark number {i} of a customer" for i in range(50)], "text"),
        (["12", "13", "14", "15", "16", "unbekannt"] * 10, "category"),
    ],
)
def test_a_column_is_told_by_its_cells(cells, kind):
    assert guess_input(_column(cells)).feature.kind == kind


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ([f"{i:08x}-a" for i in range(100)], "an identifier"),
        (list(range(1, 101)), "an identifier"),
        (["same"] * 30, "every row has 'same'"),
        (["", None, "NA"] * 10, "no row has a value"),
        ([f"name {i}" for i in range(30)] + [f"name {i}" for i in range(10)], "30 different values in 40 rows"),
    ],
)
def test_what_cannot_help_is_left_out_with_its_reason(cells, reason):
    guess = guess_input(_column(cells))

    assert guess.feature is None
    assert reason in guess.reason


def test_cells_that_say_nothing_make_a_column_optional_and_their_words_are_kept():
    column = _column(["1", "NA", "?", "2"] * 10)

    assert guess_input(column).feature.optional
    assert dict(column.nothing) == {"NA": 10, "?": 10}
    assert not guess_input(_column(["1", "2"] * 10)).feature.optional


def test_a_day_that_may_be_a_month_is_a_date_to_be_looked_at():
    guess = guess_input(_column(["01/02/2024", "03/04/2024"] * 10))

    assert guess.feature.kind == "date"
    assert guess.unsure


def test_seconds_since_1970_are_a_date_where_the_name_says_so():
    records = [{"created_at": 1_700_000_000 + i * 977, "amount": 1_700_000_000 + i * 977} for i in range(40)]
    columns = survey(records)

    assert guess_input(columns["created_at"]).feature.format == "unix"
    assert guess_input(columns["amount"]).feature.kind == "number"


@pytest.mark.parametrize(
    ("cells", "kind", "classes"),
    [
        (["ham"] * 20 + ["spam"] * 10, "label", ("ham", "spam")),
        (["yes"] * 20 + ["no"] * 10, "label", ("no", "yes")),  # yes is what is looked for, though it is not rarer
        (["1", "0"] * 10, "label", ("0", "1")),
        (["2", "10", "1"] * 10, "label", ("1", "2", "10")),
        (["кот", "собака", "кот"] * 10, "label", ("кот", "собака")),
        ([str(i / 7) for i in range(40)], "target", None),
        ([str(i) for i in range(40)], "target", None),
    ],
)
def test_what_is_predicted_is_classes_or_a_number(cells, kind, classes):
    feature = guess_label(_column(cells)).feature

    assert feature.kind == kind
    assert classes is None or feature.classes == classes


def test_the_label_is_chosen_by_name_and_else_the_last_that_can_be_one():
    named = survey([{"a": i % 3, "Target": i % 2, "b": i % 5} for i in range(30)])
    unnamed = survey([{"a": i % 3, "b": "xy"[i % 2], "row id": i} for i in range(30)])

    assert choose_label(named) == ("Target", False)
    assert choose_label(unnamed) == ("b", True)
