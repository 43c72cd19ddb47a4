"""Whether the first row of a table holds the names of its columns, judged by what stands below it."""

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from data.scripts import listed

MISSING = ("", "?", "na", "n/a", "nan", "null", "none", "-", ".")
NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?")
# A day, and maybe a time: 2024-05-01, 01.05.2024, 5/1/24, 2024-05-01T10:00:00Z.
DATE = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}([T ].*)?")
PATH = re.compile(r".*\.\w{2,5}")
SNAKE_CASE = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)+")
# Of columns of texts, files and identifiers, in tables that have no other column.
USUAL_NAMES = {
    "text", "comment", "review", "sentence", "message", "content", "body", "title", "description", "document",
    "tweet", "question", "input", "id", "name", "user", "item", "path", "file", "filename", "image", "photo",
    "picture", "url",
}  # fmt: skip
YEARS = (1800, 2100)
NEARLY_ALL = 0.95  # of a column's cells, to be of one kind
MIN_REPEATED = 3  # times that a value stands in a column on average, for all its values to be seen
FAR = 0.5  # of the range of a column, beyond which a number is no cell of it
OVERWHELMING = 3  # times as many columns, for those that say otherwise to be exceptions
SURE_ROWS = 20  # below a first row whose cells stand in none of their columns, for it to be a header beyond doubt
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
        is_certain: Whether the name is of another type than the column.
    """

    name: str
    kind: Literal["data", "header", "unclear", ""] = ""
    reason: str = ""
    is_certain: bool = False


@dataclass(frozen=True)
class Verdict:
    """What the first row of a table is.

    Attributes:
        kind: `header`: the names of the columns; `data`: a row like the others; `unclear`: numbers that may be names.
        reason: What speaks for data, or for a header, in a few words; empty where nothing does.
        is_certain: Whether no row of this table can look like the first one, as one with an unusual value may.
    """

    kind: Literal["header", "data", "unclear"]
    reason: str = ""
    is_certain: bool = False


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
    verdict = _verdict(evidence)
    return replace(verdict, is_certain=verdict.kind == "header" and _is_certain(evidence, len(table)))


def resolved(cells: Sequence[str], names: Sequence[str]) -> list[str]:
    """Returns the cells of a header, with one of the given names where a cell is it but for case and blanks."""
    alike, found = Counter(map(_folded, names)), [cell if cell in names else _folded(cell) for cell in cells]
    spelled = {
        _folded(name): name
        for name in names
        if name not in cells and alike[_folded(name)] == 1 and found.count(_folded(name)) == 1
    }
    return [cell if cell in names else spelled.get(_folded(cell), cell) for cell in cells]


def missing(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Returns that columns are missing, a sentence each, with the one of the other columns that each may be."""
    folded, said = {_folded(other): other for other in reversed(others)}, []
    for name in names:
        close = difflib.get_close_matches(_folded(name), folded, n=1)
        said.append(f"column {name} is missing" + (f" (there is {folded[close[0]]!r})" if close else ""))
    return said


def holds(names: Sequence[str], cells: Sequence[str], table: Sequence[Sequence[str]]) -> bool:
    """Returns whether a first row is a header with at least some of the names that a table should have.

    Args:
        names: The names.
        cells: The first row, as `resolved` returns it.
        table: The rows below, as of `judge`.
    """
    known = [cell for cell in cells if cell in names]
    others = [number for number, cell in enumerate(cells) if cell not in names]
    if not known or len(set(cells)) < len(cells):
        return False
    # A value may well be called as a column of one letter is.
    has_words = max(map(len, known)) > 1
    if not others or (has_words and len(known) > len(others)):
        return True
    rest = [cells[number] for number in others]
    verdict = judge(rest, [[row[number] for number in others] for row in table if len(row) == len(cells)])
    may_be_row = any(NUMBER.fullmatch(cell) or DATE.fullmatch(cell) for cell in rest)
    return verdict.is_certain or (has_words and not may_be_row and verdict.kind == "header")


def is_name_of_texts(name: str, column: Sequence[str]) -> bool:
    """Returns whether the first cell of a table of one column is its name: no text, path or identifier like those."""
    name, column = name.strip(), [cell.strip() for cell in column]
    if name.lower().removesuffix("s") in USUAL_NAMES:
        return True
    if SNAKE_CASE.fullmatch(name) and not any(map(SNAKE_CASE.fullmatch, column)):  # user_1 is a value
        return True
    paths = sum(bool(PATH.fullmatch(cell)) for cell in column)
    if column and paths >= NEARLY_ALL * len(column):
        return not PATH.fullmatch(name)
    return judge([name], [[cell] for cell in column]).is_certain


def _is_certain(evidence: Sequence[Evidence], rows: int) -> bool:
    numbers = sum(bool(NUMBER.fullmatch(one.name)) for one in evidence)
    # In one column alone a value may be as rare.
    no_value = len(evidence) > 1 and rows >= SURE_ROWS and all(one.kind == "header" for one in evidence)
    return (no_value and not numbers) or sum(one.is_certain for one in evidence) > numbers


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


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
    return "; ".join(f"{_quoted(names)}: {reason}" for reason, names in names.items())


def _of_column(name: str, cells: Sequence[str]) -> Evidence:
    """Returns what a name and the cells below it say about the first row."""
    if not cells or name.lower() in MISSING:
        return Evidence(name)
    numbers = [_number(cell) for cell in cells if NUMBER.fullmatch(cell)]
    if len(numbers) >= NEARLY_ALL * len(cells):
        return _of_numbers(name, numbers)
    if sum(bool(DATE.fullmatch(cell)) for cell in cells) >= NEARLY_ALL * len(cells):
        if DATE.fullmatch(name):
            return Evidence(name, "data", "a date above dates")
        return Evidence(name, "header", "no date above dates", is_certain=True)
    if name in cells:
        return Evidence(name, "data", "a value that stands in its column again")
    is_seen = MIN_REPEATED * len(set(cells)) <= len(cells)
    return Evidence(name, "header", "none of the few values of its column") if is_seen else Evidence(name)


def _of_numbers(name: str, numbers: Sequence[float]) -> Evidence:
    if not NUMBER.fullmatch(name):
        return Evidence(name, "header", "no number above numbers", is_certain=True)
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


def _quoted(names: Sequence[str]) -> str:
    return listed([repr(name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}...") for name in names], MAX_SHOWN)
