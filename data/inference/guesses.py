"""Infers the features of a table's columns from facts about all cells."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from data.inference.facts import MAX_DISTINCT, Column
from data.inference.lists import MAX_STEPS
from data.inference.values import Values
from data.kinds.boolean import BOOLEANS
from data.numerals import PLAIN, example
from data.sources.tables import notation
from data.spec import (
    BooleanFeature,
    CategoryFeature,
    DateFeature,
    Feature,
    LabelFeature,
    NumberFeature,
    SequenceFeature,
    TargetFeature,
    TextFeature,
)

MAX_CLASSES = 100  # distinct values up to which a label may have classes of one or two rows
MIN_ROWS_PER_CLASS = 3  # on average, in a label with more classes
CLASS_NONE = "None"  # a missing value of Python's, and a word of English
MAX_COLLIDING_SHARE = 0.01  # share of distinct values that may become equal to others in float32
MAX_ALLOWED_VALUES = 20  # distinct values up to which a category lists the values allowed
MAX_INTEGER_CLASSES = 10  # distinct integers up to which a label holds classes
MAX_NUMBER_CLASSES = 20  # distinct numbers up to which they are classes without a warning
IDENTIFIER_NAME = re.compile(
    r"(^|[_\W])(id|uuid|guid|index|key|row|nr|no|number)$|^(unnamed: \d+|rownames|)$", re.IGNORECASE
)
MIN_LONG_INTEGER = 1e11  # distinct integers of 12 digits and more are identifiers
TIME_NAME = re.compile(r"time|date|stamp|_at$|seconds", re.IGNORECASE)
UNIX_SECONDS = (3e8, 4e9)  # since 1970: from 1979 to 2096


@dataclass(frozen=True)
class Guess:
    """The inferred feature of a column.

    Attributes:
        feature: The feature; None when the column is not used.
        reason: Reason for the guess, a short phrase.
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
    if column.is_nested or column.distinct < 2 or not isinstance(guess.feature, CategoryFeature | TextFeature | None):
        return guess
    unsupported = _mostly_numbers(column) or column.unsupported
    if unsupported is None:
        return guess
    feature = guess.feature if isinstance(guess.feature, CategoryFeature) else None
    return Guess(feature, unsupported.description, unsupported.remedy)


def _mostly_numbers(column: Column) -> notation.UnsupportedFormat | None:
    """Returns a description of the few cells that are no numbers in a column of decimal commas, separators or units."""
    mostly = None if column.is_number or column.is_date else notation.recognise_most(column.values, column.notation)
    if mostly is None or (mostly.notation == PLAIN and not mostly.unit):  # plain numbers: see `_guess_input`
        return None
    count = sum(column.values[cell] for cell in mostly.non_numbers)
    examples = ", ".join(repr(cell[:30]) for cell in mostly.non_numbers[:3])
    unit = f", unit: {mostly.unit!r}" if mostly.unit else ""
    marks = zip(("decimal", "thousands"), column.notation, mostly.notation, strict=True)
    settings = [f"set data.{name} to {mark!r}" for name, current_mark, mark in marks if mark != current_mark]
    settings.append(f"put the column into data.features, not data.ignore, as {{kind: number{unit}, optional: true}}")
    share = f"{'at least ' * column.has_too_many_values}{count:,} of its {column.rows:,} values"
    verb = "is no number" if count == 1 else "are no numbers"
    return notation.UnsupportedFormat(
        f"{share} {verb} such as {example(mostly.notation, mostly.unit)}: {examples}",
        f"if they mark missing values, add them to data.missing_values and {' and '.join(settings)}",
    )


