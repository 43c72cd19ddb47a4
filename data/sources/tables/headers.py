"""Whether the first row of a table holds the names of its columns, judged by what stands below it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

MISSING = ("", "?", "na", "n/a", "nan", "null", "none", "-", ".")
NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?")
# A day, and maybe a time: 2024-05-01, 01.05.2024, 5/1/24, 2024-05-01T10:00:00Z.
DATE = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}([T ].*)?")
YEARS = (1800, 2100)
NEARLY_ALL = 0.95  # of a column's cells, to be of one kind
MIN_REPEATED = 3  # times that a value stands in a column on average, for all its values to be seen
FAR = 0.5  # of the range of a column, beyond which a number is no cell of it
OVERWHELMING = 3  # times as many columns, for those that say otherwise to be exceptions
MAX_SHOWN = 3
MAX_NAME = 30  # characters


@dataclass(frozen=True)
class Evidence:
    """What one column says about the first row.

    Attributes:
        name: What stands in the first row.
        kind: What it speaks for: `data`, `header`, `unclear` for numbers that may be names; empty for
            nothing.
        reason: What the name is, in a few words; empty where that tells nothing.
    """

    name: str
    kind: Literal["data", "header", "unclear", ""] = ""
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the first row of a table is.

    Attributes:
        kind: `header`: the names of the columns; `data`: a row like the others; `unclear`: numbers that may be names.
        reason: What speaks for data, or for a header, in a few words; empty where nothing does.
    """

    kind: Literal["header", "data", "unclear"]
    reason: str = ""


def judge(names: Sequence[str], table: Sequence[Sequence[str]]) -> Verdict:
    """Returns what the first row of a table is.

    Args:
        names: Its cells.
        table: The rows below, as many as there are to look at; those of another length do not count.
    """
    names = [name.strip() for name in names]
    table = [[cell.strip() for cell in cells] for cells in table if len(cells) == len(names)]
    table = [cells for cells in table if cells != names]  # files with headers, put one behind the other
    if not table:
        return Verdict("header")
    columns = [[cell for cell in column if cell.lower() not in MISSING] for column in zip(*table, strict=True)]
    evidence = [_of_column(name, column) for name, column in zip(names, columns, strict=True)]
    if _is_series([name for name in names if NUMBER.fullmatch(name)]):
        evidence = [
            replace(one, kind="unclear") if one.kind == "data" and NUMBER.fullmatch(one.name) else one
            for one in evidence
        ]
    # The first and the last are often without a name: row numbers, a comma at the end of the line.
    evidence += [Evidence(name, "unclear", "an empty name") for name in names[1:-1] if not name]
    return _verdict(evidence)


def _verdict(evidence: Sequence[Evidence]) -> Verdict:
    data = [one for one in evidence if one.kind == "data"]
    unclear = [one for one in evidence if one.kind == "unclear"]
    header = [one for one in evidence if one.kind == "header"]
    if data and len(data) >= OVERWHELMING * len(header):
        return Verdict("data", _reasons(data))
    if data or len(unclear) > len(header):
        return Verdict("unclear", _reasons(data + unclear))
    return Verdict("header", _reasons(header))


def _reasons(evidence: Sequence[Evidence]) -> str:
    """Returns what the names are, those that have one reason together."""
    names: dict[str, list[str]] = {}
    for one in evidence:
        names.setdefault(one.reason, []).append(one.name)
    return "; ".join(f"{_listed(names)}: {reason}" for reason, names in names.items())


def _of_column(name: str, cells: Sequence[str]) -> Evidence:
    """Returns what a name and the cells below it say about the first row."""
    if not cells or name.lower() in MISSING:
        return Evidence(name)
    numbers = [_number(cell) for cell in cells if NUMBER.fullmatch(cell)]
    if len(numbers) >= NEARLY_ALL * len(cells):
        return _of_numbers(name, numbers)
    if sum(bool(DATE.fullmatch(cell)) for cell in cells) >= NEARLY_ALL * len(cells):
        is_date = DATE.fullmatch(name)
        return (
            Evidence(name, "data", "a date above dates") if is_date else Evidence(name, "header", "no date above dates")
        )
    if name in cells:
        return Evidence(name, "data", "a value that stands in its column again")
    is_seen = MIN_REPEATED * len(set(cells)) <= len(cells)
    return Evidence(name, "header", "none of the few values of its column") if is_seen else Evidence(name)


def _of_numbers(name: str, numbers: Sequence[float]) -> Evidence:
    if not NUMBER.fullmatch(name):
        return Evidence(name, "header", "no number above numbers")
    value, least, most = _number(name), min(numbers), max(numbers)
    reason = "a number above numbers like it"
    if least <= value <= most:
        return Evidence(name, "data", reason)
    margin = FAR * (most - least)
    is_near = least - margin <= value <= most + margin
    return (
        Evidence(name, "unclear", reason) if is_near else Evidence(name, "header", "a number far from those below it")
    )


def _is_series(names: Sequence[str]) -> bool:
    """Returns whether numbers are such as people name columns by: years, 0 1 2, wavelengths; each above the last."""
    values = [_number(name) for name in names]
    steps = {round(after - before, 9) for before, after in pairwise(values)}
    if not values or any(step <= 0 for step in steps):
        return False
    years = all(value.is_integer() and YEARS[0] <= value <= YEARS[1] for value in values)
    counted = len(values) > 1 and steps == {1} and values[0] in (0, 1)
    return years or counted or len(values) > 3 or (len(values) == 3 and len(steps) == 1)


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _listed(names: Sequence[str]) -> str:
    shown = [repr(name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}...") for name in names[:MAX_SHOWN]]
    return ", ".join(shown) + (f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else "")
