"""One of several values: UTF-8, without the spaces around it."""

from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data.kinds.cell import Cells, Column, Reading, exact, index_among, is_one_of, one_of, patched, word
from data.kinds.text import has_zero_byte, strings, text_of
from data.spec import CategoryFeature


def value(cell: Any, feature: CategoryFeature, how: Reading) -> str | None:
    """Returns a category; None for a missing value of an optional feature. Raises Unusable.

    Where the feature lists its values, the listed one is returned: a listed value is never a missing-value marker, and
    Unicode forms of the same letter are equal.
    """
    if isinstance(cell, bytes | dict | list):
        cell = text_of(cell)
    index = None if cell is None else index_among(feature.values, cell)
    if index is not None:
        return feature.values[index]
    if how.is_absent(cell):
        return None if feature.optional else text_of(None)
    if feature.values:
        raise one_of(feature.values, word(cell), cell)
    return text_of(word(cell))


def column(cells: Cells, feature: CategoryFeature, how: Reading) -> Column:
    """Returns the stored column, binary: for each cell what `value` returns."""
    convert = partial(value, feature=feature, how=how)
    if feature.values or isinstance(cells, list):
        return exact(cells, convert, pa.binary())
    if pa.types.is_integer(cells.type):
        texts = cells.cast(pa.string())
    elif pa.types.is_string(cells.type) and strings(cells) is not None:
        texts = pc.utf8_trim_whitespace(cells)
    else:
        return exact(cells, convert, pa.binary())
    doubtful = has_zero_byte(texts) | texts.is_null().to_numpy(zero_copy_only=False)
    if how.missing and pa.types.is_string(cells.type):
        doubtful |= is_one_of(texts, how.missing) | is_one_of(cells, how.missing)
    return patched(texts.cast(pa.binary()), doubtful, cells, convert)
