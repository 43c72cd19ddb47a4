"""Dates and moments: int64 seconds since 1970 in UTC."""

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.kinds.cell import SPACES, Cells, Column, Reading, Unusable, exact, is_one_of, patched, shown, word
from data.kinds.number import as_floats
from data.numerals import parsed
from data.spec import DateFeature

MAX_SECONDS = 1e18  # since 1970, in both directions; int64 holds them
EPOCH, SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)
FIRST, LAST = -62_135_596_800, 253_402_300_799  # the years 1 to 9999, the range of Python's datetime
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # unit of a timestamp -> how many a second has
Seconds = tuple[np.ndarray, np.ndarray]  # int64 `(rows,)` since 1970, and bool `(rows,)`: which are valid
EXPECTED = {"iso": "a date such as 2026-01-31 or 2026-01-31T12:00:00", "unix": "seconds since 1970"}
# Types that strings are cast to, in this order: all that Arrow accepts datetime.fromisoformat reads alike.
FORMS = (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("us", "UTC"))
PLAIN = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?)?$"
# A directive of a format -> its regular expression in a text of fixed width.
PARTS = {
    "%Y": r"(\d{4})", "%m": r"(0[1-9]|1[0-2])", "%d": r"(0[1-9]|[12]\d|3[01])",
    "%H": r"([01]\d|2[0-3])", "%M": r"([0-5]\d)", "%S": r"([0-5]\d)",
}  # fmt: skip


def value(cell: Any, feature: DateFeature, how: Reading) -> int | None:
    """Returns seconds since 1970; a moment without a time zone is taken as UTC.

    None for a missing value of an optional feature. Raises Unusable.
    """
    if how.is_absent(cell):
        if feature.optional:
            return None
        cell = None
    try:
        return _seconds(cell, feature.format, how)
    except (AttributeError, OverflowError, TypeError, ValueError):
        raise Unusable(EXPECTED.get(feature.format, f"a date as {feature.format}"), shown(cell)) from None


def column(cells: Cells, feature: DateFeature, how: Reading) -> Column:
    """Returns the stored column, int64: for each cell what `value` returns."""
    convert = partial(value, feature=feature, how=how)
    if isinstance(cells, list):
        return exact(cells, convert, pa.int64())
    if feature.format == "unix":
        parsed_cells = _of_floats(as_floats(cells, how))
    elif pa.types.is_string(cells.type):
        parsed_cells = _of_strings(cells, feature.format, how)
    elif pa.types.is_integer(cells.type) and feature.format != "iso":
        parsed_cells = _of_strings(cells.cast(pa.string()), feature.format, how)
    elif pa.types.is_temporal(cells.type):
        parsed_cells = _of_moments(cells)
    else:
        return exact(cells, convert, pa.int64())
    seconds, is_valid = parsed_cells
    return patched(pa.array(np.where(is_valid, seconds, 0)), ~is_valid, cells, convert)


def iso(seconds: int) -> str:
    """Returns a stored date in ISO 8601: without a time at midnight; as it is stored beyond the years of Python."""
    if not FIRST <= seconds <= LAST:
        return str(seconds)
    text = (EPOCH + seconds * SECOND).replace(tzinfo=None).isoformat()
    return text.removesuffix("T00:00:00")


def _of_floats(numbers: np.ndarray) -> Seconds:
    is_valid = np.abs(numbers) <= MAX_SECONDS
    return np.where(is_valid, numbers, 0).astype(np.int64), is_valid


def _of_strings(cells: pa.StringArray, form: str, how: Reading) -> Seconds:
    """Returns the seconds of strings; strings that Arrow cannot parse count as not valid."""
    trimmed = pc.ascii_trim(cells, SPACES)
    if form != "iso":
        trimmed = _rewritten(trimmed, form)
    seconds, is_valid = _parsed(trimmed)
    markers = how.missing - {""}
    if markers:  # such as 9999-12-31
        is_valid &= ~is_one_of(pc.ascii_trim(cells, SPACES), markers)
    return seconds, is_valid


def _rewritten(texts: pa.StringArray, form: str) -> pa.StringArray:
    """Returns dates in a format of digits only, rewritten as ISO 8601; null for strings in another format."""
    parts = re.split("(%.)", form)
    directives = parts[1::2]
    if not {"%Y", "%m", "%d"} <= set(directives) <= set(PARTS) or len(set(directives)) < len(directives):
        return pa.nulls(len(texts), pa.string())
    pattern = "^" + "".join(PARTS[part] if part in PARTS else re.escape(part) for part in parts) + "$"
    references = {part: rf"\{directives.index(part) + 1}" if part in directives else "00" for part in PARTS}
    iso = "{%Y}-{%m}-{%d} {%H}:{%M}:{%S}".format(**references)
    rewritten = pc.replace_substring_regex(texts, pattern, iso)
    return pc.if_else(pc.match_substring_regex(texts, pattern), rewritten, pa.scalar(None, pa.string()))


def _parsed(texts: pa.StringArray) -> Seconds:
    """Returns the seconds of texts in ISO 8601."""
    for form in FORMS:
        try:
            return _of_moments(texts.cast(form))
        except pa.ArrowInvalid:
            continue
    plain = pc.if_else(pc.match_substring_regex(texts, PLAIN), texts, pa.scalar(None, pa.string()))
    return _of_moments(plain.cast(FORMS[0]))


def _of_moments(cells: pa.Array) -> Seconds:
    """Returns the seconds of dates and timestamps; times of a day are never valid."""
    kind, is_day = cells.type, pa.types.is_date(cells.type)
    if not is_day and not pa.types.is_timestamp(kind):
        return np.zeros(len(cells), np.int64), np.zeros(len(cells), bool)
    valid = cells.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_date32(kind):
        cells = cells.cast(pa.int32())
    integers = cells.cast(pa.int64()).fill_null(0).to_numpy()
    if is_day:
        seconds = integers // (1 if pa.types.is_date32(kind) else 86_400_000) * 86_400
    else:
        seconds = np.sign(integers) * (np.abs(integers) // UNITS[kind.unit])  # fractions of a second are cut off
    return seconds, valid & (seconds >= FIRST) & (seconds <= LAST)


def _seconds(cell: Any, form: str, how: Reading) -> int:
    if form == "unix":
        number = parsed(cell, how.notation) if isinstance(cell, str) else float(cell)
        if number is None or abs(number) > MAX_SECONDS:
            raise ValueError
        return int(number)
    if isinstance(cell, int | float) and not isinstance(cell, bool) and form != "iso":
        cell = word(cell)  # the number 20260131 of a typed column, with format %Y%m%d
    if isinstance(cell, str):
        # fromisoformat refuses Z behind a date without a time.
        text = cell.strip().removesuffix("Z")
        cell = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(cell.strip(), form)
    elif not isinstance(cell, datetime):
        cell = datetime(cell.year, cell.month, cell.day)
    since = (cell if cell.tzinfo else cell.replace(tzinfo=UTC)) - EPOCH
    seconds = since // SECOND
    return seconds + (seconds < 0 and bool(since % SECOND))  # fractions of a second are cut off
