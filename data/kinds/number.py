"""Numbers, as inputs and as targets: float32."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from data.kinds.cell import (
    SPACES,
    Cells,
    Column,
    Distinct,
    ReadOptions,
    Unusable,
    convert_cells,
    convert_doubtful,
    is_one_of,
    shown,
)
from data.kinds.contract import Kind, numbers
from data.numerals import MAX_LENGTH, MINUS, PLAIN, example, marks, parsed, pattern
from data.spec import NumberFeature, TargetFeature

# The largest magnitudes whose squares fit into float32: of an input one square, of a target the sum of the squared
# errors of 10^8 rows.
MAX_INPUT, MAX_TARGET = math.sqrt(np.finfo(np.float32).max), 1e15
MAX_EXACT_INTEGER = 2**53  # up to which float64 holds every integer
# Numbers that are tested before all of them: most columns of numbers that are not integers fail there.
NUM_TESTED_FIRST = 64


def value(cell: Any, feature: NumberFeature | TargetFeature, options: ReadOptions) -> float | None:
    """Returns a finite number; None for a missing value of an optional feature. Raises Unusable.

    Text is parsed in files with typed columns, too: the settings say what the column holds. A number that underflows
    in float32 is zero, without a sign.
    """
    if options.is_absent(cell):
        if feature.optional:
            return None
        raise Unusable("a number", shown(None))
    number = _parse_cell(cell, options, feature.unit)
    if not math.isfinite(number):
        raise Unusable("a finite number", shown(cell))
    max_magnitude = _max_magnitude(feature)
    if abs(number) > max_magnitude:
        raise Unusable(
            f"a number from {-max_magnitude:.2g} to {max_magnitude:.2g}: float32 cannot hold squares of others",
            shown(cell),
        )
    for bound, is_beyond, quantifier in ((feature.min, number.__lt__, "least"), (feature.max, number.__gt__, "most")):
        if bound is not None and is_beyond(bound):
            raise Unusable(f"at {quantifier} {bound:g}", shown(cell))
    return number if np.float32(number) else 0.0  # no negative zero: rows that differ in its sign only are equal


def column(cells: Cells, feature: NumberFeature | TargetFeature, options: ReadOptions) -> Column:
    """Returns the stored column, float32: for each cell what `value` returns."""
    convert = partial(value, feature=feature, options=options)
    if isinstance(cells, list):
        numbers = np.array([_number_or_nan(cell, convert) for cell in cells], np.float64)
        return replace(convert_cells(cells, convert, pa.float32()), distinct=_distinct(numbers, cells, feature))
    numbers = as_floats(cells, options, unit=feature.unit)
    is_valid = _in_bounds(numbers, feature)
    without_negative_zero = np.where(is_valid, numbers, 0).astype(np.float32) + np.float32(0)
    stored = convert_doubtful(pa.array(without_negative_zero), ~is_valid, cells, convert)
    return replace(stored, distinct=_distinct(numbers, cells, feature))


def _number_or_nan(cell: Any, convert: Callable[[Any], float | None]) -> float:
    """Returns the number that `convert` makes of an int, a float or a text; NaN for other and unusable cells."""
    if not isinstance(cell, int | float | str) or isinstance(cell, bool):
        return math.nan
    try:
        number = convert(cell)
    except Unusable:
        return math.nan
    return math.nan if number is None else number


def _in_bounds(numbers: np.ndarray, feature: NumberFeature | TargetFeature) -> np.ndarray:
    """Returns which numbers are within the bounds of the feature, bool `(rows,)`; NaN never is."""
    lower = -_max_magnitude(feature) if feature.min is None else max(feature.min, -_max_magnitude(feature))
    upper = _max_magnitude(feature) if feature.max is None else min(feature.max, _max_magnitude(feature))
    return (numbers >= lower) & (numbers <= upper)


def _distinct(numbers: np.ndarray, cells: Cells, feature: NumberFeature | TargetFeature) -> Distinct:
    """Returns the distinct values of `numbers`, float64 `(rows,)`, that are in bounds.

    Integers beyond 2^53, which float64 cannot tell apart, are compared by the text of their cells.
    """
    rows = np.flatnonzero(_in_bounds(numbers, feature))
    in_bounds = numbers if len(rows) == len(numbers) else numbers[rows]
    all_integers = _are_integers(in_bounds[:NUM_TESTED_FIRST]) and _are_integers(in_bounds)
    if not all_integers and not feature.target:
        return Distinct(np.zeros(0, np.uint64), np.zeros(0, np.float32), False)
    values = pc.unique(pa.array(in_bounds + 0.0)).to_numpy()  # + 0.0: no negative zero
    is_exact = np.abs(values) <= MAX_EXACT_INTEGER
    if not is_exact.all() and not _are_floats(cells):
        rows = rows[np.abs(in_bounds) > MAX_EXACT_INTEGER]
        texts = [cells[row] for row in rows] if isinstance(cells, list) else cells.take(pa.array(rows)).to_pylist()
        keys = [xxhash.xxh3_64_intdigest(str(text).strip().encode()) for text in texts]
        keys, values = np.array(keys, np.uint64), np.concatenate([numbers[rows], values[is_exact]])
        return Distinct(
            np.concatenate([keys, values[len(keys) :].view(np.uint64)]), values.astype(np.float32), all_integers
        )
    return Distinct(values.view(np.uint64), values.astype(np.float32), all_integers)


def _are_integers(numbers: np.ndarray) -> bool:
    return bool((numbers == np.floor(numbers)).all())


def _are_floats(cells: Cells) -> bool:
    return not isinstance(cells, list) and pa.types.is_floating(cells.type)


def _max_magnitude(feature: NumberFeature | TargetFeature) -> float:
    return MAX_TARGET if isinstance(feature, TargetFeature) else MAX_INPUT


def _parse_cell(cell: Any, options: ReadOptions, unit: str) -> float:
    if isinstance(cell, str):
        number = parsed(cell, options.notation, unit)
        if number is not None:
            return number
        is_plain = options.notation == PLAIN and not unit
        raise Unusable("a number" if is_plain else f"a number such as {example(options.notation, unit)}", shown(cell))
    try:
        if isinstance(cell, bool):  # float() takes True as well
            raise ValueError
        return float(cell)
    except OverflowError:  # an integer beyond float64
        return math.inf
    except (TypeError, ValueError):
        raise Unusable("a number", shown(cell)) from None


def as_floats(cells: pa.Array, options: ReadOptions, *, unit: str = "") -> np.ndarray:
    """Returns float64 `(rows,)`: the numbers that Arrow can parse, NaN for all other cells.

    Args:
        cells: A column.
        options: How the cells of its file are read.
        unit: Unit of numbers in texts.
    """
    arrow_type = cells.type
    if pa.types.is_string(arrow_type):
        return _parse_strings(cells, options, unit)
    if pa.types.is_decimal(arrow_type):
        cells = cells.cast(pa.string())
    elif not pa.types.is_integer(arrow_type) and not pa.types.is_floating(arrow_type):
        return np.full(len(cells), np.nan)
    return cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _parse_strings(cells: pa.StringArray, options: ReadOptions, unit: str) -> np.ndarray:
    """Returns `as_floats` of strings."""
    for texts in _castable(cells, options, unit):
        try:
            numbers = texts.cast(pa.float64())
        except pa.ArrowInvalid:
            continue
        floats = numbers.to_numpy(zero_copy_only=False)
        numeric_markers = [marker for marker in options.missing if parsed(marker, options.notation, unit) is not None]
        if numeric_markers:  # such as -999
            floats = np.where(is_one_of(pc.ascii_trim(cells, SPACES), numeric_markers), np.nan, floats)
        return floats
    return np.full(len(cells), np.nan)


def _castable(cells: pa.StringArray, options: ReadOptions, unit: str) -> Iterator[pa.StringArray]:
    """Yields the cells as strings; each time more of those that Arrow cannot cast to float64 are null or rewritten."""
    has_notation, null = options.notation != PLAIN or unit, pa.scalar(None, pa.string())
    if not has_notation:
        yield cells
    texts = pc.ascii_trim(cells, SPACES)
    texts = pc.if_else(is_one_of(texts, options.missing), null, texts)
    if not has_notation:
        yield texts
    is_number = pc.match_substring_regex(texts, f"^(?:{pattern(options.notation, unit)})$")
    texts = pc.if_else(pc.and_(is_number, pc.less(pc.binary_length(texts), MAX_LENGTH)), texts, null)
    if has_notation:
        texts = pc.replace_substring_regex(texts, marks(options.notation, unit), "")
        texts = pc.replace_substring(texts, options.notation.decimal, ".")
    yield pc.replace_substring(texts, MINUS, "-")


def _drift_inputs(array: np.ndarray, feature: NumberFeature) -> np.ndarray:
    return array[:, None]


KIND = Kind(NumberFeature, value, column, array=numbers, drift_inputs=_drift_inputs)
TARGET = Kind(TargetFeature, value, column, array=numbers)
