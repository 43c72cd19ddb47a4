"""Dates and moments: int64 seconds since 1970 in UTC."""

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.kinds.cell import (
    SPACES,
    Cells,
    Column,
    ReadOptions,
    Unusable,
    convert_cells,
    convert_doubtful,
    is_one_of,
    shown,
    word,
)
from data.kinds.contract import Kind, numbers
from data.kinds.number import as_floats
from data.numerals import parsed
from data.spec import DateFeature

MAX_SECONDS = 1e18  # before and after 1970; int64 holds them
EPOCH, SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)
MIN_DATETIME, MAX_DATETIME = -62_135_596_800, 253_402_300_799  # seconds since 1970 of the years 1 to 9999
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # unit of a timestamp -> how many a second has
Seconds = tuple[np.ndarray, np.ndarray]  # int64 `(rows,)` since 1970, and bool `(rows,)`: which are valid
EXPECTED = {"iso": "a date such as 2026-01-31 or 2026-01-31T12:00:00", "unix": "seconds since 1970"}
# Types that strings are cast to, in this order; datetime.fromisoformat reads all that Arrow accepts in the same way.
ISO_TYPES = (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("us", "UTC"))
PLAIN = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?)?$"
# Directive of a date format -> regular expression of its digits, with leading zeros.
DIRECTIVES = {
    "%Y": r"(\d{4})", "%m": r"(0[1-9]|1[0-2])", "%d": r"(0[1-9]|[12]\d|3[01])",
    "%H": r"([01]\d|2[0-3])", "%M": r"([0-5]\d)", "%S": r"([0-5]\d)",
}  # fmt: skip


def value(cell: Any, feature: DateFeature, options: ReadOptions) -> int | None:
    """Returns seconds since 1970; a moment without a time zone is taken as UTC.

    None for a missing value of an optional feature. Raises Unusable.
    """
    if options.is_absent(cell):
        if feature.optional:
            return None
        cell = None
    try:
        return _convert_cell(cell, feature.format, options)
    except (AttributeError, OverflowError, TypeError, ValueError):
        raise Unusable(EXPECTED.get(feature.format, f"a date as {feature.format}"), shown(cell)) from None


def column(cells: Cells, feature: DateFeature, options: ReadOptions) -> Column:
    """Returns the stored column, int64: for each cell what `value` returns."""
    convert = partial(value, feature=feature, options=options)
    if isinstance(cells, list):
        return convert_cells(cells, convert, pa.int64())
    if feature.format == "unix":
        parsed_cells = _convert_floats(as_floats(cells, options))
    elif pa.types.is_string(cells.type):
        parsed_cells = _convert_strings(cells, feature.format, options)
    elif pa.types.is_integer(cells.type) and feature.format != "iso":
        parsed_cells = _convert_strings(cells.cast(pa.string()), feature.format, options)
    elif pa.types.is_temporal(cells.type):
        parsed_cells = _convert_timestamps(cells)
    else:
        return convert_cells(cells, convert, pa.int64())
    seconds, is_valid = parsed_cells
    return convert_doubtful(pa.array(np.where(is_valid, seconds, 0)), ~is_valid, cells, convert)


def iso(seconds: int) -> str:
    """Returns a stored date in ISO 8601, at midnight without the time; beyond Python's years the number of seconds."""
    if not MIN_DATETIME <= seconds <= MAX_DATETIME:
        return str(seconds)
    text = (EPOCH + seconds * SECOND).replace(tzinfo=None).isoformat()
    return text.removesuffix("T00:00:00")


def _convert_floats(numbers: np.ndarray) -> Seconds:
    is_valid = np.abs(numbers) <= MAX_SECONDS
    return np.where(is_valid, numbers, 0).astype(np.int64), is_valid


def _convert_strings(cells: pa.StringArray, date_format: str, options: ReadOptions) -> Seconds:
    """Returns the seconds of dates in a format; strings that Arrow cannot parse are not valid."""
    trimmed = pc.ascii_trim(cells, SPACES)
    if date_format != "iso":
        trimmed = _as_iso(trimmed, date_format)
    seconds, is_valid = _parse_iso(trimmed)
    markers = options.missing - {""}
    if markers:  # such as 9999-12-31
        is_valid &= ~is_one_of(pc.ascii_trim(cells, SPACES), markers)
    return seconds, is_valid