def _guess_input(column: Column) -> Guess:
    optional = bool(column.missing)
    share = column.distinct / max(column.rows, 1)
    keep_remedy = "if it is useful, remove it from data.ignore and set its kind in data.features"
    if column.rows == column.lists.empty:
        return Guess(None, "no row has a value")
    if column.is_nested:
        return _guess_nested(column)
    if column.distinct == 1 and not optional:
        return Guess(None, f"every row has {next(iter(column.values))[:30]!r}")
    if column.are_days:
        return Guess(DateFeature(format="%Y%m%d", optional=optional), "dates of eight digits")
    if is_identifier(column):
        nearly = "" if share == 1 else "nearly "
        reason = f"{nearly}every row has a value of its own, as an identifier has"
        return Guess(None, reason, keep_remedy if column.name else "")
    if column.distinct == 2 and all(value.lower() in BOOLEANS for value in column.values):
        return Guess(BooleanFeature(optional=optional), " or ".join(sorted(column.values)))
    if column.is_number and not _are_codes_or_ids(column):
        return _guess_number(column)
    if column.is_date:
        date_format = "iso" if column.has_date_type else column.formats[0]
        alternative = (
            ""
            if column.has_date_type
            else next((other_format for other_format in column.formats[1:] if other_format != date_format), "")
        )
        reason = "dates" + (f"; {alternative} fits as well" if alternative else "")
        return Guess(
            DateFeature(format=date_format, optional=optional),
            reason,
            f"set its format to {alternative!r} where that is right" if alternative else "",
        )
    if column.is_text:
        return Guess(TextFeature(optional=optional), f"{column.mean_words:.0f} words a row")
    if column.numbers > 0.8 * column.rows and not column.is_number:
        non_numbers = [value for value in column.values if not notation.is_number(value)][:3]
        # Beyond the values that are counted, the cells are not known.
        reason = f"nearly all numbers, but also {', '.join(non_numbers) or 'other cells'}"
        remedy = (
            "if they mark missing values, add them to data.missing_values and set it to {kind: number, optional: true}"
        )
        return Guess(CategoryFeature(optional=optional), reason, remedy)
    if column.has_too_many_values or share > 0.5:
        prefix = "more than " if column.has_too_many_values else ""
        return Guess(
            None,
            f"{prefix}{min(column.distinct, MAX_DISTINCT):,} different values in {column.rows:,} rows",
            keep_remedy,
        )
    allowed_values = tuple(sorted(column.values)) if column.distinct <= MAX_ALLOWED_VALUES else ()
    note = "; numbers with leading zeros are codes" if column.are_codes else ""
    note = note or (
        f"; as numbers in float32 {column.num_collisions:,} of them would be lost" if column.is_number else ""
    )
    return Guess(CategoryFeature(values=allowed_values, optional=optional), f"{column.distinct:,} values{note}")


def _guess_nested(column: Column) -> Guess:
    """Returns the feature of a column of lists or objects: a sequence where all cells are lists of the same kind."""
    lists = column.lists
    if lists.count < column.rows or not (lists.are_numbers or lists.are_texts):
        remedy = "write their contents as separate columns"
        return Guess(None, "its cells hold lists or objects, which are no value of a feature", remedy)
    lengths = f"{lists.shortest:,}" + (f" to {lists.longest:,}" if lists.longest > lists.shortest else "")
    reason = f"lists of {lengths} {'numbers' if lists.are_numbers else 'texts'}"
    feature = SequenceFeature(
        of="number" if lists.are_numbers else "category",
        max_length=min(lists.longest, MAX_STEPS),
        too_long="first" if lists.longest > MAX_STEPS else "refuse",
        optional=bool(column.missing) or lists.empty > 0,
    )
    if lists.longest <= MAX_STEPS:
        return Guess(feature, reason)
    return Guess(
        feature, f"{reason}, of which the first {MAX_STEPS:,} are kept", "set max_length and too_long to change it"
    )


def _are_codes_or_ids(column: Column) -> bool:
    """Returns whether numbers are identifiers: codes, or integers of which many become equal in float32."""
    return column.are_codes or column.num_collisions > MAX_COLLIDING_SHARE * column.distinct


