"""What the columns of a table seem to be, judged by all of its cells."""

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from data.cells import BOOLEANS, word
from data.scripts import num_words
from data.sources.tables import notation
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
from data.texts import is_unicode

MAX_DISTINCT = 20_000  # values of a column that are counted; more make it a text, an identifier or a number
MAX_CLASSES = 100  # distinct values up to which a label may have classes of one or two rows
ROWS_A_CLASS = 3  # on average, that a label with more classes has
MAX_CLOSED = 20  # distinct values up to which a category is taken for a closed set
MAX_WHOLE_CLASSES = 10  # distinct whole numbers up to which a label is taken for classes
MAX_NUMBER_CLASSES = 20  # different numbers that are not yet doubtful as classes
NOTHING = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-")
FORMATS = (
    "iso", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%m-%Y", "%Y%m%d", "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%b %d, %Y", "%d %b %Y",
)  # fmt: skip
MIN_WORDS = 4  # a value, on average, that make a text
MIN_DISTINCT = 0.3  # share of distinct values above which what has that many words is a text
MAX_SAMPLED = 300  # values of a column whose words are counted
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
        numbers: Cells that are finite numbers.
        whole: Cells that are whole numbers.
        least: Least number.
        most: Greatest number.
        rising: Whether each number was one more than the one before.
        formats: Formats in which all cells so far are dates.
        moments: Whether cells come as dates already, as from Parquet.
        nested: Whether cells hold lists or objects, as of JSON.
    """

    name: str
    values: Counter = field(default_factory=Counter)
    rows: int = 0
    nothing: Counter = field(default_factory=Counter)
    numbers: int = 0
    whole: int = 0
    least: float = float("inf")
    most: float = float("-inf")
    rising: bool = True
    formats: list[str] = field(default_factory=lambda: list(FORMATS))
    moments: bool = False
    nested: bool = False
    many: bool = False
    _last: float = float("nan")

    def add(self, cell: Any) -> None:
        """Counts a cell."""
        text = "" if cell is None or cell != cell else word(cell)
        if not is_unicode(text):  # a problem of its row, which the reader names
            return
        if text in NOTHING:
            self.nothing[text] += 1
            return
        self.rows += 1
        self.nested |= isinstance(cell, dict | list | tuple)
        self.moments |= not isinstance(cell, str) and hasattr(cell, "year")
        if not self.many:
            self.values[text] += 1
            self.many = len(self.values) > MAX_DISTINCT
        self._add_number(cell, text)
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

    @functools.cached_property
    def mean_words(self) -> float:
        """Returns about how many words a value has, once all rows are counted; see `scripts.num_words`."""
        sample = self._sample()
        return sum(map(num_words, sample)) / max(len(sample), 1)

    @property
    def mean_length(self) -> float:
        """Returns how many characters a value has on average."""
        sample = self._sample()
        return sum(map(len, sample)) / max(len(sample), 1)

    def _sample(self) -> list[str]:
        return list(self.values)[:: self.distinct // MAX_SAMPLED + 1]

    @property
    def is_text(self) -> bool:
        """Returns whether its values are sentences, in any script, which differ from row to row."""
        return (self.many or self.distinct > MIN_DISTINCT * self.rows) and self.mean_words >= MIN_WORDS

    @functools.cached_property
    def unread(self) -> notation.Unread | None:
        """Returns what its cells look like that no reader takes for numbers or dates yet, once all rows are counted."""
        return None if self.is_number or self.is_date else notation.unread(self.values)

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
        remedy: What to do where it is wrong, for a person should look; empty where it is clear.
    """

    feature: Feature | None
    reason: str
    remedy: str = ""

    @property
    def unsure(self) -> bool:
        """Returns whether a person should look."""
        return bool(self.remedy)


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
    """Returns what a column is as an input; of numbers and dates that are not read yet, what they look like."""
    guess = _guess_input(column)
    if column.nested or column.distinct < 2 or not isinstance(guess.feature, CategoryFeature | TextFeature | None):
        return guess
    if column.unread is None:
        return guess
    feature = guess.feature if isinstance(guess.feature, CategoryFeature) else None
    return Guess(feature, column.unread.looks, column.unread.remedy)


