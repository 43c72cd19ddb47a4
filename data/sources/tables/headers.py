"""Decides whether the first row of a table holds the names of its columns, by comparing it with the rows below."""

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
# A date, with or without a time: 2024-05-01, 01.05.2024, 5/1/24, 2024-05-01T10:00:00Z.
DATE = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}([T ].*)?")
PATH = re.compile(r".*\.\w{2,5}")
SNAKE_CASE = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)+")
# Names of columns of texts, files and identifiers, in tables with one column.
USUAL_NAMES = {
    "text", "comment", "review", "sentence", "message", "content", "body", "title", "description", "document",
    "tweet", "question", "input", "id", "name", "user", "item", "path", "file", "filename", "image", "photo",
    "picture", "url",
}  # fmt: skip
YEARS = (1800, 2100)
NEARLY_ALL = 0.95  # share of a column's cells that are of one kind
MIN_REPEATED = 3  # mean number of cells per distinct value, at which probably all values of a column are known
FAR_MARGIN = 0.5  # of the range of a column: a number farther outside of it does not belong to the column
MIN_MAJORITY = 3  # ratio of columns that speak for data to those that speak for a header, to decide for data
MIN_CERTAIN_ROWS = 20  # that do not repeat any cell of the first row, for it to be certainly a header
MAX_SHOWN = 3
MAX_NAME = 30  # characters


@dataclass(frozen=True)
class Evidence:
    """Evidence of one column about the first row.

    Attributes:
        name: The column's cell in the first row.
        kind: What the first row probably is: `data`, `header`, or `unclear` for numbers that may be names; empty where
            the column does not show it.
        reason: Reason for the kind, a short phrase; empty without a kind.
        is_certain: Whether the name is of another type than the column.
    """

    name: str
    kind: Literal["data", "header", "unclear", ""] = ""
    reason: str = ""
    is_certain: bool = False


@dataclass(frozen=True)
class Verdict:
    """Judgement about the first row of a table.

    Attributes:
        kind: `header`: the names of the columns; `data`: a row like the others; `unclear`: numbers that may be names.
        reason: Reason for the kind, a short phrase; empty without evidence.
        is_certain: Whether the first row cannot be a row of data, not even one with unusual values.
    """

    kind: Literal["header", "data", "unclear"]
    reason: str = ""
    is_certain: bool = False


def judge(names: Sequence[str], table: Sequence[Sequence[str]]) -> Verdict:
    """Returns the judgement about the first row of a table.

    Args:
        names: Its cells.
        table: Rows below it; rows of another length are ignored.
    """
    names = [name.strip() for name in names]
    table = [[cell.strip() for cell in cells] for cells in table if len(cells) == len(names)]
    table = [cells for cells in table if cells != names]  # the header again, in concatenated files
    if not table:
        return Verdict("header")
    columns = [[cell for cell in column if cell.lower() not in MISSING] for column in zip(*table, strict=True)]
    evidence = [_evidence_of(name, column) for name, column in zip(names, columns, strict=True)]
    if _is_series([name for name in names if NUMBER.fullmatch(name)]):
        evidence = [
            replace(item, kind="unclear") if item.kind == "data" and NUMBER.fullmatch(item.name) else item
            for item in evidence
        ]
    # The first and the last column often have no name: row numbers, a comma at the end of the line.
    evidence += [Evidence(name, "unclear", "an empty name") for name in names[1:-1] if not name]
    verdict = _verdict(evidence)
    return replace(verdict, is_certain=verdict.kind == "header" and _is_certain(evidence, len(table)))


def resolved(cells: Sequence[str], names: Sequence[str]) -> list[str]:
    """Returns the cells of a header; a cell that differs from a name only in case and blanks becomes that name."""
    num_alike, folded_cells = Counter(map(_folded, names)), [cell if cell in names else _folded(cell) for cell in cells]
    names_by_folded = {
        _folded(name): name
        for name in names
        if name not in cells and num_alike[_folded(name)] == 1 and folded_cells.count(_folded(name)) == 1
    }
    return [cell if cell in names else names_by_folded.get(_folded(cell), cell) for cell in cells]


def missing(names: Sequence[str], others: Sequence[str]) -> list[str]:
    """Returns a sentence for each missing column, with the most similar of the other columns."""
    others_by_folded, sentences = {_folded(other): other for other in reversed(others)}, []
    for name in names:
        close = difflib.get_close_matches(_folded(name), others_by_folded, n=1)
        sentences.append(f"column {name} is missing" + (f" (there is {others_by_folded[close[0]]!r})" if close else ""))
    return sentences


