"""One of several values: UTF-8, without the spaces around it."""

from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data.kinds.cell import (
    Cells,
    Column,
    ReadOptions,
    convert_cells,
    convert_doubtful,
    index_among,
    is_one_of,
    unknown_value,
    word,
)
from data.kinds.contract import Kind
from data.kinds.text import has_zero_byte, strings, text_of
from data.spec import CategoryFeature


def value(cell: Any, feature: CategoryFeature, options: ReadOptions) -> str | None:
    """Returns a category; None for a missing value of an optional feature. Raises Unusable.

    Where the feature lists its values, the listed one is returned: a listed value is never a missing-value marker, and
    Unicode forms of the same letter are equal.
    """
    if isinstance(cell, bytes | dict | list):
        cell = text_of(cell)
    index = None if cell is None else index_among(feature.values, cell)
    if index is not None:
        return feature.values[index]
    if options.is_absent(cell):
        return None if feature.optional else text_of(None)
    if feature.values:
        raise unknown_value(feature.values, word(cell), cell)
    return text_of(word(cell))


def column(cells: Cells, feature: CategoryFeature, options: ReadOptions) -> Column:
    """Returns the stored column, binary: for each cell what `value` returns."""
    convert = partial(value, feature=feature, options=options)
    if feature.values or isinstance(cells, list):
        return convert_cells(cells, convert, pa.binary())
    if pa.types.is_integer(cells.type):
        texts = cells.cast(pa.string())
    elif pa.types.is_string(cells.type) and strings(cells) is not None:
        texts = pc.utf8_trim_whitespace(cells)
    else:
        return convert_cells(cells, convert, pa.binary())
    is_doubtful = has_zero_byte(texts) | texts.is_null().to_numpy(zero_copy_only=False)
    if options.missing and pa.types.is_string(cells.type):
        is_doubtful |= is_one_of(texts, options.missing) | is_one_of(cells, options.missing)
    return convert_doubtful(texts.cast(pa.binary()), is_doubtful, cells, convert)


KIND = Kind(CategoryFeature, value, column)
