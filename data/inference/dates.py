"""In which formats texts are dates."""

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
    """Returns those of some formats in which all texts are dates."""
    return [form for form in formats if _all(texts, form)]


def is_date(text: str, form: str) -> bool:
    """Returns whether a text is a date in a format."""
    try:
        if form == "iso":
            return len(text) >= MIN_ISO and bool(datetime.fromisoformat(text.removesuffix("Z")))
        return bool(datetime.strptime(text, form))
    except ValueError:
        return False


def _all(texts: pa.Array | Sequence[str], form: str) -> bool:
    if not isinstance(texts, pa.Array):
        return all(is_date(text, form) for text in texts)
    # Of what is no date mostly the first is none.
    if len(texts) and not is_date(texts[0].as_py(), form):
        return False
    return _all_plain(texts, form) or all(is_date(text.as_py(), form) for text in texts)


def _all_plain(texts: pa.Array, form: str) -> bool:
    """Returns whether all texts are plainly dates in a format, with as many digits as it has; False where in doubt."""
    pattern = _ISO
    if form != "iso":
        pattern = "^" + form.replace(".", r"\.") + "$"
        for directive, digits in _DIGITS.items():
            pattern = pattern.replace(directive, digits)
    is_whole = form == "iso" or all(part in form for part in ("%Y", "%m", "%d"))
    if "%" in pattern or not is_whole or not pc.all(pc.match_substring_regex(texts, pattern)).as_py():
        return False
    if form == "iso":
        texts = pc.utf8_rtrim(texts, "Z")
    else:
        parts = pc.extract_regex(texts, pattern)
        day = [parts.field(part) for part in "Ymd"]
        clock = [parts.field(part) for part in "HMS" if parts.type.get_field_index(part) >= 0]
        texts = pc.binary_join_element_wise(*day, "-")
        if clock:
            texts = pc.binary_join_element_wise(texts, pc.binary_join_element_wise(*clock, ":"), " ")
    try:
        pc.cast(texts, pa.timestamp("us"))
    except pa.ArrowInvalid:
        return False
    return True
