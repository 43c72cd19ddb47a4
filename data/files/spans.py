"""Data that comes in spans: files whose paths hold a number or a date, of which a run takes the newest few.

The words in a path are TFX's: `{SPAN}`, or `{YYYY}`, `{MM}` and `{DD}` together.
"""

import glob
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from data.errors import ConfigError

EPOCH = date(1970, 1, 1)
WORDS = {
    "{SPAN}": r"(?P<span>\d+)",
    "{YYYY}": r"(?P<year>\d{4})",
    "{MM}": r"(?P<month>\d{2})",
    "{DD}": r"(?P<day>\d{2})",
}


@dataclass(frozen=True)
class Span:
    """One span.

    Attributes:
        number: What it is ordered by: the number, or days since 1970-01-01.
        name: How it is written: the number, or the date as 2026-11-25.
    """

    number: int
    name: str


def has_words(pattern: str) -> bool:
    """Returns whether a path names spans; raises ConfigError where it names half a date, or both."""
    there = [word for word in WORDS if word in pattern]
    if there and there not in (["{SPAN}"], ["{YYYY}", "{MM}", "{DD}"]):
        raise ConfigError(f"data.files: {pattern}: expected {{SPAN}}, or {{YYYY}}, {{MM}} and {{DD}} together.")
    return bool(there)


def find(pattern: str) -> dict[Span, list[str]]:
    """Returns the spans for which there are files or folders, the oldest first, each with its paths.

    Args:
        pattern: An absolute path with the words, and `*`, `?` or `**` where need be.
    """
    place = pattern.replace("[", "[[]")  # no sign of ours
    for word in WORDS:
        place = place.replace(word, "*")
    regex = _regex(pattern)
    found: dict[Span, list[str]] = {}
    for path in sorted(glob.glob(place, recursive=True)):
        match = regex.fullmatch(path)
        span = _span(match) if match else None
        if span:
            found.setdefault(span, []).append(path)
    return dict(sorted(found.items(), key=lambda item: item[0].number))


def _regex(pattern: str) -> re.Pattern:
    seen: set[str] = set()
    text = ""
    for part in re.split(r"(\{SPAN\}|\{YYYY\}|\{MM\}|\{DD\}|\*\*/?|\*|\?)", pattern):
        if part in WORDS:
            name = re.search(r"<(\w+)>", WORDS[part])[1]  # type: ignore[index]
            text += f"(?P={name})" if name in seen else WORDS[part]
            seen.add(name)
        else:
            text += {"*": "[^/]*", "?": "[^/]", "**": ".*", "**/": "(?:.*/)?"}.get(part, re.escape(part))
    return re.compile(text)


def _span(match: re.Match) -> Span | None:
    groups = match.groupdict()
    if "span" in groups:
        return Span(int(groups["span"]), groups["span"])
    try:
        day = date(int(groups["year"]), int(groups["month"]), int(groups["day"]))
    except ValueError:  # the 31st of February
        return None
    return Span((day - EPOCH).days, day.isoformat())


def window(found: Mapping[Span, list[str]], size: int | None) -> dict[Span, list[str]]:
    """Returns the spans of the newest `size` numbers or days; those that are not there are not made up for."""
    if not found or size is None:
        return dict(found)
    newest = max(span.number for span in found)
    return {span: paths for span, paths in found.items() if span.number > newest - size}


def named(name: str) -> Span:
    """Returns the span that is written so."""
    return Span(int(name) if name.isdecimal() else (date.fromisoformat(name) - EPOCH).days, name)


def missing(used: Iterable[Span]) -> list[str]:
    """Returns the names of the numbers or days between the oldest and the newest for which nothing is there."""
    numbers = {span.number: span.name for span in used}
    gaps = [number for number in range(min(numbers), max(numbers)) if number not in numbers]
    dated = "-" in numbers[max(numbers)]
    return [(EPOCH + timedelta(days=number)).isoformat() if dated else str(number) for number in gaps]


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Returns what is not as it was in the last run, a sentence each.

    Args:
        before: Name of a span -> digest of its content, as the last run used them.
        now: The same of this run.
    """
    told = []
    changed = [name for name in now if name in before and before[name] != now[name]]
    newest = max(before, key=_number, default=None)
    late = [name for name in now if before and name not in before and newest and _number(name) < _number(newest)]
    # One that is older than the window's first has left it in good order.
    oldest = min(now, key=_number, default=None)
    gone = [name for name in before if name not in now and oldest and _number(name) > _number(oldest)]
    for words, names in (("changed since the last run", changed), ("came late", late), ("is gone", gone)):
        told += [f"span {name} {words}" for name in sorted(names, key=_number)]
    return told


def _number(name: str) -> int:
    return named(name).number
