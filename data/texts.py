"""Texts that every program reads: Unicode that UTF-8 can hold, and JSON as RFC 8259 has it."""

import json
import math
import re
from collections.abc import Callable
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


def significant(value: float, sign: str = "") -> str:
    """Returns a measured number with five significant digits, at most four of them after the point: 0.7500, 2312.5.

    Args:
        value: The number; its digits before the point are all told.
        sign: `+` to write one before numbers that are not negative, too.
    """
    digits = 4 - int(math.log10(abs(value))) if math.isfinite(value) and abs(value) >= 1 else 4
    return f"{value:{sign}.{max(digits, 0)}f}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
