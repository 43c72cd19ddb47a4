"""Data in spans: files whose paths hold a number or a date, of which a run uses the newest few.

The placeholders in a path are TFX's: `{SPAN}`, or `{YYYY}`, `{MM}` and `{DD}` together.
"""

import glob
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from data.errors import ConfigError

EPOCH = date(1970, 1, 1)
PLACEHOLDERS = {
    "{SPAN}": r"(?P<span>\d+)",
    "{YYYY}": r"(?P<year>\d{4})",
    "{MM}": r"(?P<month>\d{2})",
    "{DD}": r"(?P<day>\d{2})",
}


@dataclass(frozen=True)
class Span:
    """One span.

    Attributes:
        number: Sort key: the number, or days since 1970-01-01.
        name: The number, or the date such as 2026-11-25, as text.
    """

    number: int
    name: str


def has_placeholders(pattern: str) -> bool:
    """Returns whether a path names spans; raises ConfigError where it names half a date, or both."""
    placeholders = [placeholder for placeholder in PLACEHOLDERS if placeholder in pattern]
    if placeholders and placeholders not in (["{SPAN}"], ["{YYYY}", "{MM}", "{DD}"]):
        raise ConfigError(f"data.files: {pattern}: expected {{SPAN}}, or {{YYYY}}, {{MM}} and {{DD}} together.")
    return bool(placeholders)


def find(pattern: str) -> dict[Span, list[str]]:
    """Returns the spans for which there are files or folders, the oldest first, each with its paths.

    Args:
        pattern: An absolute path with the placeholders, and `*`, `?` or `**` where need be.
    """
    glob_pattern = pattern.replace("[", "[[]")  # `[` is a letter here
    for placeholder in PLACEHOLDERS:
        glob_pattern = glob_pattern.replace(placeholder, "*")
    regex = _regex(pattern)
    paths_by_span: dict[Span, list[str]] = {}
    for path in sorted(glob.glob(glob_pattern, recursive=True)):
        match = regex.fullmatch(path)
        span = _span(match) if match else None
        if span:
            paths_by_span.setdefault(span, []).append(path)
    return dict(sorted(paths_by_span.items(), key=lambda item: item[0].number))


def _regex(pattern: str) -> re.Pattern:
    used_names: set[str] = set()
    text = ""
    for part in re.split(r"(\{SPAN\}|\{YYYY\}|\{MM\}|\{DD\}|\*\*/?|\*|\?)", pattern):
        if part in PLACEHOLDERS:
            name = re.search(r"<(\w+)>", PLACEHOLDERS[part])[1]  # type: ignore[index]
            text += f"(?P={name})" if name in used_names else PLACEHOLDERS[part]
            used_names.add(name)
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


def window(all_spans: Mapping[Span, list[str]], size: int | None) -> dict[Span, list[str]]:
    """Returns the spans of the newest `size` numbers or days; missing ones are not replaced by older ones."""
    if not all_spans or size is None:
        return dict(all_spans)
    newest_number = max(span.number for span in all_spans)
    return {span: paths for span, paths in all_spans.items() if span.number > newest_number - size}


def named(name: str) -> Span:
    """Returns the span of a name."""
    return Span(int(name) if name.isdecimal() else (date.fromisoformat(name) - EPOCH).days, name)


def missing(used: Iterable[Span]) -> list[str]:
    """Returns the names of the numbers or days between the oldest and the newest that have no files."""
    numbers = {span.number: span.name for span in used}
    gaps = [number for number in range(min(numbers), max(numbers)) if number not in numbers]
    dated = "-" in numbers[max(numbers)]
    return [(EPOCH + timedelta(days=number)).isoformat() if dated else str(number) for number in gaps]


def changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Returns the changes of spans since the last run, a sentence each.

    Args:
        before: Name of a span -> digest of its content, as the last run used them.
        now: Name of a span -> digest of its content, in this run.
    """
    sentences = []
    changed = [name for name in now if name in before and before[name] != now[name]]
    newest = max(before, key=_number, default=None)
    late = [name for name in now if before and name not in before and newest and _number(name) < _number(newest)]
    # A span that is older than the window's first one has only left the window.
    oldest = min(now, key=_number, default=None)
    removed = [name for name in before if name not in now and oldest and _number(name) > _number(oldest)]
    for change, names in (("changed since the last run", changed), ("came late", late), ("is gone", removed)):
        sentences += [f"span {name} {change}" for name in sorted(names, key=_number)]
    return sentences


def _number(name: str) -> int:
    return named(name).number
