"""Infers the features of a table's columns from facts about all cells."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from data.inference.facts import MAX_DISTINCT, Column
from data.inference.values import Values
from data.kinds.boolean import BOOLEANS
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

MAX_CLASSES = 100  # distinct values up to which a label may have classes of one or two rows
ROWS_A_CLASS = 3  # on average, that a label with more classes has
CLASS_NONE = "None"  # a missing value of Python's, and a word of English
MAX_MERGED = 0.01  # share of values that float32 may make one with another
MAX_CLOSED = 20  # distinct values up to which a category is taken for a closed set
MAX_WHOLE_CLASSES = 10  # distinct whole numbers up to which a label is taken for classes
MAX_NUMBER_CLASSES = 20  # different numbers that are not yet doubtful as classes
IDENTIFIER = re.compile(
    r"(^|[_\W])(id|uuid|guid|index|key|row|nr|no|number)$|^(unnamed: \d+|rownames|)$", re.IGNORECASE
)
LONG = 1e11  # from which on whole numbers, of 12 digits and more, all different, are rather names than amounts

MOMENT = re.compile(r"time|date|stamp|_at$|seconds", re.IGNORECASE)
SECONDS = (3e8, 4e9)  # since 1970: from 1979 to 2096


@dataclass(frozen=True)
class Guess:
    """The inferred feature of a column.

    Attributes:
        feature: The feature; None when the column is not used.
        reason: Why, in a few words.
        remedy: What to do where the guess is wrong; empty where it is certain.
    """

    feature: Feature | None
    reason: str
    remedy: str = ""

    @property
    def unsure(self) -> bool:
        """Returns whether a person should check the guess."""
        return bool(self.remedy)


def guess_input(column: Column) -> Guess:
    """Returns the feature of an input column; the reason names numbers and dates in a form that is not supported."""
    guess = _guess_input(column)
    if column.nested or column.distinct < 2 or not isinstance(guess.feature, CategoryFeature | TextFeature | None):
        return guess
    if column.unread is None:
        return guess
    feature = guess.feature if isinstance(guess.feature, CategoryFeature) else None
    return Guess(feature, column.unread.looks, column.unread.remedy)


def _guess_input(column: Column) -> Guess:
    optional = bool(column.missing)
    share = column.distinct / max(column.rows, 1)
    keep = "where it tells something, take it out of data.ignore and give its kind in data.features"
    if not column.rows:
        return Guess(None, "no row has a value")
    if column.nested:
        remedy = "write what they hold as columns of their own"
        return Guess(None, "its cells hold lists or objects, which are no value of a feature", remedy)
    if column.distinct == 1 and not optional:
        return Guess(None, f"every row has {next(iter(column.values))[:30]!r}")
    if column.are_days:
        return Guess(DateFeature(format="%Y%m%d", optional=optional), "dates of eight digits")
    if is_identifier(column):
        nearly = "" if share == 1 else "nearly "
        reason = f"{nearly}every row has a value of its own, as an identifier has"
        return Guess(None, reason, keep if column.name else "")
    if column.distinct == 2 and all(value.lower() in BOOLEANS for value in column.values):
        return Guess(BooleanFeature(optional=optional), " or ".join(sorted(column.values)))
    if column.is_number and not _are_names(column):
        return _guess_number(column)
    if column.is_date:
        form = "iso" if column.moments else column.formats[0]
        other = "" if column.moments else next((one for one in column.formats[1:] if one != form), "")
        reason = "dates" + (f"; {other} would do as well" if other else "")
        return Guess(
            DateFeature(format=form, optional=optional),
            reason,
            f"set its format to {other!r} where that is right" if other else "",
        )
    if column.is_text:
        return Guess(TextFeature(optional=optional), f"{column.mean_words:.0f} words a row")
    if column.numbers > 0.8 * column.rows and not column.is_number:
        odd = [value for value in column.values if not notation.is_number(value)][:3]
        reason = f"nearly all numbers, but also {', '.join(odd)}"
        remedy = "add those to data.missing_values and set its kind to number where it is one"
        return Guess(CategoryFeature(optional=optional), reason, remedy)
    if column.many or share > 0.5:
        more = "more than " if column.many else ""
        return Guess(
            None, f"{more}{min(column.distinct, MAX_DISTINCT):,} different values in {column.rows:,} rows", keep
        )
    closed = tuple(sorted(column.values)) if column.distinct <= MAX_CLOSED else ()
    why = "; numbers with leading zeros are codes" if column.are_codes else ""
    why = why or (f"; as numbers in float32 {column.merged:,} of them would be lost" if column.is_number else "")
    return Guess(CategoryFeature(values=closed, optional=optional), f"{column.distinct:,} values{why}")


def _are_names(column: Column) -> bool:
    """Returns whether numbers are identifiers: codes, or integers of which many collide in float32."""
    return column.are_codes or column.merged > MAX_MERGED * column.distinct


def _guess_number(column: Column) -> Guess:
    optional = bool(column.missing)
    if column.integers == column.rows and MOMENT.search(column.name) and SECONDS[0] < column.least < SECONDS[1]:
        return Guess(DateFeature(format="unix", optional=optional), "seconds since 1970")
    reason = _span(column) + (f" {column.unit}" if column.unit else "")
    few = column.integers == column.rows and column.distinct <= MAX_WHOLE_CLASSES
    reason += f", {column.distinct} whole numbers; category would do too" if few else ""
    return Guess(NumberFeature(optional=optional, unit=column.unit), reason)


def guess_label(column: Column, kind: Literal["auto", "label", "target"] = "auto") -> Guess:
    """Returns the feature of the column to be predicted.

    Args:
        column: The column.
        kind: `label` for classes, `target` for a number; auto: a number where all cells are, unless few whole ones.
    """
    if column.nested:
        return Guess(None, "its cells hold lists or objects")
    column = as_label(column)
    if column.distinct < 2:
        return Guess(
            None, f"it has {column.distinct} different value{'s' * (not column.distinct)}, expected 2 at least"
        )
    if kind == "target" and not column.is_number:
        odd = next((repr(value[:30]) for value in column.values if not notation.is_number(value)), "infinity")
        why = f": {column.unread.looks}; {column.unread.remedy}" if column.unread else ""
        return Guess(None, f"a target is a finite number in every row, and it has {odd}{why}")
    few = column.is_number and column.integers == column.rows and column.distinct <= MAX_WHOLE_CLASSES
    if kind == "target" or (kind == "auto" and column.is_number and not few):
        return Guess(TargetFeature(unit=column.unit), _span(column))
    if column.many or (column.distinct > MAX_CLASSES and column.rows < ROWS_A_CLASS * column.distinct):
        distinct = f"more than {MAX_DISTINCT:,}" if column.many else f"{column.distinct:,}"
        reason = f"it has {distinct} different values in {column.rows:,} rows"
        if column.unread:
            return Guess(None, f"{reason}, and {column.unread.looks}; {column.unread.remedy}")
        return Guess(
            None, f"{reason}, and a label of more than {MAX_CLASSES} classes has {ROWS_A_CLASS} rows of each on average"
        )
    classes = _classes(column)
    if len(classes) < 2:
        return Guess(None, "its values differ in Unicode form only")
    return Guess(LabelFeature(classes=classes), *_doubts(column, classes, few=few and kind != "label"))


def as_label(column: Column) -> Column:
    """Returns a column as a label: `None` is a class there, not a missing one, where others are words, too."""
    count = column.missing[CLASS_NONE]
    if not count or not column.rows or column.numbers or column.is_date:
        return column
    missing = Counter({word: cells for word, cells in column.missing.items() if word != CLASS_NONE})
    values = Values.of({**column.values, CLASS_NONE: count})
    return replace(column, values=values, rows=column.rows + count, missing=missing, formats=[])


def _doubts(column: Column, classes: Sequence[str], *, few: bool) -> tuple[str, str]:
    """Returns the reason of a label, and a remedy where its values may not be classes.

    Args:
        column: The label.
        classes: Its classes.
        few: Whether it holds few whole numbers and nobody said that they are classes.
    """
    summary = f"{len(classes):,} classes"
    if len(classes) < column.distinct:
        twins = Counter(unicodedata.normalize("NFC", name) for name in column.values)
        names = [name for name, count in twins.items() if count > 1]
        return f"{summary}; {', '.join(names[:3])} is written in several forms of Unicode", "make them one in the data"
    if CLASS_NONE in column.values:
        remedy = "where it means that nobody knows, take it out of the classes"
        return f"{summary}, of which one is called None", remedy
    if column.unread:
        return f"{summary}, and {column.unread.looks}", column.unread.remedy
    if column.is_number and column.distinct > MAX_NUMBER_CLASSES:
        return f"{column.distinct:,} different numbers as classes", "put them into few classes, or predict the number"
    if few and column.distinct > 2:
        remedy = "set task to tabular_regression and its kind to target to predict the number itself"
        return f"{summary}, whole numbers: it may be a target", remedy
    return summary, ""


def _span(column: Column) -> str:
    """Returns the least and the most number, with as many digits as tell them apart."""
    if column.integers == column.numbers and max(-column.least, column.most) < 1e15:
        separator = "," if max(-column.least, column.most) >= 10_000 else ""  # none in years
        return f"{int(column.least):{separator}} to {int(column.most):{separator}}"
    pairs = [(f"{column.least:.{digits}g}", f"{column.most:.{digits}g}") for digits in (6, 12, 17)]
    least, most = next(((least, most) for least, most in pairs if least != most), pairs[-1])
    return f"{least} to {most}"


def _classes(column: Column) -> tuple[str, ...]:
    """Returns the classes, in Unicode's normal form C.

    Of two the second is the one that is looked for: 1, true, yes, the rarer one.
    """
    order: Callable[[str], Any] = column.number if column.is_number else str
    counts: Counter[str] = Counter()
    for name, count in column.values.items():
        counts[unicodedata.normalize("NFC", name)] += count
    classes = sorted(counts, key=order)
    if len(classes) == 2 and not column.is_number:
        booleans = [BOOLEANS.get(name.lower()) for name in classes]
        classes.sort(key=lambda name: BOOLEANS[name.lower()] if None not in booleans else -counts[name])
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


def missing_markers(columns: Mapping[str, Column]) -> list[str]:
    """Returns the missing-value markers of all columns, sorted, without the empty one."""
    return sorted({word for column in columns.values() for word in column.missing} - {""})


def is_identifier(column: Column) -> bool:
    """Returns whether a column identifies the rows."""
    if column.moments or column.rows < 20:
        return False
    unique = column.rising if column.many else column.distinct >= 0.99 * column.rows
    if column.is_number:
        is_long = column.least >= LONG and not column.unit and not MOMENT.search(column.name)
        named = column.rising or bool(IDENTIFIER.search(column.name))
        return column.integers == column.rows and ((unique and named) or (is_long and (unique or column.many)))
    named = bool(IDENTIFIER.search(column.name)) and (unique or column.many)
    return named or (unique and not column.is_date and column.mean_words < 2)
