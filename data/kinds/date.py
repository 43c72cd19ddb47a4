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

MAX_SECONDS = 1e18  # since 1970, each way: what int64 holds
EPOCH, SECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1)
FIRST, LAST = -62_135_596_800, 253_402_300_799  # the years 1 to 9999, which Python has
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}  # of timestamps, a second
Seconds = tuple[np.ndarray, np.ndarray]  # int64 `(rows,)` since 1970, and bool: which are right
EXPECTED = {"iso": "a date such as 2026-01-31 or 2026-01-31T12:00:00", "unix": "seconds since 1970"}
# As strings are tried: of each Arrow reads only what datetime.fromisoformat reads, and the same of it.
FORMS = (pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("us", "UTC"))
PLAIN = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?)?$"
# A part of a format -> what it is in a text of fixed width.
PARTS = {
    "%Y": r"(\d{4})", "%m": r"(0[1-9]|1[0-2])", "%d": r"(0[1-9]|[12]\d|3[01])",
    "%H": r"([01]\d|2[0-3])", "%M": r"([0-5]\d)", "%S": r"([0-5]\d)",
}  # fmt: skip


def value(cell: Any, feature: DateFeature, how: Reading) -> int | None:
    """Returns seconds since 1970; a moment without a time zone is taken as UTC.

    Of nothing it is None where the feature is optional. Raises Unusable.
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
    one = partial(value, feature=feature, how=how)
    if isinstance(cells, list):
        return exact(cells, one, pa.int64())
    if feature.format == "unix":
        found = _whole(as_floats(cells, how))
    elif pa.types.is_string(cells.type):
        found = _of_strings(cells, feature.format, how)
    elif pa.types.is_integer(cells.type) and feature.format != "iso":
        found = _of_strings(cells.cast(pa.string()), feature.format, how)
    elif pa.types.is_temporal(cells.type):
        found = _of_moments(cells)
    else:
        return exact(cells, one, pa.int64())
    seconds, right = found
    return patched(pa.array(np.where(right, seconds, 0)), ~right, cells, one)


def _whole(numbers: np.ndarray) -> Seconds:
    right = np.abs(numbers) <= MAX_SECONDS
    return np.where(right, numbers, 0).astype(np.int64), right


def _of_strings(cells: pa.StringArray, form: str, how: Reading) -> Seconds:
    """Returns the moments of strings; those that are written in another way than most count as not right."""
    trimmed = pc.ascii_trim(cells, SPACES)
    if form != "iso":
        trimmed = _rewritten(trimmed, form)
    seconds, right = _parsed(trimmed)
    markers = how.missing - {""}
    if markers:  # 9999-12-31 for nothing
        right &= ~is_one_of(pc.ascii_trim(cells, SPACES), markers)
    return seconds, right


def _rewritten(texts: pa.StringArray, form: str) -> pa.StringArray:
    """Returns dates of a format with digits only as ISO 8601; null for what is not of it."""
    parts = re.split("(%.)", form)
    used = parts[1::2]
    if not {"%Y", "%m", "%d"} <= set(used) <= set(PARTS) or len(set(used)) < len(used):
        return pa.nulls(len(texts), pa.string())
    pattern = "^" + "".join(PARTS[part] if part in PARTS else re.escape(part) for part in parts) + "$"
    places = {part: rf"\{used.index(part) + 1}" if part in used else "00" for part in PARTS}
    iso = "{%Y}-{%m}-{%d} {%H}:{%M}:{%S}".format(**places)
    made = pc.replace_substring_regex(texts, pattern, iso)
    return pc.if_else(pc.match_substring_regex(texts, pattern), made, pa.scalar(None, pa.string()))


def _parsed(texts: pa.StringArray) -> Seconds:
    """Returns the moments of texts in ISO 8601."""
    for form in FORMS:
        try:
            return _of_moments(texts.cast(form))
        except pa.ArrowInvalid:
            continue
    plain = pc.if_else(pc.match_substring_regex(texts, PLAIN), texts, pa.scalar(None, pa.string()))
    return _of_moments(plain.cast(FORMS[0]))


def _of_moments(moments: pa.Array) -> Seconds:
    """Returns the seconds of dates and timestamps; of times of a day none is right."""
    kind, is_day = moments.type, pa.types.is_date(moments.type)
    if not is_day and not pa.types.is_timestamp(kind):
        return np.zeros(len(moments), np.int64), np.zeros(len(moments), bool)
    valid = moments.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_date32(kind):
        moments = moments.cast(pa.int32())
    whole = moments.cast(pa.int64()).fill_null(0).to_numpy()
    if is_day:
        seconds = whole // (1 if pa.types.is_date32(kind) else 86_400_000) * 86_400
    else:
        seconds = np.sign(whole) * (np.abs(whole) // UNITS[kind.unit])  # a part of a second is cut off
    return seconds, valid & (seconds >= FIRST) & (seconds <= LAST)


def _seconds(cell: Any, form: str, how: Reading) -> int:
    if form == "unix":
        number = parsed(cell, how.notation) if isinstance(cell, str) else float(cell)
        if number is None or abs(number) > MAX_SECONDS:
            raise ValueError
        return int(number)
    if isinstance(cell, int | float) and not isinstance(cell, bool) and form != "iso":
        cell = word(cell)  # 20260131 of a file with types, as %Y%m%d
    if isinstance(cell, str):
        # Behind a date without a time fromisoformat takes no Z.
        text = cell.strip().removesuffix("Z")
        cell = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(cell.strip(), form)
    elif not isinstance(cell, datetime):
        cell = datetime(cell.year, cell.month, cell.day)
    since = (cell if cell.tzinfo else cell.replace(tzinfo=UTC)) - EPOCH
    seconds = since // SECOND
    return seconds + (seconds < 0 and bool(since % SECOND))  # a part of a second is cut off