def _guess_input(column: Column) -> Guess:
    optional = bool(column.nothing)
    share = column.distinct / max(column.rows, 1)
    keep = "where it tells something, take it out of data.ignore and give its kind in data.features"
    if not column.rows:
        return Guess(None, "no row has a value")
    if column.nested:
        remedy = "write what they hold as columns of their own"
        return Guess(None, "its cells hold lists or objects, which are no value of a feature", remedy)
    if column.distinct == 1 and not optional:
        return Guess(None, f"every row has {next(iter(column.values))[:30]!r}")
    if is_identifier(column):
        nearly = "" if share == 1 else "nearly "
        reason = f"{nearly}every row has a value of its own, as an identifier has"
        return Guess(None, reason, keep if column.name else "")
    if column.distinct == 2 and all(value.lower() in BOOLEANS for value in column.values):
        return Guess(BooleanFeature(optional=optional), " or ".join(sorted(column.values)))
    if column.is_number:
        return _guess_number(column)
    if column.is_date:
        form = "iso" if column.moments else column.formats[0]
        other = "" if column.moments else next((one for one in column.formats[1:] if one != form), "")
        told = "dates" + (f"; {other} would do as well" if other else "")
        return Guess(
            DateFeature(format=form, optional=optional),
            told,
            f"set its format to {other!r} where that is right" if other else "",
        )
    if column.is_text:
        return Guess(TextFeature(optional=optional), f"{column.mean_words:.0f} words a row")
    if column.numbers > 0.8 * column.rows:
        odd = [value for value in column.values if not notation.is_number(value)][:3]
        told = f"nearly all numbers, but also {', '.join(odd)}"
        remedy = "add those to data.missing_values and set its kind to number where it is one"
        return Guess(CategoryFeature(optional=optional), told, remedy)
    if column.many or share > 0.5:
        more = "more than " if column.many else ""
        return Guess(
            None, f"{more}{min(column.distinct, MAX_DISTINCT):,} different values in {column.rows:,} rows", keep
        )
    closed = tuple(sorted(column.values)) if column.distinct <= MAX_CLOSED else ()
    return Guess(CategoryFeature(values=closed, optional=optional), f"{column.distinct:,} values")


def _guess_number(column: Column) -> Guess:
    optional = bool(column.nothing)
    if column.whole == column.rows and MOMENT.search(column.name) and SECONDS[0] < column.least < SECONDS[1]:
        return Guess(DateFeature(format="unix", optional=optional), "seconds since 1970")
    told = _span(column)
    few = column.whole == column.rows and column.distinct <= MAX_WHOLE_CLASSES
    told += f", {column.distinct} whole numbers; category would do too" if few else ""
    return Guess(NumberFeature(optional=optional), told)


def guess_label(column: Column, kind: Literal["auto", "label", "target"] = "auto") -> Guess:
    """Returns what a column is as the thing to be predicted.

    Args:
        column: The column.
        kind: `label` for classes, `target` for a number; auto: a number where all cells are, unless few whole ones.
    """
    if column.nested:
        return Guess(None, "its cells hold lists or objects")
    if column.distinct < 2:
        return Guess(
            None, f"it has {column.distinct} different value{'s' * (not column.distinct)}, expected 2 at least"
        )
    if kind == "target" and not column.is_number:
        odd = next((repr(value[:30]) for value in column.values if not notation.is_number(value)), "infinity")
        why = f": {column.unread.looks}; {column.unread.remedy}" if column.unread else ""
        return Guess(None, f"a target is a finite number in every row, and it has {odd}{why}")
    few = column.is_number and column.whole == column.rows and column.distinct <= MAX_WHOLE_CLASSES
    if kind == "target" or (kind == "auto" and column.is_number and not few):
        return Guess(TargetFeature(), _span(column))
    if column.many or (column.distinct > MAX_CLASSES and column.rows < ROWS_A_CLASS * column.distinct):
        found = f"more than {MAX_DISTINCT:,}" if column.many else f"{column.distinct:,}"
        told = f"it has {found} different values in {column.rows:,} rows"
        if column.unread:
            return Guess(None, f"{told}, and {column.unread.looks}; {column.unread.remedy}")
        return Guess(
            None, f"{told}, and a label of more than {MAX_CLASSES} classes has {ROWS_A_CLASS} rows of each on average"
        )
    return Guess(LabelFeature(classes=_classes(column)), *_doubts(column, few=few and kind != "label"))