def holds(names: Sequence[str], cells: Sequence[str], table: Sequence[Sequence[str]]) -> bool:
    """Returns whether a first row is a header with at least some of the expected names.

    Args:
        names: The expected names.
        cells: The first row, as `resolved` returns it.
        table: Rows below it, see `judge`.
    """
    known_cells = [cell for cell in cells if cell in names]
    unknown_columns = [number for number, cell in enumerate(cells) if cell not in names]
    if not known_cells or len(set(cells)) < len(cells):
        return False
    # A value may equal the name of a column that has one letter.
    has_words = max(map(len, known_cells)) > 1
    if not unknown_columns or (has_words and len(known_cells) > len(unknown_columns)):
        return True
    unknown_cells = [cells[number] for number in unknown_columns]
    verdict = judge(
        unknown_cells, [[row[number] for number in unknown_columns] for row in table if len(row) == len(cells)]
    )
    has_values = any(NUMBER.fullmatch(cell) or DATE.fullmatch(cell) for cell in unknown_cells)
    return verdict.is_certain or (has_words and not has_values and verdict.kind == "header")


def is_name_of_texts(name: str, column: Sequence[str]) -> bool:
    """Returns whether the first cell of a table with one column is its name, and not a value like those below."""
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
    numbers = sum(bool(NUMBER.fullmatch(item.name)) for item in evidence)
    # In a single column a value may be as rare.
    are_all_headers = len(evidence) > 1 and rows >= MIN_CERTAIN_ROWS and all(item.kind == "header" for item in evidence)
    return (are_all_headers and not numbers) or sum(item.is_certain for item in evidence) > numbers


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _verdict(evidence: Sequence[Evidence]) -> Verdict:
    data = [item for item in evidence if item.kind == "data"]
    unclear = [item for item in evidence if item.kind == "unclear"]
    header = [item for item in evidence if item.kind == "header"]
    if data and len(data) >= MIN_MAJORITY * len(header):
        return Verdict("data", _reasons(data))
    if data or len(unclear) > len(header):
        return Verdict("unclear", _reasons(data + unclear))
    return Verdict("header", _reasons(header))


def _reasons(evidence: Sequence[Evidence]) -> str:
    """Returns the reasons as text, each with the names that share it."""
    names: dict[str, list[str]] = {}
    for item in evidence:
        names.setdefault(item.reason, []).append(item.name)
    return "; ".join(f"{_quoted(names)}: {reason}" for reason, names in names.items())


def _evidence_of(name: str, cells: Sequence[str]) -> Evidence:
    """Returns the evidence of a name and the cells below it about the first row."""
    if not cells or name.lower() in MISSING:
        return Evidence(name)
    numeric_cells = [_number(cell) for cell in cells if NUMBER.fullmatch(cell)]
    if len(numeric_cells) >= NEARLY_ALL * len(cells):
        return _evidence_of_numbers(name, numeric_cells)
    if sum(bool(DATE.fullmatch(cell)) for cell in cells) >= NEARLY_ALL * len(cells):
        if DATE.fullmatch(name):
            return Evidence(name, "data", "a date above dates")
        return Evidence(name, "header", "no date above dates", is_certain=True)
    if name in cells:
        return Evidence(name, "data", "a value that occurs again in its column")
    is_seen = MIN_REPEATED * len(set(cells)) <= len(cells)
    return Evidence(name, "header", "none of the few values of its column") if is_seen else Evidence(name)


def _evidence_of_numbers(name: str, numbers: Sequence[float]) -> Evidence:
    if not NUMBER.fullmatch(name):
        return Evidence(name, "header", "no number above numbers", is_certain=True)
    value, minimum, maximum = _number(name), min(numbers), max(numbers)
    reason = "a number above numbers like it"
    if minimum <= value <= maximum:
        return Evidence(name, "data", reason)
    margin = FAR_MARGIN * (maximum - minimum)
    is_near = minimum - margin <= value <= maximum + margin
    return (
        Evidence(name, "unclear", reason) if is_near else Evidence(name, "header", "a number far from those below it")
    )


def _is_series(names: Sequence[str]) -> bool:
    """Returns whether numbers are names of columns: years, 0 1 2, or wavelengths, in increasing order."""
    values = [_number(name) for name in names]
    steps = {round(after - before, 9) for before, after in pairwise(values)}
    if not values or any(step <= 0 for step in steps):
        return False
    years = all(value.is_integer() and YEARS[0] <= value <= YEARS[1] for value in values)
    is_count = len(values) > 1 and steps == {1} and values[0] in (0, 1)
    return years or is_count or len(values) > 3 or (len(values) == 3 and len(steps) == 1)


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _quoted(names: Sequence[str]) -> str:
    return listed([repr(name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}...") for name in names], MAX_SHOWN)
