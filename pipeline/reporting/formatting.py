"""How values are written for people, on pages and in the terminal."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data import texts
from data.texts import decimals, significant


@dataclass(frozen=True)
class Measured:
    """A measured number.

    Attributes:
        value: The number; None where there is none.
        interval: The ends of its 95 % interval; None where it is not known, as of a run of an older release.
    """

    value: float | None
    interval: Sequence[float] | None = None

    @classmethod
    def of(cls, name: str, values: Mapping[str, float], intervals: Mapping[str, Sequence[float]]) -> "Measured":
        """Returns one of a table of metrics."""
        return cls(values.get(name), intervals.get(name))

    @property
    def number(self) -> str:
        """The number with the digits that its interval allows."""
        return number(self.value, self.interval)

    @property
    def ends(self) -> str:
        """The interval in words, such as `0.920 to 0.958`; empty where it is not known."""
        return span(self.interval)

    def __str__(self) -> str:
        """Returns it in words, such as `0.942 (0.920 to 0.958)`."""
        return f"{self.number} ({self.ends})" if self.ends else self.number


def number(value: Any, interval: Sequence[float] | None = None, bound: float | None = None) -> str:
    """Returns a number as a person reads it, with the digits that its 95 % interval allows; what is none as it is.

    Where it is held against a `bound`, with more digits if it needs them to be seen on the right side of it.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return "" if value is None else str(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if not np.isfinite(value):
        return "none"
    if bound is not None or decimals(interval) is not None:
        return significant(float(value), ",", interval, bound)
    size = abs(float(value))
    return f"{value:,.0f}" if size >= 10_000 else f"{value:.4g}" if size >= 1 or size < 1e-4 else f"{value:.4f}"


def span(interval: Sequence[float] | None) -> str:
    """Returns an interval in words, such as `0.920 to 0.958`; empty where it is not known."""
    return texts.span(interval, ",") if interval else ""


def difference(value: float, interval: Sequence[float] | None = None) -> str:
    """Returns a difference with its sign, and the digits that its 95 % interval allows."""
    if interval is None and float(value).is_integer():  # of counts
        return f"{value:+,.0f}"
    return significant(value, "+", interval)


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
