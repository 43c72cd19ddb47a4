"""How values are written for people, on pages and in the terminal."""

import glob
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data import texts
from data.scripts import cut, listed
from data.texts import decimals, significant

PATH_NUMBER = re.compile(r"\d+")  # that a row's file begins with
MAX_SETTING = 60  # characters of a setting in a column of a comparison
MAX_ITEMS, MAX_ITEM = 3, 20  # of a long list how many are told, and with how many characters


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


def row_name(mistake: Mapping[str, Any], files: Any) -> str:
    """Returns which row of the data a mistake is, as messages about rows name it, such as `customers.csv:479`.

    Args:
        mistake: Its `file` and `number`, see `data.columnar.batches.Batch.row_ids`; an older release wrote `row` alone.
        files: The setting data.files: the file is named where it is one path, else by its number.
    """
    file, line = mistake.get("file", ""), mistake.get("number")
    if not file:
        return f"test row {mistake['row'] + 1 if line is None else line:,}"
    if files is not None and (found := PATH_NUMBER.match(file)):
        path = Path(files).name if isinstance(files, str) and not glob.has_magic(files) else f"file {found[0]}"
        file = path + file.removeprefix(found[0])
    return f"{file}:{line}" if line else file


def cell(value: Any) -> Any:
    """Returns a value of a row for people: true or false, `missing` for none, a text or number as it is."""
    return "missing" if value is None else str(value).lower() if isinstance(value, bool) else value


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
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def settings_row(values: Sequence[Any]) -> list[str]:
    """Returns a setting of several runs, each value short enough for a column.

    Of a long list, such as a thousand classes, the first run's has its first items, the others' what was added to it
    and what was removed.
    """
    return [_short_setting(value, values[0] if index else None) for index, value in enumerate(values)]


def _short_setting(value: Any, first: Any) -> str:
    text = setting(value)
    if len(text) <= MAX_SETTING:
        return text
    if not isinstance(value, list):
        return cut(text, MAX_SETTING - 1) + "…"
    if value == first:
        return f"{len(value):,}, the same"
    items = list(map(setting, value))
    if isinstance(first, list):
        before = list(map(setting, first))
        known, kept = set(before), set(items)
        changes = {
            "added": [one for one in items if one not in known],
            "removed": [one for one in before if one not in kept],
        }
        told = [f"{_first(names)} {what}" for what, names in changes.items() if names]
        return f"{len(value):,}: {'; '.join(told) or 'the same in another order'}"
    return f"{len(value):,}: {_first(items)}"


def _first(items: Sequence[str]) -> str:
    """Returns the first of many items, each cut."""
    return listed([one if len(one) <= MAX_ITEM else cut(one, MAX_ITEM - 1) + "…" for one in items], MAX_ITEMS)


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
