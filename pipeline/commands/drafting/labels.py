"""Infers which column of a table is the label, by the names and values of the columns."""

import re
from collections.abc import Mapping

from data.inference.facts import Column
from data.inference.guesses import MAX_CLASSES, guess_label, is_identifier
from data.kinds.boolean import BOOLEANS
from data.spec import LabelFeature

# Names of labels that mean nothing else.
LABELS = {
    "label", "labels", "target", "targets", "outcome", "ground_truth", "class_label", "target_class", "y_true",
    "target_variable", "dependent_variable", "zielvariable", "zielgröße", "etiqueta", "étiquette", "cible", "objetivo",
    "метка", "标签", "标记", "ラベル", "目的変数", "레이블",
}  # fmt: skip
# Names that may be of a label, or of a class of wagons or courses; in the first or last column they are of the label.
CLASSES = {"class", "classes", "klasse", "classe", "clase", "класс", "类别", "クラス", "클래스", "y"}
# Names of columns that are usually the label of their table.
USUAL = {
    "approved", "attrition", "churn", "churned", "clicked", "converted", "default", "defaulted", "diabetes",
    "diagnosis", "died", "disease", "exited", "failure", "fraud", "income", "is_fraud", "medv", "mpg", "price",
    "quality", "salary", "sentiment", "spam", "species", "subscribed", "survived", "toxic", "variety", "wage",
}  # fmt: skip
# Names of columns that may be the label.
POSSIBLE = {
    "amount", "category", "charges", "cost", "count", "demand", "fare", "grade", "rating", "rent", "response", "result",
    "revenue", "sales", "score", "stars", "status", "type", "value",
}  # fmt: skip
# Names of columns that are rarely the label: places, sizes, times and persons.
INPUTS = {
    "age", "city", "country", "date", "day", "depth", "gender", "height", "hour", "id", "lat", "latitude", "length",
    "lng", "lon", "longitude", "month", "name", "region", "row", "sex", "split", "state", "time", "weekday", "weight",
    "width", "x", "year", "z", "zip",
}  # fmt: skip
AXIS = "x"  # stands for y in a table with x or z
# Points for a name that is in the title of the table, and for the last and the first column.
TITLE_POINTS, LAST_POINTS, FIRST_POINTS = 5, 2, 1


def unambiguous(columns: Mapping[str, Column]) -> str | None:
    """Returns the only column with an unambiguous name of a label; None if there is none, or if there are several."""
    normalized = {name: _normalized(name, columns) for name in columns}
    candidates = [name for name in columns if normalized[name] in LABELS | CLASSES]
    if len(candidates) != 1:
        return None
    (name,) = candidates
    others = any(normalized[other] in USUAL | POSSIBLE for other in columns if other != name)
    return name if normalized[name] in LABELS or (name in _edges(columns) and not others) else None


def by_likelihood(columns: Mapping[str, Column], table_name: str = "") -> list[str]:
    """Returns the columns that can be predicted, the likeliest label first; with equal points the later column first.

    Args:
        columns: Name -> all columns.
        table_name: Name of the table; its words count, as churn.csv is likely about churn.
    """
    first, last = _edges(columns)
    title = set(_snake_case(table_name).split("_"))
    scored = []
    for position, (name, column) in enumerate(columns.items()):
        normalized = _normalized(name, columns)
        if _is_usable(column, normalized):
            points = _points_of_name(normalized) + _points_of_values(column)
            points += TITLE_POINTS * bool(title & set(normalized.split("_")))
            points += LAST_POINTS if name == last else FIRST_POINTS if name == first else 0
            scored.append((points, position, name))
    return [name for *_, name in sorted(scored, reverse=True)]


def _is_usable(column: Column, normalized: str) -> bool:
    feature = guess_label(column).feature
    has_too_many_classes = (
        isinstance(feature, LabelFeature) and len(feature.classes) > MAX_CLASSES and normalized not in LABELS
    )
    return (
        feature is not None
        and not has_too_many_classes
        and not column.is_date
        and not column.is_text
        and not is_identifier(column)
    )


def _points_of_name(normalized: str) -> int:
    """Returns the points, from -4 to 10, that a column gets as a label for its name."""
    name_words = set(normalized.split("_"))
    points = [0]
    for names, full_points in ((LABELS, 10), (CLASSES, 7), (USUAL, 6), (POSSIBLE, 4)):
        points.append(full_points if normalized in names else full_points // 2 + 1 if name_words & names - {"y"} else 0)
    return max(points) - 4 * (normalized in INPUTS)


def _points_of_values(column: Column) -> int:
    """Returns the points that a column gets as a label for its values.

    3 for yes and no, 2 for two other values, 1 for up to 10 values or for fractions, else 0.
    """
    if column.distinct == 2:
        is_answer = not column.is_number and all(value.lower() in BOOLEANS for value in column.values)
        return 3 if is_answer else 2
    return 1 if column.distinct <= 10 or column.integers != column.rows else 0


def _edges(columns: Mapping[str, Column]) -> tuple[str, str]:
    """Returns the first and the last column that have values and are no identifiers."""
    names = [name for name, column in columns.items() if column.rows and not is_identifier(column)] or list(columns)
    return names[0], names[-1]


def _normalized(name: str, columns: Mapping[str, Column]) -> str:
    """Returns a name in snake case, tip_amount for Tip Amount; AXIS for y in a table with x or z."""
    normalized = _snake_case(name)
    return AXIS if normalized == "y" and any(other.strip().lower() in ("x", "z") for other in columns) else normalized


def _snake_case(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return re.sub(r"[\W_]+", "_", spaced).strip("_").lower()
