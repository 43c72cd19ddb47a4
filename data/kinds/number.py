"""Numbers, as inputs and as targets: float32."""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.kinds.cell import SPACES, Cells, Column, Reading, Unusable, exact, is_one_of, patched, shown
from data.spec import NumberFeature, TargetFeature

# The largest magnitudes that training can square in float32: of an input its square, of a target the sum of the squared
# errors of 10^8 rows.
MAX_INPUT, MAX_TARGET = math.sqrt(np.finfo(np.float32).max), 1e15
# What Arrow reads as Python does, and never as infinity: see MAX_LENGTH.
PLAIN = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?$"
MAX_LENGTH = 100  # characters of a plain number


def value(cell: Any, feature: NumberFeature | TargetFeature, how: Reading) -> float | None:
    """Returns a finite number; None for nothing where the feature is optional. Raises Unusable."""
    if how.is_absent(cell):
        if feature.optional:
            return None
        raise Unusable("a number", shown(None))
    number = _number(cell, how)
    if not math.isfinite(number):
        raise Unusable("a finite number", shown(cell))
    most = _most(feature)
    if abs(number) > most:
        raise Unusable(f"a number from {-most:.2g} to {most:.2g}: float32 cannot hold squares of others", shown(cell))
    for bound, wrong, word in ((feature.min, number.__lt__, "least"), (feature.max, number.__gt__, "most")):
        if bound is not None and wrong(bound):
            raise Unusable(f"at {word} {bound:g}", shown(cell))
    return number


def column(cells: Cells, feature: NumberFeature | TargetFeature, how: Reading) -> Column:
    """Returns the stored column, float32: for each cell what `value` returns."""
    one = partial(value, feature=feature, how=how)
    if isinstance(cells, list):
        return exact(cells, one, pa.float32())
    numbers = as_floats(cells, how, textual=how.textual)
    least = -_most(feature) if feature.min is None else max(feature.min, -_most(feature))
    most = _most(feature) if feature.max is None else min(feature.max, _most(feature))
    right = (numbers >= least) & (numbers <= most)
    stored = np.where(right, numbers, 0).astype(np.float32)
    return patched(pa.array(stored), ~right, cells, one)


def _most(feature: NumberFeature | TargetFeature) -> float:
    return MAX_TARGET if isinstance(feature, TargetFeature) else MAX_INPUT


def _number(cell: Any, how: Reading) -> float:
    try:
        # float() takes True, "25" and "1_000" as well
        if isinstance(cell, bool) or (isinstance(cell, str) and (not how.textual or "_" in cell)):
            raise ValueError
        return float(cell)
    except OverflowError:  # a whole number beyond float64
        return math.inf
    except (TypeError, ValueError):
        raise Unusable("a number", shown(cell)) from None


def as_floats(cells: pa.Array, how: Reading, *, textual: bool) -> np.ndarray:
    """Returns float64 `(rows,)`: the numbers that are plainly ones, NaN for all else.

    Args:
        cells: A column.
        how: How its file is read.
        textual: Whether texts are numbers, too.
    """
    kind = cells.type
    if pa.types.is_string(kind) and textual:
        return _parsed(cells, how)
    if pa.types.is_decimal(kind):
        cells = cells.cast(pa.string())
    elif not pa.types.is_integer(kind) and not pa.types.is_floating(kind):
        return np.full(len(cells), np.nan)
    return cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _parsed(cells: pa.StringArray, how: Reading) -> np.ndarray:
    """Returns the same of strings."""
    for texts in _simplified(cells, how):
        try:
            numbers = texts.cast(pa.float64())
        except pa.ArrowInvalid:
            continue
        found = numbers.to_numpy(zero_copy_only=False)
        like_numbers = [marker for marker in how.missing if _is_like_a_number(marker)]
        if like_numbers:  # -999 for nothing
            found = np.where(is_one_of(pc.ascii_trim(cells, SPACES), like_numbers), np.nan, found)
        return found
    return np.full(len(cells), np.nan)


def _simplified(cells: pa.StringArray, how: Reading) -> Iterator[pa.StringArray]:
    """Yields the cells with fewer and fewer of those that keep Arrow from reading the others."""
    yield cells
    nothing = pa.scalar(None, pa.string())
    texts = pc.ascii_trim(cells, SPACES)
    texts = pc.if_else(is_one_of(texts, how.missing), nothing, texts)
    yield texts
    is_plain = pc.and_(pc.match_substring_regex(texts, PLAIN), pc.less(pc.binary_length(texts), MAX_LENGTH))
    yield pc.if_else(is_plain, texts, nothing)


def _is_like_a_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
