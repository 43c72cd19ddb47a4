"""Texts that other programs can read: valid UTF-8, JSON of RFC 8259, numbers with their significant digits."""

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")


def is_unicode(text: str) -> bool:
    """Returns whether UTF-8 can hold a text: no half of a surrogate pair, which JSON can escape."""
    return text.isascii() or not _SURROGATE.search(text)


def is_name(text: str) -> bool:
    """Returns whether a text can name a column or a class: UTF-8 can hold it, and there is no zero byte."""
    return "\0" not in text and is_unicode(text)


def to_json(
    value: Any, indent: int | None = None, default: Callable[[Any], Any] | None = None, *, ensure_ascii: bool = True
) -> str:
    """Returns values as JSON; NaN and infinity, which JSON lacks, become null.

    Args:
        value: JSON values.
        indent: Spaces of each level; None for one line.
        default: Converts other values to JSON values.
        ensure_ascii: Whether letters beyond ASCII are escaped.
    """
    options: Any = {"indent": indent, "default": default, "ensure_ascii": ensure_ascii, "allow_nan": False}
    try:
        return json.dumps(value, **options)
    except ValueError:
        return json.dumps(_with_nulls(value), **options)


def significant(
    value: float, sign: str = "", interval: Sequence[float] | None = None, bound: float | None = None
) -> str:
    """Returns a measured number with its significant digits: 0.913 of 0.913 +- 0.025, 172 of 172.07 +- 14.2.

    Args:
        value: The number; all digits before the point are written unless the interval is wider than them.
        sign: `+` to write one before numbers that are not negative, too; `,` to separate thousands.
        interval: The ends of its 95 % interval: two significant digits of half its width are written. Without one, or
            where it has no width, five significant digits, at most four of them after the point: 0.7500, 2312.5.
        bound: A threshold: digits are added until the rounded number is on the same side of it as the number.
    """
    digits = decimals(interval)
    if digits is None or not math.isfinite(value):
        digits = max(4 - int(math.log10(abs(value))), 0) if math.isfinite(value) and abs(value) >= 1 else 4
    while bound is not None and digits < 17 and _side_of(round(value, digits), bound) != _side_of(value, bound):
        digits += 1
    return f"{round(value, digits) + 0.0:{sign}.{max(digits, 0)}f}"  # of a number that rounds to -0 no minus is left


def span(interval: Sequence[float], sign: str = "") -> str:
    """Returns the ends of a 95 % interval with the digits that its width allows, such as `0.920 to 0.958`."""
    return " to ".join(significant(end, sign, interval) for end in interval)


def _side_of(value: float, bound: float) -> int:
    return (value > bound) - (value < bound)


def decimals(interval: Sequence[float] | None) -> int | None:
    """Returns the decimal place of the second significant digit of half the interval's width: 2: hundredths, -1: tens.

    None without an interval, or where its width is 0 or not finite.
    """
    half_width = (interval[1] - interval[0]) / 2 if interval else 0.0
    if not math.isfinite(half_width) or half_width <= 0:
        return None
    return 1 - int(f"{half_width:.1e}".partition("e")[2])  # formatted first: 0.0996 rounds to 0.10


def _with_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_nulls(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [_with_nulls(element) for element in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