def _guess_number(column: Column) -> Guess:
    optional = bool(column.missing)
    if (
        column.integers == column.rows
        and TIME_NAME.search(column.name)
        and UNIX_SECONDS[0] < column.minimum < UNIX_SECONDS[1]
    ):
        return Guess(DateFeature(format="unix", optional=optional), "seconds since 1970")
    reason = _range(column) + (f" {column.unit}" if column.unit else "")
    has_few_integers = column.integers == column.rows and column.distinct <= MAX_INTEGER_CLASSES
    reason += f", {column.distinct} whole numbers; category is possible, too" if has_few_integers else ""
    return Guess(NumberFeature(optional=optional, unit=column.unit), reason)


def guess_label(column: Column, kind: Literal["auto", "label", "target"] = "auto") -> Guess:
    """Returns the feature of the column to be predicted.

    Args:
        column: The column.
        kind: `label` for classes, `target` for a number; auto: a number where all cells are numbers, but classes where
            they are few distinct integers.
    """
    if column.is_nested:
        return Guess(None, "its cells hold lists or objects")
    column = as_label(column)
    if column.distinct < 2:
        return Guess(
            None, f"it has {column.distinct} different value{'s' * (not column.distinct)}, expected 2 at least"
        )
    if kind == "target" and not column.is_number:
        mostly = _mostly_numbers(column)
        if mostly:
            return Guess(
                None, f"a target is a number in every row, and {mostly.description}; leave them empty in the data"
            )
        non_number = next((repr(value[:30]) for value in column.values if not notation.is_number(value)), "infinity")
        explanation = f": {column.unsupported.description}; {column.unsupported.remedy}" if column.unsupported else ""
        return Guess(None, f"a target is a finite number in every row, and it has {non_number}{explanation}")
    has_few_integers = column.is_number and column.integers == column.rows and column.distinct <= MAX_INTEGER_CLASSES
    if kind == "target" or (kind == "auto" and column.is_number and not has_few_integers):
        return Guess(TargetFeature(unit=column.unit), _range(column))
    if column.has_too_many_values or (
        column.distinct > MAX_CLASSES and column.rows < MIN_ROWS_PER_CLASS * column.distinct
    ):
        distinct = f"more than {MAX_DISTINCT:,}" if column.has_too_many_values else f"{column.distinct:,}"
        reason = f"it has {distinct} different values in {column.rows:,} rows"
        if column.unsupported:
            return Guess(None, f"{reason}, and {column.unsupported.description}; {column.unsupported.remedy}")
        least_rows = f"a label of more than {MAX_CLASSES} classes has {MIN_ROWS_PER_CLASS} rows of each on average"
        return Guess(None, f"{reason}, and {least_rows}")
    classes = _classes(column)
    if len(classes) < 2:
        return Guess(None, "its values differ in Unicode form only")
    return Guess(
        LabelFeature(classes=classes),
        *_label_reason(column, classes, may_be_target=has_few_integers and kind != "label"),
    )


def as_label(column: Column) -> Column:
    """Returns a column as a label: among classes that are words, `None` is a class, not a missing value."""
    count = column.missing[CLASS_NONE]
    if not count or not column.rows or column.numbers or column.is_date:
        return column
    missing = Counter({word: cells for word, cells in column.missing.items() if word != CLASS_NONE})
    values = Values.of({**column.values, CLASS_NONE: count})
    return replace(column, values=values, rows=column.rows + count, missing=missing, formats=[])


