"""Inference of the label by the names and values of the columns."""

import pytest

from data.inference.facts import survey
from pipeline.commands.drafting import labels
from tests.data.as_block import block_of_rows


def _table(*names: str, rows: int = 60):
    """Returns columns of numbers with one decimal; one called `name:k` has k different words instead."""
    cells = {}
    for position, name in enumerate(names):
        key, _, values = name.partition(":")
        cells[key] = [f"word {i % int(values)}" if values else (i * 7 + position) % 31 / 10 for i in range(rows)]
    return survey([block_of_rows({key: column[row] for key, column in cells.items()} for row in range(rows))])


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (("a", "Target:2", "b"), "Target"),
        (("label:2", "a", "b"), "label"),
        (("a", "b", "class:3"), "class"),
        (("X1", "X2", "y:2"), "y"),
        (("a", "outcome:2", "category:3"), "outcome"),
        (("a", "标签:2"), "标签"),
    ],
)
def test_the_only_column_with_an_unambiguous_name_is_the_label(names, label):
    assert labels.unambiguous(_table(*names)) == label


@pytest.mark.parametrize(
    "names",
    [
        ("carat", "cut:5", "color:7", "price", "x", "y", "z"),  # y is a size in mm
        ("x", "y"),
        ("survived:2", "pclass:3", "class:3", "age"),  # the class of a cabin
        ("age", "class:2", "fare"),  # in the middle
        ("a", "category:2"),
        ("a", "result:2", "category:3"),
        ("label:2", "target:2", "a"),
        ("rooms", "price"),
    ],
)
def test_ambiguous_names_infer_no_label(names):
    assert labels.unambiguous(_table(*names)) is None


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (("carat", "cut:5", "color:7", "depth", "table", "price", "x", "y", "z"), "price"),
        (("PassengerId", "Survived:2", "Pclass:3", "Sex:2", "Age", "Fare"), "Survived"),
        (("longitude", "latitude", "rooms", "median_house_value", "ocean_proximity:5"), "median_house_value"),
        (("customerID", "gender:2", "tenure", "MonthlyCharges", "Churn:2"), "Churn"),
        (("species:3", "island:3", "bill_length_mm", "sex:2", "year"), "species"),
        (("review_text:60", "sentiment:2"), "sentiment"),
    ],
)
def test_the_likeliest_label_comes_first(names, label):
    assert labels.by_likelihood(_table(*names))[0] == label


def test_the_name_of_the_table_and_yes_or_no_values_count_for_a_label():
    columns = _table("Age", "Attrition", "MonthlyIncome", "PerformanceRating:2", "PercentSalaryHike")
    assert labels.by_likelihood(columns, table_name="hr_attrition")[0] == "Attrition"

    yes_or_no_columns = survey([block_of_rows({"Returned": ("Yes", "No")[i % 2], "a": i % 2} for i in range(60))])
    ranking = labels.by_likelihood(_table("b:2") | yes_or_no_columns | _table("c:2"))
    assert ranking.index("Returned") < ranking.index("a")  # a is the later, which wins among equals


def test_columns_that_cannot_be_predicted_are_not_offered():
    columns = _table("a", "colour:3")
    columns |= survey([block_of_rows({"id": i, "day": f"2024-01-{i % 28 + 1:02}", "same": "x"} for i in range(60))])
    columns |= survey([block_of_rows({"note": f"a remark of several words, the {i}th of them"} for i in range(60))])

    assert sorted(labels.by_likelihood(columns)) == ["a", "colour"]
