"""Reads CSV and other delimited text (RFC 4180), with a header."""

import csv
from collections.abc import Iterator
from pathlib import Path

from data.errors import DataError
from data.sources.records import Record, text_lines
from data.spec import Problem

MAX_CELL = 131_072  # characters; what Python's csv module takes


def columns(path: Path, delimiter: str = ",") -> list[str]:
    """Returns the header's cells; raises DataError when the file is no such text or a name stands twice."""
    names = next(_rows(path, delimiter), (1, []))[1]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}:1: column {twice[0]!r} stands twice in the header; rename one.")
    return names


def read(path: Path, delimiter: str = ",") -> Iterator[Record]:
    """Yields the rows below the header; every cell is text.

    Raises:
        DataError: The file is not text, not UTF-8, damaged, or has no row; a row of another length is a Problem.
    """
    names, count = columns(path, delimiter), 0
    rows = _rows(path, delimiter)
    next(rows)
    for line, cells in rows:
        where, problem = f"{path}:{line}", None
        count += 1
        if len(cells) != len(names):
            problem = Problem(where, "", f"{len(names)} cells", str(len(cells)))
        yield Record(where, dict(zip(names, cells, strict=False)), problem)
    if not count:
        raise DataError(f"{path} has a header and no rows.")


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the line in which each row begins, and its cells; blank lines are skipped."""
    reader = csv.reader(text_lines(path), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        what = str(error)
        if "field limit" in what:
            what = f"a cell has more than {MAX_CELL:,} characters"
        elif "unexpected end" in what:
            what = "the file ends within quotes"
        raise DataError(f"{path}:{line}: {what}; a quote that is not closed in this row is a usual cause.") from error
