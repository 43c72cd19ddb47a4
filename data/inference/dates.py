"""Tests which date formats match texts."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from data.sources.tables.notation import DATE_FORMATS as FORMATS

__all__ = ["FORMATS", "are_dates", "is_date"]

MIN_ISO = 8  # characters of a date in ISO 8601: 2024 is a number
_ISO = r"^[12]\d{3}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{3}|\.\d{6})?)?)?Z?$"
# With leading zeros; strptime takes 1.2.2024 as well.
_DIGITS = {"%d": r"(?P<d>\d\d)", "%m": r"(?P<m>\d\d)", "%Y": r"(?P<Y>[12]\d{3})", "%H": r"(?P<H>\d\d)"}
_DIGITS |= {"%M": r"(?P<M>\d\d)", "%S": r"(?P<S>\d\d)"}


def are_dates(texts: pa.Array | Sequence[str], formats: Iterable[str]) -> list[str]:
    """Returns the formats that match all texts."""
    return [date_format for date_format in formats if _all_are_dates(texts, date_format)]


def is_date(text: str, date_format: str) -> bool:
    """Returns whether a text is a date in this format."""
    try:
        if date_format == "iso":
            return len(text) >= MIN_ISO and bool(datetime.fromisoformat(text.removesuffix("Z")))
        return bool(datetime.strptime(text, date_format))
    except ValueError:
        return False


def _all_are_dates(texts: pa.Array | Sequence[str], date_format: str) -> bool:
    if not isinstance(texts, pa.Array):
        return all(is_date(text, date_format) for text in texts)
    # In most columns without dates already the first text is not one.
    if len(texts) and not is_date(texts[0].as_py(), date_format):
        return False
    return _all_are_plain_dates(texts, date_format) or all(is_date(text.as_py(), date_format) for text in texts)


def _all_are_plain_dates(texts: pa.Array, date_format: str) -> bool:
    """Returns whether all texts are dates in a format with leading zeros; False where Arrow cannot tell."""
    pattern = _ISO
    if date_format != "iso":
        pattern = "^" + date_format.replace(".", r"\.") + "$"
        for directive, digits in _DIGITS.items():
            pattern = pattern.replace(directive, digits)
    has_date = date_format == "iso" or all(letter in date_format for letter in ("%Y", "%m", "%d"))
    if "%" in pattern or not has_date or not pc.all(pc.match_substring_regex(texts, pattern)).as_py():
        return False
    if date_format == "iso":
        texts = pc.utf8_rtrim(texts, "Z")
    else:
        fields = pc.extract_regex(texts, pattern)
        date_parts = [fields.field(letter) for letter in "Ymd"]
        time_parts = [fields.field(letter) for letter in "HMS" if fields.type.get_field_index(letter) >= 0]
        texts = pc.binary_join_element_wise(*date_parts, "-")
        if time_parts:
            texts = pc.binary_join_element_wise(texts, pc.binary_join_element_wise(*time_parts, ":"), " ")
    try:
        pc.cast(texts, pa.timestamp("us"))
    except pa.ArrowInvalid:
        return False
    return True
