"""Texts that every program reads: Unicode that UTF-8 can hold, and JSON as RFC 8259 has it."""

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
    """Returns values as JSON; NaN and infinity, which JSON has not, become null.

    Args:
        value: JSON values.
        indent: Spaces of each level; None for one line.
        default: Makes JSON values of others.
        ensure_ascii: Whether other letters are escaped.
    """
    options: Any = {"indent": indent, "default": default, "ensure_ascii": ensure_ascii, "allow_nan": False}
    try:
        return json.dumps(value, **options)
    except ValueError:
        return json.dumps(_finite(value), **options)


def significant(
    value: float, sign: str = "", interval: Sequence[float] | None = None, bound: float | None = None
) -> str:
    """Returns a measured number with the digits that it is known to: 0.913 of 0.913 +- 0.025, 172 of 172.07 +- 14.2.

    Args:
        value: The number; its digits before the point are all told unless an interval says that they are not known.
        sign: `+` to write one before numbers that are not negative, too; `,` to part thousands.
        interval: The ends of its 95 % interval: two significant digits of half its width are told. Without one, or
            where it has no width, five significant digits, at most four of them after the point: 0.7500, 2312.5.
        bound: What the number is held against: digits are added until it is seen on which side it lies.
    """
    digits = decimals(interval)
    if digits is None or not math.isfinite(value):
        digits = max(4 - int(math.log10(abs(value))), 0) if math.isfinite(value) and abs(value) >= 1 else 4
    while bound is not None and digits < 17 and _side(round(value, digits), bound) != _side(value, bound):
        digits += 1
    return f"{round(value, digits) + 0.0:{sign}.{max(digits, 0)}f}"  # of a number that rounds to -0 no minus is left


def span(interval: Sequence[float], sign: str = "") -> str:
    """Returns the ends of a 95 % interval with the digits that its width allows, such as `0.920 to 0.958`."""
    return " to ".join(significant(end, sign, interval) for end in interval)


def _side(value: float, bound: float) -> int:
    return (value > bound) - (value < bound)


def decimals(interval: Sequence[float] | None) -> int | None:
    """Returns the place of the second significant digit of half an interval's width: 2 for hundredths, -1 for tens.

    None where nothing is known, or there is no width.
    """
    half = (interval[1] - interval[0]) / 2 if interval else 0.0
    if not math.isfinite(half) or half <= 0:
        return None
    return 1 - int(f"{half:.1e}".partition("e")[2])  # written first: 0.0996 is 0.10


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
