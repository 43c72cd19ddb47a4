"""The first row of a table: names of the columns, or data."""

import pytest

from data.sources.tables.headers import judge

IRIS = [
    ["5.0", "3.3", "1.9", "0.2", "setosa"],
    ["7.0", "2.8", "5.3", "2.0", "virginica"],
    ["5.1", "3.0", "1.6", "0.2", "setosa"],
    ["4.9", "3.6", "1.4", "0.1", "setosa"],
]


def _rows(count: int, *columns) -> list[list[str]]:
    """Returns rows of which each column is a function of the row's number."""
    return [[str(column(number)) for column in columns] for number in range(count)]


def _letters(letters: str):
    return lambda number: letters[number * 7 % len(letters)]


YES_OR_NO = _letters(["no", "yes"])


def test_numbers_above_numbers_and_a_class_above_classes_are_data():
    verdict = judge(IRIS[0], IRIS[1:])

    assert verdict.kind == "data"
    assert verdict.reason == (
        "'5.0', '3.3', '1.9' and 1 more: a number above numbers like it; "
        "'setosa': a value that occurs again in its column"
    )


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        # Letters only, like UCI's mushrooms.
        (["p", "x", "x"], _rows(60, _letters("pe"), _letters("xyz"), _letters("sx"))),
        # Distinct values in one column, the first number of another is missing.
        (["Ann", "", "4.5", "no"], _rows(60, lambda i: f"name {i}", lambda i: i, lambda i: i / 3, YES_OR_NO)),
        (["2024-03-01", "17"], _rows(60, lambda i: f"2024-02-{i % 28 + 1:02}", lambda i: i)),
        (["-1,5", "x"], _rows(60, lambda i: f"{i - 30},25", _letters("xy"))),
    ],
)  # fmt: skip
def test_a_row_like_those_below_is_data(names, rows):
    assert judge(names, rows).kind == "data"


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (["x", "label"], _rows(60, lambda i: i / 7, YES_OR_NO)),
        (["text", "label"], _rows(60, lambda i: f"sentence {i}", _letters("ab"))),
        (["question", "answer"], _rows(60, lambda i: f"question {i}", lambda i: f"answer {i}")),
        (["", "x"], _rows(60, lambda i: i, lambda i: i / 3)),  # row numbers, as R and pandas write them
        (["day", "sales"], _rows(60, lambda i: f"2024-02-{i % 28 + 1:02}", lambda i: i)),
        # Years above inhabitants in millions, wavelengths above shares: no such number stands below.
        (["country", "2019", "2020"], _rows(60, lambda i: f"country {i}", lambda i: i / 3, lambda i: i / 4)),
        (["400.5", "410.5", "420.5"], _rows(60, lambda i: i / 60, lambda i: i / 70, lambda i: i / 80)),
        # Concatenated files, each with its header.
        (["x", "label"], [*_rows(9, lambda i: i, YES_OR_NO), ["x", "label"], *_rows(9, lambda i: i, YES_OR_NO)]),
        (["x", "y"], []),
    ],
)  # fmt: skip
def test_names_of_columns_are_a_header(names, rows):
    assert judge(names, rows).kind == "header"


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        # Years, and the indices of pixels, above numbers of the same range.
        (["shop", "2019", "2020"], _rows(60, lambda i: f"shop {i}", lambda i: i * 90, lambda i: i * 95)),
        (["0", "1", "2", "3"], _rows(60, lambda i: i, lambda i: i * 2, lambda i: i * 3, lambda i: i * 4)),
        # Sorted columns: the first row lies just below the others.
        (["1", "10"], _rows(60, lambda i: i + 2, lambda i: i + 11)),
        (["x", "", "z"], _rows(60, lambda i: f"a{i}", lambda i: f"b{i}", lambda i: f"c{i}")),
    ],
)
def test_numbers_that_may_be_names_are_unclear(names, rows):
    verdict = judge(names, rows)

    assert verdict.kind == "unclear"
    assert verdict.reason
