"""Reads CSV and other delimited text (RFC 4180): with a header, or with names that are given."""

from collections.abc import Iterator
from pathlib import Path

from data.errors import DataError
from data.sources import archives
from data.sources.records import Record
from data.sources.tables import headers
from data.sources.tables.dialect import Head, Layout, look, rows, without_last_empty
from data.sources.tables.headers import Verdict
from data.spec import Problem

PLAIN = Layout()
COLUMN = "column_{}"  # from 1, where nothing else is known
IN_RUN_FILE = (
    "set data.header to false (the columns are column_1, column_2 and so on) or data.names to their names; if it holds "
    "the names, set data.header to true"
)


def columns(path: Path, layout: Layout = PLAIN) -> list[str]:
    """Returns the names of the columns.

    Raises:
        DataError: The file is no such text, a name stands twice, or there are more or fewer names than cells.
    """
    return _columns(archives.name_of(path), look(path, layout), layout)


def read(path: Path, layout: Layout = PLAIN) -> Iterator[Record]:
    """Yields the rows below the header; every cell is text.

    A header in a file that should have none, with the names that are given, is no row.

    Raises:
        DataError: The file is not text, not UTF-8, damaged, or has no row; a row of another length is a Problem.
    """
    head, name, count = look(path, layout), archives.name_of(path), 0
    names = _columns(name, head, layout)
    for line, cells in rows(path, head.delimiter):
        if line < head.first_line or (line == head.first_line and (layout.has_names or cells == names)):
            continue
        cells = without_last_empty(cells, len(names))
        where, problem = f"{name}:{line}", None
        count += 1
        if len(cells) != len(names):
            problem = Problem(where, "", f"{len(names)} cells", str(len(cells)))
        yield Record(where, dict(zip(names, cells, strict=False)), problem)
    if not count:
        raise DataError(f"{name} has a header and no rows." if layout.has_names else f"{name} has no rows.")


def first_row(path: Path, layout: Layout = PLAIN) -> tuple[Verdict, str]:
    """Returns what the first row of a file is, and where and why, to be followed by how a person says what it is.

    Raises:
        DataError: The file is no such text.
    """
    head = look(path, layout)
    verdict = _judged(head)
    return verdict, _explained(f"{archives.name_of(path)}:{head.first_line}", verdict)


def refuse_data_as_header(path: Path, layout: Layout = PLAIN) -> None:
    """Raises DataError when the first row of a file seems to be data, and the settings do not say what it is."""
    if layout.header is None and not layout.names:
        verdict, explained = first_row(path, layout)
        if verdict.kind == "data":
            raise DataError(f"{explained}; {IN_RUN_FILE}.")


def _columns(name: str, head: Head, layout: Layout) -> list[str]:
    first = head.rows[0][1] if head.rows else []
    where = f"{name}:{head.first_line}"
    if not layout.has_names:
        if layout.names:
            _check_width(where, head, len(layout.names))
        return list(layout.names) or [COLUMN.format(number) for number in range(1, head.width + 1)]
    twice = sorted({one for one in first if first.count(one) > 1})
    if twice:
        verdict = _judged(head) if layout.header is None else Verdict("header")
        if verdict.kind == "data":
            raise DataError(f"{_explained(where, verdict)}; {IN_RUN_FILE}.")
        raise DataError(f"{where}: column {twice[0]!r} stands twice in the header; rename one.")
    return first


def _check_width(where: str, head: Head, names: int) -> None:
    """Raises DataError when rows have another number of cells than there are names."""
    usual = next((cells for _, cells in head.rows if len(cells) == head.width), [])
    if usual and len(without_last_empty(usual, names)) != names:
        raise DataError(f"{where}: expected {names} cells, one for each name in data.names, found {len(usual)}.")


def _explained(where: str, verdict: Verdict) -> str:
    return f"{where}: the first row seems to be data, not the names of the columns ({verdict.reason})"


def _judged(head: Head) -> Verdict:
    table = [cells for _, cells in head.rows]
    first = table[0] if table else []
    return headers.judge(first, [without_last_empty(cells, len(first)) for cells in table[1:]])
