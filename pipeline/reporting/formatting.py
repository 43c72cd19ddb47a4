"""How values are written for people, on pages and in the terminal."""

import json
import time
from typing import Any

import numpy as np


def number(value: Any) -> str:
    """Returns a number as a person reads it; what is none as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return "" if value is None else str(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if not np.isfinite(value):
        return "none"
    size = abs(float(value))
    return f"{value:,.0f}" if size >= 10_000 else f"{value:.4g}" if size >= 1 or size < 1e-4 else f"{value:.4f}"


def setting(value: Any) -> str:
    """Returns a setting as a run file has it: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def duration(seconds: float) -> str:
    """Returns seconds in words, such as `3 min 20 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def moment(seconds: float) -> str:
    """Returns a moment, seconds since 1970, as local time with its zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))


def flat(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Returns nested settings as dotted names and values."""
    found = []
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            found += flat(value, f"{prefix}{name}.")
        else:
            found.append((prefix + name, value))
    return found
