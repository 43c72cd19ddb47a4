"""What the columns of a table seem to be, judged by all of its cells."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from data.cells import BOOLEANS
from data.spec import (
    BooleanFeature,
    CategoryFeature,
    DateFeature,
    Feature,
    LabelFeature,
    NumberFeature,
    TargetFeature,
    TextFeature,
)

MAX_DISTINCT = 20_000  # values of a column that are counted; more make it a text, an identifier or a number
MAX_CLASSES = 100  # distinct values up to which a column of text can be a label
MAX_CLOSED = 20  # distinct values up to which a category is taken for a closed set
MAX_WHOLE_CLASSES = 10  # distinct whole numbers up to which a label is taken for classes
NOTHING = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-")
FORMATS = (
    "iso", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%m-%Y", "%Y%m%d", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%b %d, %Y", "%d %b %Y",
)  # fmt: skip
LABEL_NAMES = ("label", "target", "class", "y", "outcome", "category", "sentiment", "result", "diagnosis", "churn")
IDENTIFIER = re.compile(
    r"(^|[_\W])(id|uuid|guid|index|key|row|nr|no|number)$|^(unnamed: \d+|rownames|)$", re.IGNORECASE
)

MOMENT = re.compile(r"time|date|stamp|_at$|seconds", re.IGNORECASE)
SECONDS = (3e8, 4e9)  # since 1970: from 1979 to 2096


@dataclass
class Column:
    """What went by of one column.

    Attributes:
        name: Its name.
        values: Distinct value, as text -> how often; cleared once there are too many.
        rows: Cells that hold something.
        nothing: Cells that hold nothing, by the word that says so.
        words: Words in all cells.
        numbers: Cells that are finite numbers.
        whole: Cells that are whole numbers.
        least: Least number.
        most: Greatest number.
        rising: Whether each number was one more than the one before.
        formats: Formats in which all cells so far are dates.
        moments: Whether cells come as dates already, as from Parquet.
    """

    name: str
    values: Counter = field(default_factory=Counter)
    rows: int = 0
    nothing: Counter = field(default_factory=Counter)
    words: int = 0
    numbers: int = 0
    whole: int = 0
    least: float = float("inf")
    most: float = float("-inf")
    rising: bool = True
    formats: list[str] = field(default_factory=lambda: list(FORMATS))
    moments: bool = False
    many: bool = False
    _last: float = float("nan")

    def add(self, cell: Any) -> None:
        """Counts a cell."""
        text = "" if cell is None or cell != cell else str(cell).strip() if not isinstance(cell, bool) else str(cell)
        if text in NOTHING:
            self.nothing[text] += 1
            return
        self.rows += 1
        self.moments |= not isinstance(cell, str) and hasattr(cell, "year")
        if not self.many:
            self.values[text] += 1
            self.many = len(self.values) > MAX_DISTINCT
        self._add_number(cell, text)
        self.words += text.count(" ") + 1
        if self.formats and not self.moments:
            self.formats = [one for one in self.formats if _is_date(text, one)]

    def _add_number(self, cell: Any, text: str) -> None:
        if isinstance(cell, bool) or "_" in text:
            return
        try:
            number = float(text)
        except ValueError:
            return
        if number - number == 0:  # finite
            self.rising &= not self.numbers or number == self._last + 1
            self.numbers += 1
            self.whole += number.is_integer()
            self.least, self.most, self._last = min(self.least, number), max(self.most, number), number

    @property
    def distinct(self) -> int:
        """Returns the number of distinct values; a lower bound when there are too many to count."""
        return len(self.values)

    @property
    def is_number(self) -> bool:
        """Returns whether every cell is a number."""
        return 0 < self.rows == self.numbers

    @property
    def is_date(self) -> bool:
        """Returns whether every cell is a date; digits alone are a number."""
        return self.rows > 0 and (self.moments or (bool(self.formats) and not self.is_number))


@dataclass(frozen=True)
class Guess:
    """What a column is taken for.

    Attributes:
        feature: What it holds; None when it is not used.
        reason: Why, in a few words.
        unsure: Whether a person should look.
    """

    feature: Feature | None
    reason: str
    unsure: bool = False


def survey(records: Iterable[Mapping[str, Any]]) -> dict[str, Column]:
    """Returns what all rows hold, by column."""
    columns: dict[str, Column] = {}
    for count, cells in enumerate(records):
        for name, cell in cells.items():
            if name not in columns:
                columns[name] = Column(name)
                if count:  # JSON objects may leave columns out
                    columns[name].nothing[""] = count
            columns[name].add(cell)
    return columns


def guess_input(column: Column) -> Guess:
    """Returns what a column is as an input."""
    optional = bool(column.nothing)
    share = column.distinct / max(column.rows, 1)
    if not column.rows:
        return Guess(None, "no row has a value")
    if column.distinct == 1 and not optional:
        return Guess(None, f"every row has {next(iter(column.values))[:30]!r}")
    if _is_identifier(column):
        nearly = "" if share == 1 else "nearly "
        return Guess(None, f"{nearly}every row has a value of its own: an identifier", bool(column.name))
    if column.distinct == 2 and all(value.lower() in BOOLEANS for value in column.values):
        return Guess(BooleanFeature(optional=optional), " or ".join(sorted(column.values)))
    if column.is_number:
        if column.whole == column.rows and MOMENT.search(column.name) and SECONDS[0] < column.least < SECONDS[1]:
            return Guess(DateFeature(format="unix", optional=optional), "seconds since 1970")
        told = f"{column.least:g} to {column.most:g}"
        few = column.whole == column.rows and column.distinct <= MAX_WHOLE_CLASSES
        told += f", {column.distinct} whole numbers; category would do too" if few else ""
        return Guess(NumberFeature(optional=optional), told)
    if column.is_date:
        form = "iso" if column.moments else column.formats[0]
        other = "" if column.moments else next((one for one in column.formats[1:] if one != form), "")
        told = "dates" + (f"; {other} would do as well" if other else "")
        return Guess(DateFeature(format=form, optional=optional), told, bool(other))
    if column.words / column.rows >= 4 and share > 0.3:
        return Guess(TextFeature(optional=optional), f"{column.words / column.rows:.0f} words a row")
    if column.numbers > 0.8 * column.rows:
        odd = [value for value in column.values if not is_number(value)][:3]
        return Guess(CategoryFeature(optional=optional), f"nearly all numbers, but also {', '.join(odd)}", True)
    if column.many or share > 0.5:
        return Guess(None, f"{column.distinct:,} different values in {column.rows:,} rows", True)
    closed = tuple(sorted(column.values)) if column.distinct <= MAX_CLOSED else ()
    return Guess(CategoryFeature(values=closed, optional=optional), f"{column.distinct:,} values")


def guess_label(column: Column) -> Guess:
    """Returns what a column is as the thing to be predicted: a label, or a target."""
    if column.is_number and not (column.whole == column.rows and column.distinct <= MAX_WHOLE_CLASSES):
        return Guess(TargetFeature(), f"{column.least:g} to {column.most:g}")
    if column.distinct < 2 or column.many or column.distinct > MAX_CLASSES:
        return Guess(None, f"{column.distinct:,} different values, a label has 2 to {MAX_CLASSES}")
    # Of two classes the second is the one that is looked for: 1, true, yes, the rarer one.
    order: Callable[[str], Any] = (lambda value: float(value)) if column.is_number else str
    classes = sorted(column.values, key=order)
    if len(classes) == 2 and not column.is_number:
        known = [BOOLEANS.get(name.lower()) for name in classes]
        classes.sort(key=lambda name: BOOLEANS[name.lower()] if None not in known else -column.values[name])
    few = column.is_number and column.distinct > 2
    told = f"{len(classes)} classes" + (", whole numbers: it may be a target" if few else "")
    return Guess(LabelFeature(classes=tuple(classes)), told, few)


def guess_all(columns: Mapping[str, Column], label: str) -> tuple[dict[str, Guess], Guess]:
    """Returns what each column but the label is taken for as an input, and what the label is."""
    return {name: guess_input(column) for name, column in columns.items() if name != label}, guess_label(columns[label])


def without_texts(guesses: Mapping[str, Guess]) -> dict[str, Guess]:
    """Returns the guesses that are used, without texts where there is anything else to learn from."""
    used = {name: guess for name, guess in guesses.items() if guess.feature is not None}
    other = {name: guess for name, guess in used.items() if not isinstance(guess.feature, TextFeature)}
    return other or used


def words_for_nothing(columns: Mapping[str, Column]) -> list[str]:
    """Returns the words that stand for nothing in some column, sorted, the empty one left out."""
    return sorted({word for column in columns.values() for word in column.nothing} - {""})


def choose_label(columns: Mapping[str, Column]) -> tuple[str, bool]:
    """Returns the column that seems to be the label, and whether a person should look."""
    for name in LABEL_NAMES:
        for column in columns:
            if column.strip().lower() == name and guess_label(columns[column]).feature:
                return column, False
    usable = [name for name, column in columns.items() if guess_label(column).feature and not _is_identifier(column)]
    return (usable or list(columns))[-1], True


def _is_identifier(column: Column) -> bool:
    if column.moments or column.rows < 20:
        return False
    unique = column.rising if column.many else column.distinct >= 0.99 * column.rows
    if column.is_number:
        return unique and column.whole == column.rows and (column.rising or bool(IDENTIFIER.search(column.name)))
    named = bool(IDENTIFIER.search(column.name)) and (unique or column.many)
    return named or (unique and not column.is_date and column.words / column.rows < 2)


def _is_date(text: str, form: str) -> bool:
    try:
        if form == "iso":
            return len(text) >= 8 and bool(datetime.fromisoformat(text.removesuffix("Z")))
        return bool(datetime.strptime(text, form))
    except ValueError:
        return False


def is_number(text: str) -> bool:
    """Returns whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
