"""Which column of a table is to be predicted: clear by its name, else the likeliest."""

import re
from collections.abc import Mapping

from data.inference.facts import Column
from data.inference.guesses import MAX_CLASSES, guess_label, is_identifier
from data.kinds.boolean import BOOLEANS
from data.spec import LabelFeature

# What a column is called that is to be predicted, and nothing else.
LABELS = {
    "label", "labels", "target", "targets", "outcome", "ground_truth", "class_label", "target_class", "y_true",
    "target_variable", "dependent_variable", "zielvariable", "zielgröße", "etiqueta", "étiquette", "cible", "objetivo",
    "метка", "标签", "标记", "ラベル", "目的変数", "레이블",
}  # fmt: skip
# What labels are called as often as classes of wagons and courses; at the edge of a table it is the label.
CLASSES = {"class", "classes", "klasse", "classe", "clase", "класс", "类别", "クラス", "클래스", "y"}
# What is mostly predicted where it is there.
USUAL = {
    "approved", "attrition", "churn", "churned", "clicked", "converted", "default", "defaulted", "diabetes",
    "diagnosis", "died", "disease", "exited", "failure", "fraud", "income", "is_fraud", "medv", "mpg", "price",
    "quality", "salary", "sentiment", "spam", "species", "subscribed", "survived", "toxic", "variety", "wage",
}  # fmt: skip
# What may be predicted.
POSSIBLE = {
    "amount", "category", "charges", "cost", "count", "demand", "fare", "grade", "rating", "rent", "response", "result",
    "revenue", "sales", "score", "stars", "status", "type", "value",
}  # fmt: skip
# What is rarely predicted: places, sizes, times and who somebody is.
INPUTS = {
    "age", "city", "country", "date", "day", "depth", "gender", "height", "hour", "id", "lat", "latitude", "length",
    "lng", "lon", "longitude", "month", "name", "region", "row", "sex", "split", "state", "time", "weekday", "weight",
    "width", "x", "year", "z", "zip",
}  # fmt: skip
AXIS = "x"  # what y is beside x or z
# What speaks for a label beside the words of its name and its values: what the table is called, its place.
TITLE_POINTS, LAST_POINTS, FIRST_POINTS = 5, 2, 1


def clear(columns: Mapping[str, Column]) -> str | None:
    """Returns the one column whose name leaves no doubt that it is to be predicted; None where there is no such one."""
    words = {name: _words(name, columns) for name in columns}
    named = [name for name in columns if words[name] in LABELS | CLASSES]
    if len(named) != 1:
        return None
    (name,) = named
    others = any(words[other] in USUAL | POSSIBLE for other in columns if other != name)
    return name if words[name] in LABELS or (name in _edges(columns) and not others) else None


def ranked(columns: Mapping[str, Column], about: str = "") -> list[str]:
    """Returns the columns that can be predicted, the likeliest first; of equal ones the later.

    Args:
        columns: All columns.
        about: What the table is called: churn.csv is likely about churn.
    """
    first, last = _edges(columns)
    title = set(_separated(about).split("_"))
    scored = []
    for place, (name, column) in enumerate(columns.items()):
        words = _words(name, columns)
        if _is_usable(column, words):
            points = _points_of_name(words) + _points_of_values(column)
            points += TITLE_POINTS * bool(title & set(words.split("_")))
            points += LAST_POINTS if name == last else FIRST_POINTS if name == first else 0
            scored.append((points, place, name))
    return [name for *_, name in sorted(scored, reverse=True)]


def _is_usable(column: Column, words: str) -> bool:
    feature = guess_label(column).feature
    many = isinstance(feature, LabelFeature) and len(feature.classes) > MAX_CLASSES and words not in LABELS
    return feature is not None and not many and not column.is_date and not column.is_text and not is_identifier(column)


def _points_of_name(words: str) -> int:
    """Returns how much the words of a name speak for a label."""
    parts = set(words.split("_"))
    points = [0]
    for names, most in ((LABELS, 10), (CLASSES, 7), (USUAL, 6), (POSSIBLE, 4)):
        points.append(most if words in names else most // 2 + 1 if parts & names - {"y"} else 0)
    return max(points) - 4 * (words in INPUTS)


def _points_of_values(column: Column) -> int:
    """Returns how much the values of a column speak for a label: yes or no, two values, few, or numbers that are not
    whole.
    """
    if column.distinct == 2:
        is_answer = not column.is_number and all(value.lower() in BOOLEANS for value in column.values)
        return 3 if is_answer else 2
    return 1 if column.distinct <= 10 or column.integers != column.rows else 0


def _edges(columns: Mapping[str, Column]) -> tuple[str, str]:
    """Returns the first and the last column that hold something and do not number the rows."""
    names = [name for name, column in columns.items() if column.rows and not is_identifier(column)] or list(columns)
    return names[0], names[-1]


def _words(name: str, columns: Mapping[str, Column]) -> str:
    """Returns a name in small letters with _ between its words: tip_amount for Tip Amount; an axis for y beside x."""
    words = _separated(name)
    return AXIS if words == "y" and any(other.strip().lower() in ("x", "z") for other in columns) else words


def _separated(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return re.sub(r"[\W_]+", "_", spaced).strip("_").lower()
