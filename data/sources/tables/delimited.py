"""Reads CSV and other delimited text (RFC 4180), with a header or with column names from the settings."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data.errors import DataError
from data.sources import archives
from data.sources.records import Record
from data.sources.tables import headers
from data.sources.tables.dialect import Head, Layout, look, of_cells, other_delimiter, rows, without_last_empty
from data.sources.tables.headers import Verdict
from data.spec import Problem

PLAIN = Layout()
COLUMN = "column_{}"  # default name, numbered from 1
WITHOUT_HEADER = (
    "set data.header to false (the columns are column_1, column_2 and so on, and this row cannot be used) "
    "or data.names to their names"
)
IN_RUN_FILE = (
    "set data.header to false (the columns are column_1, column_2 and so on) or data.names to their names; if it holds "
    "the names, set data.header to true"
)


def columns(path: Path, layout: Layout = PLAIN) -> list[str]:
    """Returns the names of the columns, in the order of the file.

    Raises:
        DataError: The file is not delimited text, a name occurs twice, the number of names differs from that of cells,
            or the first row is a header with only some of the names in the settings.
    """
    return names_in(archives.name_of(path), look(path, layout), layout)[0]


def read(path: Path, layout: Layout = PLAIN) -> Iterator[Record]:
    """Yields the rows below the header; every cell is text.

    A first row with the names of the settings, in any order, is a header, also where the settings say that there is
    none. A row of another length, a row with a zero byte and a repeated header are Problems.

    Raises:
        DataError: As `columns`; the file is damaged, has no row, or a second header has the columns in another order.
    """
    table = table_of(path, layout)
    count = 0
    for line, cells in rows(path, table.delimiter):
        record = table.record(line, cells)
        if record:
            count += 1
            yield record
    if not count:
        raise table.without_rows()


@dataclass(frozen=True)
class Table:
    """Converts the rows of a file to records.

    Attributes:
        name: The file as messages name it.
        delimiter: Character that separates the cells.
        names: Names of the columns.
        ends_lines: Whether most lines end with a delimiter, as if there was one column more.
        header: Cells of the header, to recognise repetitions of it.
        has_header: Whether the first row is a header.
        first_line: Line of the first row.
    """

    name: str
    delimiter: str
    names: list[str]
    ends_lines: bool
    header: list[str]
    has_header: bool
    first_line: int

    def record(self, line: int, cells: list[str]) -> Record | None:
        """Returns the record of the row that begins in this line; None for the header and rows above it.

        Raises:
            DataError: It repeats the header in another order.
        """
        if line < self.first_line or (line == self.first_line and self.has_header):
            return None
        cells, where = without_last_empty(cells, len(self.names)), f"{self.name}:{line}"
        if self.is_header(cells):
            return Record(where, {}, self.header_again(line, cells), number=line)
        problem = _problem(where, line, self.names, cells)
        return Record(where, dict(zip(self.names, cells, strict=False)), problem, number=line)

    def is_header(self, cells: list[str]) -> bool:
        """Returns whether a row below the first repeats the header, in any order."""
        header = self.header
        if len(header) == 1 or len(cells) != len(header) or cells[0] not in header:
            return False
        # Values may equal the names of columns that have one letter.
        are_words = max(map(len, header)) > 1
        return (cells == header and (self.has_header or are_words)) or (are_words and sorted(cells) == sorted(header))

    def header_again(self, line: int, cells: list[str]) -> Problem:
        """Returns the problem of a row that repeats the header; raises DataError where the order differs."""
        where = f"{self.name}:{line}"
        if cells != self.header:
            raise DataError(f"{where}: the header is repeated here in another order; split the file in two.")
        return Problem(where, "", "a row", "the header again", line)

    def without_rows(self) -> DataError:
        """Returns the error for a file that has no rows."""
        return DataError(f"{self.name} has a header and no rows." if self.has_header else f"{self.name} has no rows.")


def table_of(path: Path, layout: Layout = PLAIN) -> Table:
    """Returns the converter for the rows of a file; raises DataError as `columns` does."""
    return table_in(archives.name_of(path), look(path, layout), layout)


def table_in(name: str, head: Head, layout: Layout) -> Table:
    """Returns the converter for the rows of a file or a worksheet with this head; raises as `columns` does."""
    names, has_header = names_in(name, head, layout)
    has_header = has_header and bool(head.rows)  # a file may have blank lines only
    header = without_last_empty(head.rows[0][1], len(names)) if has_header else names
    return Table(name, head.delimiter, names, head.width == len(names) + 1, header, has_header, head.first_line)


def _problem(where: str, line: int, names: list[str], cells: list[str]) -> Problem | None:
    """Returns the problem of an unusable row; None for a usable one."""
    if len(cells) != len(names):
        return Problem(where, "", of_cells(len(names)), str(len(cells)), line)
    if "\0" in "".join(cells):
        column = next(name for name, cell in zip(names, cells, strict=True) if "\0" in cell)
        return Problem(where, column, "text", "a zero byte in it", line)
    return None


def first_row(name: str, head: Head) -> tuple[Verdict, str]:
    """Returns the judgement about the first row of a file, and the begin of a message; the remedy follows there."""
    verdict = _verdict_of(head)
    where = f"{name}:{head.first_line}"
    misfit = _width_mismatch(head)
    return verdict, f"{where}: the first row does not name the columns ({misfit})" if misfit else _as_data_message(
        where, verdict
    )


def names_in(name: str, head: Head, layout: Layout) -> tuple[list[str], bool]:
    """Returns the names of the columns of a file, and whether the first row holds them; raises as `columns` does."""
    first = head.rows[0][1] if head.rows else []
    where = f"{name}:{head.first_line}"
    if not layout.has_names:
        if layout.names:
            return _names_from_settings(where, head, layout.names)
        return [COLUMN.format(number) for number in range(1, head.width + 1)], False
    misfit = _width_mismatch(head)
    if misfit:
        raise DataError(f"{where}: the first row does not name the columns: {misfit}; {WITHOUT_HEADER}.")
    duplicates = sorted({column_name for column_name in first if first.count(column_name) > 1})
    if duplicates:
        verdict = _verdict_of(head) if layout.header is None else Verdict("header")
        if verdict.kind == "data":
            raise DataError(f"{_as_data_message(where, verdict)}; {IN_RUN_FILE}.")
        if not duplicates[0]:
            raise DataError(f"{where}: {of_cells(first.count(''))} of the header are empty; name these columns.")
        raise DataError(f"{where}: column {duplicates[0]!r} occurs twice in the header; rename one.")
    return first, True


def _names_from_settings(where: str, head: Head, names: tuple[str, ...]) -> tuple[list[str], bool]:
    """Returns `names_in` for names from the settings: in the order of the header if the file has one."""
    first, below = first_and_below(head, len(names))
    cells = headers.resolved(first, names)
    if sorted(cells) == sorted(names):
        return cells, True
    if headers.holds(names, cells, below):
        missing_names, unknown_names = (
            [name for name in names if name not in cells],
            [cell for cell in cells if cell not in names],
        )
        differences = [f"without {', '.join(map(repr, missing_names[:5]))}"] * bool(missing_names)
        differences += [f"with {', '.join(map(repr, unknown_names[:5]))}"] * bool(unknown_names)
        raise DataError(
            f"{where}: expected the names of data.names in the first row, or none of them, found a header "
            f"{' and '.join(differences)}; correct data.names, or take it out to read the file by its header."
        )
    _check_width(where, head, len(names))
    return list(names), False


def _check_width(where: str, head: Head, names: int) -> None:
    """Raises DataError when the usual number of cells in a row differs from the number of names."""
    usual_row = next((cells for _, cells in head.rows if len(cells) == head.width), [])
    if usual_row and len(without_last_empty(usual_row, names)) != names:
        raise DataError(
            f"{where}: expected {of_cells(names)}, one for each name in data.names, found {len(usual_row)}."
        )


def _as_data_message(where: str, verdict: Verdict) -> str:
    return f"{where}: the first row seems to be data, not the names of the columns ({verdict.reason})"


def _verdict_of(head: Head) -> Verdict:
    misfit = _width_mismatch(head)
    if misfit:
        return Verdict("data", misfit)
    return headers.judge(*first_and_below(head))


def _width_mismatch(head: Head) -> str:
    """Returns a phrase if all rows below have another number of cells than the first row, which is then no header.

    Empty otherwise, and where another delimiter seems to separate the cells.
    """
    first, below = first_and_below(head)
    widths = set(map(len, below))
    if len(below) < 2 or len(widths) > 1 or len(first) in widths or other_delimiter(first):
        return ""
    return f"it has {of_cells(len(first))}, the rows below have {widths.pop()}"


def first_and_below(head: Head, width: int | None = None) -> tuple[list[str], list[list[str]]]:
    """Returns the first row and the rows below it, without an empty last cell beyond `width`.

    `width` is by default the number of cells in the first row.
    """
    table = [cells for _, cells in head.rows] or [[]]
    width = len(table[0]) if width is None else width
    table = [without_last_empty(cells, width) for cells in table]
    return table[0], table[1:]