def _label_reason(column: Column, classes: Sequence[str], *, may_be_target: bool) -> tuple[str, str]:
    """Returns the reason for a label, and a remedy where its values may not be classes.

    Args:
        column: The label.
        classes: Its classes.
        may_be_target: Whether it holds few distinct integers and the kind `label` was not requested.
    """
    summary = f"{len(classes):,} classes"
    if len(classes) < column.distinct:
        counts_by_form = Counter(unicodedata.normalize("NFC", name) for name in column.values)
        ambiguous_names = [name for name, count in counts_by_form.items() if count > 1]
        return (
            f"{summary}; {', '.join(ambiguous_names[:3])} is written in several forms of Unicode",
            "make them one in the data",
        )
    if CLASS_NONE in column.values:
        remedy = "if it means unknown, remove it from the classes"
        return f"{summary}, of which one is called None", remedy
    if column.unsupported:
        return f"{summary}, and {column.unsupported.description}", column.unsupported.remedy
    if column.is_number and column.distinct > MAX_NUMBER_CLASSES:
        return f"{column.distinct:,} different numbers as classes", "put them into few classes, or predict the number"
    if may_be_target and column.distinct > 2:
        remedy = "set task to tabular_regression and its kind to target to predict the number itself"
        return f"{summary}, whole numbers: it may be a target", remedy
    return summary, ""


def _range(column: Column) -> str:
    """Returns the minimum and the maximum of a column as text, with enough digits to tell them apart."""
    if column.integers == column.numbers and max(-column.minimum, column.maximum) < 1e15:
        separator = "," if max(-column.minimum, column.maximum) >= 10_000 else ""  # none in years
        return f"{int(column.minimum):{separator}} to {int(column.maximum):{separator}}"
    pairs = [(f"{column.minimum:.{digits}g}", f"{column.maximum:.{digits}g}") for digits in (6, 12, 17)]
    minimum, maximum = next(((minimum, maximum) for minimum, maximum in pairs if minimum != maximum), pairs[-1])
    return f"{minimum} to {maximum}"


def _classes(column: Column) -> tuple[str, ...]:
    """Returns the classes, in Unicode's normal form C.

    Of two classes the second is the positive one: 1, true, yes, else the rarer one.
    """
    sort_key: Callable[[str], Any] = column.number if column.is_number else str
    counts: Counter[str] = Counter()
    for name, count in column.values.items():
        counts[unicodedata.normalize("NFC", name)] += count
    classes = sorted(counts, key=sort_key)
    if len(classes) == 2 and not column.is_number:
        booleans = [BOOLEANS.get(name.lower()) for name in classes]
        classes.sort(key=lambda name: BOOLEANS[name.lower()] if None not in booleans else -counts[name])
    return tuple(classes)


def guess_all(
    columns: Mapping[str, Column], label: str, kind: Literal["auto", "label", "target"] = "auto"
) -> tuple[dict[str, Guess], Guess]:
    """Returns the guess of each input column, by name, and the guess of the label; see `guess_label`."""
    inputs = {name: guess_input(column) for name, column in columns.items() if name != label}
    return inputs, guess_label(columns[label], kind)


def for_tables(guesses: Mapping[str, Guess]) -> dict[str, Guess]:
    """Returns the guesses with a feature, without texts and sequences where there are other inputs."""
    used = {name: guess for name, guess in guesses.items() if guess.feature is not None}
    single = {
        name: guess for name, guess in used.items() if not isinstance(guess.feature, TextFeature | SequenceFeature)
    }
    return single or used


def missing_markers(columns: Mapping[str, Column]) -> list[str]:
    """Returns the missing-value markers of all columns, sorted, without the empty one."""
    return sorted({word for column in columns.values() for word in column.missing} - {""})


def is_identifier(column: Column) -> bool:
    """Returns whether a column identifies the rows."""
    if column.has_date_type or column.rows < 20:
        return False
    is_unique = column.is_consecutive if column.has_too_many_values else column.distinct >= 0.99 * column.rows
    if column.is_number:
        is_long = column.minimum >= MIN_LONG_INTEGER and not column.unit and not TIME_NAME.search(column.name)
        has_identifier_name = column.is_consecutive or bool(IDENTIFIER_NAME.search(column.name))
        return column.integers == column.rows and (
            (is_unique and has_identifier_name) or (is_long and (is_unique or column.has_too_many_values))
        )
    has_identifier_name = bool(IDENTIFIER_NAME.search(column.name)) and (is_unique or column.has_too_many_values)
    return has_identifier_name or (is_unique and not column.is_date and column.mean_words < 2)
