"""Finds the plain rows at the begin of a CSV text, which every reader reads alike, for all rows at once.

A plain row is UTF-8, has quotes only around whole cells, or doubled within those, no zero bytes, and carriage returns
only before line feeds.
"""

import codecs
from dataclasses import dataclass

import numpy as np

NEWLINE, RETURN, QUOTE = b'\n\r"'


@dataclass(frozen=True)
class PlainRows:
    """Positions of the rows of a text that are not blank.

    Attributes:
        starts: Byte offset at which each row begins, int64 `(rows,)`.
        stops: Byte offset after its line end, int64 `(rows,)`.
        lines: Number of lines before it, int64 `(rows,)`.
        end: Byte offset at which the last row ends, blank rows included.
        is_cut: Whether the rows end because the next row is not plain.
    """

    starts: np.ndarray
    stops: np.ndarray
    lines: np.ndarray
    end: int
    is_cut: bool


def find(text: bytes, delimiter: str, *, is_last: bool) -> PlainRows:
    """Returns the plain rows at the begin of a text, up to the first row that is not plain or not complete.

    Args:
        text: The text, from a byte at which a row begins.
        delimiter: Delimiter of cells, one ASCII character.
        is_last: Whether the file ends with the text, so that its last row is complete.
    """
    content = np.frombuffer(text, np.uint8)
    newlines = np.flatnonzero(content == NEWLINE)
    quotes = np.flatnonzero(content == QUOTE) if b'"' in text else np.zeros(0, np.int64)
    are_outside = np.searchsorted(quotes, newlines) % 2 == 0 if len(quotes) else np.ones(len(newlines), bool)
    stops = newlines[are_outside] + 1
    is_whole = is_last and len(quotes) % 2 == 0
    if is_whole and len(text) and not (len(stops) and stops[-1] == len(text)):
        stops = np.append(stops, len(text))
    first_not_plain = _first_not_plain(text, content, quotes, ord(delimiter), is_last=is_last)
    count = int(np.searchsorted(stops, first_not_plain, side="right"))
    is_cut = count < len(stops) or (not count and first_not_plain < len(text))
    lines = np.arange(count)
    starts, stops = np.concatenate([[0], stops])[:count], stops[:count]
    if not are_outside.all():
        lines = np.searchsorted(newlines, starts)
    end = int(stops[-1]) if count else 0
    are_filled = ~_are_blank(content, starts, stops)
    return PlainRows(starts[are_filled], stops[are_filled], lines[are_filled], end, is_cut)


def _first_not_plain(text: bytes, content: np.ndarray, quotes: np.ndarray, delimiter: int, *, is_last: bool) -> int:
    """Returns the offset of the first byte that makes a row not plain; the length of the text without such a byte."""
    offsets = [len(text), _first_not_utf8(text, is_last=is_last)]
    if text.startswith(codecs.BOM_UTF8):  # Arrow would take it for a mark of the encoding
        offsets.append(0)
    if b"\0" in text:
        offsets.append(text.index(b"\0"))
    if b"\r" in text:
        returns = np.flatnonzero(content == RETURN)
        after = content[np.minimum(returns + 1, len(text) - 1)]
        offsets.extend(returns[after != NEWLINE][:1].tolist())
    opening, closing = quotes[::2], quotes[1::2]
    if len(opening):
        before = content[opening - 1]
        is_valid = np.isin(before, [NEWLINE, delimiter, QUOTE])  # the last of a doubled quote
        is_valid[0] |= opening[0] == 0
        offsets.extend(opening[~is_valid][:1].tolist())
    if len(closing):
        after = content[np.minimum(closing + 1, len(text) - 1)]
        is_valid = np.isin(after, [NEWLINE, RETURN, delimiter, QUOTE])  # the first of a doubled quote, or the last byte
        offsets.extend(closing[~is_valid][:1].tolist())
    return min(offsets)


def _first_not_utf8(text: bytes, *, is_last: bool) -> int:
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError as error:
            if is_last or error.reason != "unexpected end of data":
                return error.start
    return len(text)


def _are_blank(content: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Returns whether each row is only a line end, bool `(rows,)`."""
    sizes, first = stops - starts, content[starts]
    return ((sizes == 1) & (first == NEWLINE)) | ((sizes == 2) & (first == RETURN))
