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

from data.kinds.cell import SPACES, Cells, Column, Distinct, Reading, Unusable, exact, is_one_of, patched, shown
from data.numerals import MAX_LENGTH, MINUS, PLAIN, example, marks, parsed, pattern
from data.spec import NumberFeature, TargetFeature

# The largest magnitudes whose squares fit into float32: of an input one square, of a target the sum of the squared
# errors of 10^8 rows.
MAX_INPUT, MAX_TARGET = math.sqrt(np.finfo(np.float32).max), 1e15
EXACT = 2**53  # up to which float64 holds every integer
SOME = 64  # numbers that are tested before all of them: most columns of other numbers than integers fail there


def value(cell: Any, feature: NumberFeature | TargetFeature, how: Reading) -> float | None:
    """Returns a finite number; None for a missing value of an optional feature. Raises Unusable.

    Text is parsed in files with typed columns, too: the settings say what the column holds. A number that underflows
    in float32 is zero, without a sign.
    """
    if how.is_absent(cell):
        if feature.optional:
            return None
        raise Unusable("a number", shown(None))
    number = _number(cell, how, feature.unit)
    if not math.isfinite(number):
        raise Unusable("a finite number", shown(cell))
    most = _most(feature)
    if abs(number) > most:
        raise Unusable(f"a number from {-most:.2g} to {most:.2g}: float32 cannot hold squares of others", shown(cell))
    for bound, wrong, word in ((feature.min, number.__lt__, "least"), (feature.max, number.__gt__, "most")):
        if bound is not None and wrong(bound):
            raise Unusable(f"at {word} {bound:g}", shown(cell))
    return number if np.float32(number) else 0.0  # no negative zero: rows that differ in its sign only are equal


def column(cells: Cells, feature: NumberFeature | TargetFeature, how: Reading) -> Column:
    """Returns the stored column, float32: for each cell what `value` returns."""
    convert = partial(value, feature=feature, how=how)
    if isinstance(cells, list):
        numbers = np.array([_of_one(cell, convert) for cell in cells], np.float64)
        return replace(exact(cells, convert, pa.float32()), distinct=_distinct(numbers, cells, feature))
    numbers = as_floats(cells, how, unit=feature.unit)
    is_valid = _in_bounds(numbers, feature)
    with_one_zero = np.where(is_valid, numbers, 0).astype(np.float32) + np.float32(0)
    stored = patched(pa.array(with_one_zero), ~is_valid, cells, convert)
    return replace(stored, distinct=_distinct(numbers, cells, feature))


def _of_one(cell: Any, convert: Callable[[Any], float | None]) -> float:
    """Returns the converted number of an int, a float or a text; NaN for other and unusable cells."""
    if not isinstance(cell, int | float | str) or isinstance(cell, bool):
        return math.nan
    try:
        number = convert(cell)
    except Unusable:
        return math.nan
    return math.nan if number is None else number


def _in_bounds(numbers: np.ndarray, feature: NumberFeature | TargetFeature) -> np.ndarray:
    """Returns which numbers are within the bounds of the feature, bool `(rows,)`; NaN never is."""
    least = -_most(feature) if feature.min is None else max(feature.min, -_most(feature))
    most = _most(feature) if feature.max is None else min(feature.max, _most(feature))
    return (numbers >= least) & (numbers <= most)