def _as_iso(texts: pa.StringArray, date_format: str) -> pa.StringArray:
    """Returns dates in a format of digits only, rewritten as ISO 8601; null for strings in another format."""
    parts = re.split("(%.)", date_format)
    directives = parts[1::2]
    if not {"%Y", "%m", "%d"} <= set(directives) <= set(DIRECTIVES) or len(set(directives)) < len(directives):
        return pa.nulls(len(texts), pa.string())
    pattern = "^" + "".join(DIRECTIVES[part] if part in DIRECTIVES else re.escape(part) for part in parts) + "$"
    references = {part: rf"\{directives.index(part) + 1}" if part in directives else "00" for part in DIRECTIVES}
    iso = "{%Y}-{%m}-{%d} {%H}:{%M}:{%S}".format(**references)
    rewritten = pc.replace_substring_regex(texts, pattern, iso)
    return pc.if_else(pc.match_substring_regex(texts, pattern), rewritten, pa.scalar(None, pa.string()))


def _parse_iso(texts: pa.StringArray) -> Seconds:
    """Returns the seconds of texts in ISO 8601."""
    for timestamp_type in ISO_TYPES:
        try:
            return _convert_timestamps(texts.cast(timestamp_type))
        except pa.ArrowInvalid:
            continue
    plain = pc.if_else(pc.match_substring_regex(texts, PLAIN), texts, pa.scalar(None, pa.string()))
    return _convert_timestamps(plain.cast(ISO_TYPES[0]))


def _convert_timestamps(cells: pa.Array) -> Seconds:
    """Returns the seconds of dates and timestamps; times of a day are never valid."""
    arrow_type, is_day = cells.type, pa.types.is_date(cells.type)
    if not is_day and not pa.types.is_timestamp(arrow_type):
        return np.zeros(len(cells), np.int64), np.zeros(len(cells), bool)
    is_valid = cells.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_date32(arrow_type):
        cells = cells.cast(pa.int32())
    integers = cells.cast(pa.int64()).fill_null(0).to_numpy()
    if is_day:
        seconds = integers // (1 if pa.types.is_date32(arrow_type) else 86_400_000) * 86_400
    else:
        seconds = np.sign(integers) * (np.abs(integers) // UNITS[arrow_type.unit])  # fractions of a second are cut off
    return seconds, is_valid & (seconds >= MIN_DATETIME) & (seconds <= MAX_DATETIME)


def _convert_cell(cell: Any, date_format: str, options: ReadOptions) -> int:
    if date_format == "unix":
        number = parsed(cell, options.notation) if isinstance(cell, str) else float(cell)
        if number is None or abs(number) > MAX_SECONDS:
            raise ValueError
        return int(number)
    if isinstance(cell, int | float) and not isinstance(cell, bool) and date_format != "iso":
        cell = word(cell)  # the number 20260131 of a typed column, with format %Y%m%d
    if isinstance(cell, str):
        # fromisoformat refuses Z behind a date without a time.
        text = cell.strip().removesuffix("Z")
        cell = datetime.fromisoformat(text) if date_format == "iso" else datetime.strptime(cell.strip(), date_format)
    elif not isinstance(cell, datetime):
        cell = datetime(cell.year, cell.month, cell.day)
    elapsed = (cell if cell.tzinfo else cell.replace(tzinfo=UTC)) - EPOCH
    seconds = elapsed // SECOND
    return seconds + (seconds < 0 and bool(elapsed % SECOND))  # fractions of a second are cut off


def _in_data(stored: int, feature: DateFeature) -> str | int:
    return iso(stored)


def _identity(feature: DateFeature) -> tuple:
    return (feature.kind, feature.format)


KIND = Kind(DateFeature, value, column, in_data=_in_data, identity=_identity, array=numbers)
