"""Unicode text: UTF-8, unchanged, with the spaces around it."""

from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.kinds.cell import Cells, Column, ReadOptions, Unusable, convert_cells, convert_doubtful, is_one_of, shown
from data.kinds.contract import Kind
from data.sources import encoding
from data.spec import TextFeature
from data.texts import is_unicode


def value(cell: Any, feature: TextFeature, options: ReadOptions) -> str | None:
    """Returns a text that is not blank; None for a missing value of an optional feature. Raises Unusable.

    Spaces are part of a text: a missing-value marker with spaces around it is a text.
    """
    is_absent = cell is None or (isinstance(cell, str) and cell in options.missing) or options.is_nan(cell)
    is_blank = isinstance(cell, str | bytes) and not cell.strip()
    if (is_absent or is_blank) and feature.optional:
        return None
    if is_absent:
        raise Unusable("text", shown(None))
    if is_blank:
        raise Unusable("text", "blanks only" if cell else "an empty text")
    return text_of(cell)


def column(cells: Cells, feature: TextFeature, options: ReadOptions) -> Column:
    """Returns the stored column, binary: for each cell what `value` returns."""
    convert = partial(value, feature=feature, options=options)
    texts = strings(cells)
    if texts is None:
        return convert_cells(cells, convert, pa.binary())
    is_blank = pc.or_(pc.utf8_is_space(texts), pc.equal(pc.binary_length(texts), 0)).fill_null(True)
    is_doubtful = is_blank.to_numpy(zero_copy_only=False) | has_zero_byte(texts)
    if options.missing and pa.types.is_string(cells.type):
        is_doubtful |= is_one_of(texts, options.missing)
    return convert_doubtful(texts.cast(pa.binary()), is_doubtful, cells, convert)


def strings(cells: Cells) -> pa.StringArray | None:
    """Returns the cells as strings; None where some are not UTF-8, or the cells are of another type."""
    if isinstance(cells, list) or not (pa.types.is_string(cells.type) or pa.types.is_binary(cells.type)):
        return None
    try:
        return cells.cast(pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        return None


def has_zero_byte(texts: pa.StringArray) -> np.ndarray:
    """Returns whether each string holds a zero byte, bool `(rows,)`."""
    _, offsets, content = texts.buffers()
    if content is None or not len(texts):
        return np.zeros(len(texts), bool)
    ends = np.frombuffer(offsets, np.int32)
    begin, end = ends[texts.offset], ends[texts.offset + len(texts)]
    if np.frombuffer(content, np.uint8)[begin:end].min(initial=1):
        return np.zeros(len(texts), bool)
    return pc.match_substring(texts, "\0").fill_null(False).to_numpy(zero_copy_only=False)


def text_of(cell: Any) -> str:
    """Returns a cell as text; raises Unusable where it is not text, is invalid Unicode, or has a zero byte."""
    text = cell
    if isinstance(cell, bytes):
        try:
            text = cell.decode()
        except UnicodeDecodeError:
            raise Unusable("UTF-8 text", _encoding_phrase(cell) or f"{shown(cell)} that are not text") from None
    if not isinstance(text, str):
        raise Unusable("text", shown(cell))
    if not is_unicode(text):
        raise Unusable("Unicode text", f"half of a surrogate pair in {shown(text)}")
    if "\0" in text:
        phrase = _encoding_phrase(cell) if isinstance(cell, bytes) else None
        raise Unusable("text", phrase or f"a zero byte at character {text.index(chr(0)) + 1:,}")
    return text


def _encoding_phrase(content: bytes) -> str | None:
    """Returns a phrase that names the likely encoding of bytes; None where none is recognised."""
    encoding_name = encoding.recognised(content)
    return f"what looks like {encoding_name}" if encoding_name else None


KIND = Kind(TextFeature, value, column)
