"""Formats values for people, on pages and in the terminal."""

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
from data.scripts import cut, isolated, listed
from data.texts import decimals, significant

PATH_NUMBER = re.compile(r"\d+")  # the index of a path of data.files, with which a mistake's `file` begins
MAX_SETTING = 60  # characters of a setting in a column of a comparison
MAX_ITEMS, MAX_ITEM = 3, 20  # items of a long list that are shown, and characters of each
MAX_VALUES = 20  # of a sequence, in a mistake


@dataclass(frozen=True)
class Measured:
    """A measured value with its 95 % confidence interval.

    Attributes:
        value: The value; None if there is none.
        interval: Lower and upper end of the interval; None if unknown, as for runs of older releases.
    """

    value: float | None
    interval: Sequence[float] | None = None

    @classmethod
    def of(cls, name: str, values: Mapping[str, float], intervals: Mapping[str, Sequence[float]]) -> "Measured":
        """Returns the metric `name` of `values`, which is metric -> value, and `intervals`, which is metric -> ends."""
        return cls(values.get(name), intervals.get(name))

    @property
    def number(self) -> str:
        """The value as text, with the digits that its interval allows."""
        return number(self.value, self.interval)

    @property
    def interval_text(self) -> str:
        """The interval as text, such as `0.920 to 0.958`; empty if it is unknown."""
        return span(self.interval)

    def __str__(self) -> str:
        """Returns value and interval as text, such as `0.942 (0.920 to 0.958)`."""
        return f"{self.number} ({self.interval_text})" if self.interval_text else self.number


def row_name(mistake: Mapping[str, Any], files: Any) -> str:
    """Returns the file and number of a mistake's row, and its id if it has one, such as `customers.csv:479, id K12`.

    Messages about rows name file and number in the same way.

    Args:
        mistake: Has `file` and `number`, see `data.columnar.batches.Batch.row_ids`; older releases wrote `row` only.
        files: The setting data.files: a single path is named by its file name, one of several by its index.
    """
    file, row_number = mistake.get("file", ""), mistake.get("number")
    id_of_row = f", id {isolated(mistake['id'])}" if "id" in mistake else ""
    if not file:
        return f"test row {mistake['row'] + 1 if row_number is None else row_number:,}{id_of_row}"
    if files is not None and (match := PATH_NUMBER.match(file)):
        name = Path(files).name if isinstance(files, str) and not glob.has_magic(files) else f"file {match[0]}"
        file = name + file.removeprefix(match[0])
    return (f"{file}:{row_number}" if row_number else file) + id_of_row


def cell(value: Any) -> Any:
    """Returns a feature value for people: `true` or `false`, `missing` for None, texts and whole numbers unchanged.

    Of a long list it returns the first values and their number, as text.
    """
    if isinstance(value, list) and len(value) > MAX_VALUES:
        first = ", ".join(f"{item:g}" if isinstance(item, int | float) else item for item in value[:MAX_VALUES])
        return f"{first}, … ({len(value):,} values)"
    if isinstance(value, float) and np.isfinite(value):
        return data_number(value)
    return "missing" if value is None else str(value).lower() if isinstance(value, bool) else value


def number(value: Any, interval: Sequence[float] | None = None, bound: float | None = None) -> str:
    """Returns a number as text, with the digits that its 95 % interval allows.

    Args:
        value: The number; None gives an empty text, other values that are no numbers are returned as text.
        interval: Ends of its 95 % interval; None if unknown.
        bound: A threshold for the number: digits are added until they show on which side of it the number lies.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return "" if value is None else str(value)
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if not np.isfinite(value):
        return "none"
    if bound is not None or decimals(interval) is not None:
        return significant(float(value), ",", interval, bound)
    magnitude = abs(float(value))
    return (
        f"{value:,.0f}"
        if magnitude >= 10_000
        else f"{value:.4g}"
        if magnitude >= 1 or magnitude < 1e-4
        else f"{value:.4f}"
    )


def data_number(value: float) -> str:
    """Returns a number of the data as text, with four significant digits and without zeros at its end: 0.52."""
    return f"{value:.4g}" if isinstance(value, float) and abs(value) < 1 else number(value)


def rounded(value: float | None) -> float | None:
    """Returns a measured time or size: from 1 on with three digits, and all before the point; below 1 unchanged."""
    if value is None or abs(value) < 1:
        return value
    return round(value) if abs(value) >= 100 else float(f"{value:.3g}")


def span(interval: Sequence[float] | None) -> str:
    """Returns an interval as text, such as `0.920 to 0.958`; empty if it is unknown."""
    return texts.span(interval, ",") if interval else ""


def difference(value: float, interval: Sequence[float] | None = None) -> str:
    """Returns a difference as text, with its sign and the digits that its 95 % interval allows."""
    if interval is None and float(value).is_integer():  # of counts
        return f"{value:+,.0f}"
    return significant(value, "+", interval)


def setting(value: Any) -> str:
    """Returns a setting as a run file has it: texts unchanged, other values as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def settings_row(values: Sequence[Any]) -> list[str]:
    """Returns the values that several runs have for a setting as texts short enough for a table column.

    For a long list, such as a thousand classes, the first run shows the first items, and each other run the items that
    were added and removed.
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
        first_items = list(map(setting, first))
        first_set, item_set = set(first_items), set(items)
        changes = {
            "added": [item for item in items if item not in first_set],
            "removed": [item for item in first_items if item not in item_set],
        }
        texts = [f"{_first(changed)} {change}" for change, changed in changes.items() if changed]
        return f"{len(value):,}: {'; '.join(texts) or 'the same in another order'}"
    return f"{len(value):,}: {_first(items)}"


def _first(items: Sequence[str]) -> str:
    """Returns the first MAX_ITEMS items, each cut to MAX_ITEM characters."""
    return listed([item if len(item) <= MAX_ITEM else cut(item, MAX_ITEM - 1) + "…" for item in items], MAX_ITEMS)


def duration(seconds: float) -> str:
    """Returns seconds as text, such as `3 min 20 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, remaining_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {remaining_seconds} s"


def moment(seconds: float) -> str:
    """Returns a time, in seconds since 1970, as local date and time with the time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))


def flat(settings: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Returns nested settings as pairs of dotted name and value."""
    pairs = []
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            pairs += flat(value, f"{prefix}{name}.")
        else:
            pairs.append((prefix + name, value))
    return pairs