def _doubts(column: Column, *, few: bool) -> tuple[str, str]:
    """Returns what is said of a label's classes, and the remedy where they may be none.

    Args:
        column: The label.
        few: Whether it holds few whole numbers and nobody said that they are classes.
    """
    told = f"{column.distinct:,} classes"
    if column.unread:
        return f"{told}, and {column.unread.looks}", column.unread.remedy
    if column.is_number and column.distinct > MAX_NUMBER_CLASSES:
        return f"{column.distinct:,} different numbers as classes", "put them into few classes, or predict the number"
    if few and column.distinct > 2:
        remedy = "set task to tabular_regression and its kind to target to predict the number itself"
        return f"{told}, whole numbers: it may be a target", remedy
    return told, ""


def _span(column: Column) -> str:
    """Returns the least and the most number, with as many digits as tell them apart."""
    if column.whole == column.numbers and max(-column.least, column.most) < 1e15:
        return f"{int(column.least):,} to {int(column.most):,}"
    pairs = [(f"{column.least:.{digits}g}", f"{column.most:.{digits}g}") for digits in (6, 12, 17)]
    least, most = next(((least, most) for least, most in pairs if least != most), pairs[-1])
    return f"{least} to {most}"


def _classes(column: Column) -> tuple[str, ...]:
    """Returns the classes; of two the second is the one that is looked for: 1, true, yes, the rarer one."""
    order: Callable[[str], Any] = (lambda value: float(value)) if column.is_number else str
    classes = sorted(column.values, key=order)
    if len(classes) == 2 and not column.is_number:
        known = [BOOLEANS.get(name.lower()) for name in classes]
        classes.sort(key=lambda name: BOOLEANS[name.lower()] if None not in known else -column.values[name])
    return tuple(classes)


def guess_all(
    columns: Mapping[str, Column], label: str, kind: Literal["auto", "label", "target"] = "auto"
) -> tuple[dict[str, Guess], Guess]:
    """Returns what each column but the label is taken for as an input, and what the label is; see `guess_label`."""
    inputs = {name: guess_input(column) for name, column in columns.items() if name != label}
    return inputs, guess_label(columns[label], kind)


def without_texts(guesses: Mapping[str, Guess]) -> dict[str, Guess]:
    """Returns the guesses that are used, without texts where there is anything else to learn from."""
    used = {name: guess for name, guess in guesses.items() if guess.feature is not None}
    other = {name: guess for name, guess in used.items() if not isinstance(guess.feature, TextFeature)}
    return other or used


def words_for_nothing(columns: Mapping[str, Column]) -> list[str]:
    """Returns the words that stand for nothing in some column, sorted, the empty one left out."""
    return sorted({word for column in columns.values() for word in column.nothing} - {""})


def is_identifier(column: Column) -> bool:
    """Returns whether a column numbers or names the rows."""
    if column.moments or column.rows < 20:
        return False
    unique = column.rising if column.many else column.distinct >= 0.99 * column.rows
    if column.is_number:
        return unique and column.whole == column.rows and (column.rising or bool(IDENTIFIER.search(column.name)))
    named = bool(IDENTIFIER.search(column.name)) and (unique or column.many)
    return named or (unique and not column.is_date and column.mean_words < 2)


def _is_date(text: str, form: str) -> bool:
    try:
        if form == "iso":
            return len(text) >= 8 and bool(datetime.fromisoformat(text.removesuffix("Z")))
        return bool(datetime.strptime(text, form))
    except ValueError:
        return False