def _distinct(numbers: np.ndarray, cells: Cells, feature: NumberFeature | TargetFeature) -> Distinct:
    """Returns the distinct numbers, float64 `(rows,)`, in bounds; integers beyond 2^53 are compared by their cells."""
    rows = np.flatnonzero(_in_bounds(numbers, feature))
    in_bounds = numbers if len(rows) == len(numbers) else numbers[rows]
    all_integers = all((part == np.floor(part)).all() for part in (in_bounds[:SOME], in_bounds))
    if not all_integers and not feature.target:
        return Distinct(np.zeros(0, np.uint64), np.zeros(0, np.float32), False)
    values = pc.unique(pa.array(in_bounds + 0.0)).to_numpy()  # + 0.0: no negative zero
    is_exact = np.abs(values) <= EXACT
    if not is_exact.all() and not _are_floats(cells):
        rows = rows[np.abs(in_bounds) > EXACT]
        texts = [cells[row] for row in rows] if isinstance(cells, list) else cells.take(pa.array(rows)).to_pylist()
        keys = [xxhash.xxh3_64_intdigest(str(text).strip().encode()) for text in texts]
        keys, values = np.array(keys, np.uint64), np.concatenate([numbers[rows], values[is_exact]])
        return Distinct(
            np.concatenate([keys, values[len(keys) :].view(np.uint64)]), values.astype(np.float32), all_integers
        )
    return Distinct(values.view(np.uint64), values.astype(np.float32), all_integers)


def _are_floats(cells: Cells) -> bool:
    return not isinstance(cells, list) and pa.types.is_floating(cells.type)


def _most(feature: NumberFeature | TargetFeature) -> float:
    return MAX_TARGET if isinstance(feature, TargetFeature) else MAX_INPUT


def _number(cell: Any, how: Reading, unit: str) -> float:
    if isinstance(cell, str):
        number = parsed(cell, how.notation, unit)
        if number is not None:
            return number
        is_plain = how.notation == PLAIN and not unit
        raise Unusable("a number" if is_plain else f"a number such as {example(how.notation, unit)}", shown(cell))
    try:
        if isinstance(cell, bool):  # float() takes True as well
            raise ValueError
        return float(cell)
    except OverflowError:  # an integer beyond float64
        return math.inf
    except (TypeError, ValueError):
        raise Unusable("a number", shown(cell)) from None


def as_floats(cells: pa.Array, how: Reading, *, unit: str = "") -> np.ndarray:
    """Returns float64 `(rows,)`: the numbers that Arrow can parse, NaN for all other cells.

    Args:
        cells: A column.
        how: How its file is read.
        unit: Unit of numbers in texts.
    """
    kind = cells.type
    if pa.types.is_string(kind):
        return _of_strings(cells, how, unit)
    if pa.types.is_decimal(kind):
        cells = cells.cast(pa.string())
    elif not pa.types.is_integer(kind) and not pa.types.is_floating(kind):
        return np.full(len(cells), np.nan)
    return cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _of_strings(cells: pa.StringArray, how: Reading, unit: str) -> np.ndarray:
    """Returns `as_floats` of strings."""
    for texts in _simplified(cells, how, unit):
        try:
            numbers = texts.cast(pa.float64())
        except pa.ArrowInvalid:
            continue
        floats = numbers.to_numpy(zero_copy_only=False)
        like_numbers = [marker for marker in how.missing if parsed(marker, how.notation, unit) is not None]
        if like_numbers:  # such as -999
            floats = np.where(is_one_of(pc.ascii_trim(cells, SPACES), like_numbers), np.nan, floats)
        return floats
    return np.full(len(cells), np.nan)


def _simplified(cells: pa.StringArray, how: Reading, unit: str) -> Iterator[pa.StringArray]:
    """Yields the cells, each time with more of those set to null, or rewritten, that Arrow refuses to cast."""
    has_notation, null = how.notation != PLAIN or unit, pa.scalar(None, pa.string())
    if not has_notation:
        yield cells
    texts = pc.ascii_trim(cells, SPACES)
    texts = pc.if_else(is_one_of(texts, how.missing), null, texts)
    if not has_notation:
        yield texts
    is_number = pc.match_substring_regex(texts, f"^(?:{pattern(how.notation, unit)})$")
    texts = pc.if_else(pc.and_(is_number, pc.less(pc.binary_length(texts), MAX_LENGTH)), texts, null)
    if has_notation:
        texts = pc.replace_substring_regex(texts, marks(how.notation, unit), "")
        texts = pc.replace_substring(texts, how.notation.decimal, ".")
    yield pc.replace_substring(texts, MINUS, "-")
