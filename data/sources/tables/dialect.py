"""Recognises the dialect of a CSV file: its delimiter, remarks above the header, the number of cells in a row."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from data.errors import DataError
from data.sources import archives
from data.sources.records import text_lines
from data.sources.tables import headers

DELIMITERS = "\t;|,"  # in order of preference where several fit: commas also occur within numbers and texts
HEAD_ROWS = 200  # that are examined
MAX_CELL = 131_072  # characters; the limit of Python's csv module
MIN_USUAL_SHARE = 0.8  # share of the rows with the usual number of cells, at which rows above them may be remarks
SEP_LINE = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)  # names the delimiter for Excel
MAC_LINE = re.compile(r"[^\r]*\r\n?|[^\r]+")


@dataclass(frozen=True)
class Layout:
    """Settings of a CSV file.

    Attributes:
        delimiter: Character that separates its cells.
        names: The names of its columns, for a file without a header.
        header: Whether the first row holds the names; None where the settings do not say.
    """

    delimiter: str = ","
    names: tuple[str, ...] = ()
    header: bool | None = None

    @property
    def has_names(self) -> bool:
        """Returns whether the first row of the file holds the names of the columns."""
        return not self.names and self.header is not False


@dataclass(frozen=True)
class Head:
    """The first rows of a CSV file.

    Attributes:
        delimiter: Character that separates the cells: that of a first line such as `sep=;`, else that of the layout.
        rows: Line in which each row begins, and its cells; with the header, without remarks above it.
        remarks: Line and text of each remark above the header.
        width: Usual number of cells in a row; 0 without rows.
        usual_share: Share of the rows that have this number of cells.
    """

    delimiter: str
    rows: list[tuple[int, list[str]]]
    remarks: list[tuple[int, str]]
    width: int
    usual_share: float

    @property
    def first_line(self) -> int:
        """Returns the line in which the table begins."""
        return self.rows[0][0] if self.rows else 1


def look(path: Path, layout: Layout) -> Head:
    """Returns the first rows of a file, up to one that is damaged; raises DataError where the first is."""
    delimiter = sep_delimiter(path) or layout.delimiter
    located_rows: list[tuple[int, list[str]]] = []
    try:
        located_rows.extend(islice(rows(path, delimiter), HEAD_ROWS))
    except DataError:  # the reader reports it when it comes to this row
        if not located_rows:
            raise
    return head_of(located_rows, delimiter, layout.has_names)


def sep_delimiter(path: Path) -> str | None:
    """Returns the delimiter that the first line of a file names, such as `sep=;`; None without such a line."""
    match = SEP_LINE.fullmatch(next(_lines(path), ""))
    return match[1] if match else None


def other_delimiter(columns: Sequence[str]) -> str | None:
    """Returns the probable delimiter of a file that was read as a single column; None where there is none."""
    return next((mark for mark in ";\t|," if len(columns) == 1 and mark in columns[0]), None)


def guess_delimiter(path: Path) -> tuple[str, list[str]]:
    """Returns the delimiter at which the first rows have equal numbers of cells, and others that fit equally well.

    Raises:
        DataError: The file is not text, or empty.
    """
    lines = list(islice(_lines(path), HEAD_ROWS))
    sep_line = SEP_LINE.fullmatch(lines[0]) if lines else None
    if sep_line:
        return sep_line[1], []
    heads = [head_of(list(_rows_until_error(lines, mark)), mark, True) for mark in DELIMITERS]
    candidates = sorted(
        (head for head in heads if head.width > 1),
        key=lambda candidate: (-round(candidate.usual_share, 2), len(candidate.remarks)),
    )
    if not candidates:
        return ",", []
    best = candidates[0]
    equally_good = [
        candidate.delimiter
        for candidate in candidates[1:]
        if candidate.usual_share >= best.usual_share and len(candidate.remarks) == len(best.remarks)
    ]
    return best.delimiter, equally_good


def rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the line in which each row begins, and its cells; blank lines and a first line `sep=;` are skipped.

    Raises:
        DataError: The file is not text, not UTF-8, or damaged.
    """
    return rows_of(_lines(path), archives.name_of(path), delimiter)


def rows_of(lines: Iterable[str], name: str, delimiter: str, *, first_line: int = 1) -> Iterator[tuple[int, list[str]]]:
    """Yields rows as `rows` does, and reads only the lines of the rows that it yields.

    Args:
        lines: The lines, from one in which a row begins.
        name: The file as messages name it.
        delimiter: Character that separates the cells.
        first_line: Number of the first of these lines in the file.
    """
    reader = _reader(lines, delimiter) if first_line == 1 else csv.reader(lines, delimiter=delimiter, strict=True)
    line = first_line
    try:
        for cells in reader:
            if cells:
                yield line, cells
            line = first_line + reader.line_num
    except csv.Error as error:
        raise _damaged(f"{name}:{line}", str(error)) from error


def _damaged(where: str, reason: str) -> DataError:
    """Returns the error for a row that Python's csv module cannot read."""
    if "new-line character" in reason:
        return DataError(
            f"{where}: there is a carriage return within a cell; put the cell in quotes, or end rows with a line feed."
        )
    if "field limit" in reason:
        return DataError(
            f"{where}: a cell has more than {MAX_CELL:,} characters, the most that is read of CSV; close the quote "
            "if one is open in this row, else shorten the text, or write the table as JSON Lines or Parquet."
        )
    if "unexpected end" in reason:
        reason = "the file ends within quotes"
    return DataError(f"{where}: {reason}; a quote that is not closed in this row is a usual cause.")


def of_cells(count: int) -> str:
    """Returns `1 cell`, `31 cells`."""
    return f"{count} cell{'s' * (count != 1)}"


def has_old_mac_lines(path: Path) -> bool:
    """Returns whether the lines of a file end in carriage returns alone, as those of old Macs do."""
    return _is_old_mac(next(text_lines(path), ""))


def without_last_empty(cells: list[str], width: int) -> list[str]:
    """Returns the cells without the empty last one that results from a delimiter at the end of the line."""
    return cells[:-1] if len(cells) == width + 1 and not cells[-1] else cells


def is_blank(cells: Iterable[str]) -> bool:
    """Returns whether all cells of a row are empty or blank."""
    return not any(cell.strip() for cell in cells)


def _lines(path: Path) -> Iterator[str]:
    """Yields the lines of a file, also of one whose lines end in carriage returns, as those of old Macs do."""
    is_old_mac = False
    for number, line in enumerate(text_lines(path)):
        is_old_mac |= number == 0 and _is_old_mac(line)
        if is_old_mac:
            yield from (match[0] for match in MAC_LINE.finditer(line))
        else:
            yield line


def _is_old_mac(first_line: str) -> bool:
    return "\r" in first_line.removesuffix("\n").removesuffix("\r")


def _reader(lines: Iterable[str], delimiter: str):
    # A first line such as sep=; is replaced by a blank one, so that line numbers stay those of the file.
    shown = ("\n" if number == 1 and SEP_LINE.fullmatch(line) else line for number, line in enumerate(lines, start=1))
    return csv.reader(shown, delimiter=delimiter, strict=True)


def _rows_until_error(lines: list[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows up to one that cannot be read with this delimiter; the last row may be cut off."""
    try:
        for number, cells in enumerate(_reader(lines, delimiter), start=1):
            if cells:
                yield number, cells
    except csv.Error:
        return


def head_of(located_rows: list[tuple[int, list[str]]], delimiter: str, has_names: bool) -> Head:
    """Returns the first rows of a table, given as line and cells, with remarks separated from rows."""
    all_cells = [cells for _, cells in located_rows]
    count = 0 if _fits_other_delimiter(all_cells, delimiter) else _num_remarks(all_cells, has_names)
    remarks = [(line, delimiter.join(cells).strip()) for line, cells in located_rows[:count] if not is_blank(cells)]
    table_rows = located_rows[count:]
    width, usual_share = _usual_width([cells for _, cells in table_rows])
    return Head(delimiter, table_rows, remarks, width, usual_share)


def _usual_width(table: list[list[str]]) -> tuple[int, float]:
    """Returns the number of cells that most rows have, and their share."""
    counts = Counter(map(len, table))
    width = max(counts, key=lambda num_cells: (counts[num_cells], num_cells), default=0)
    return width, counts[width] / max(len(table), 1)


def _fits_other_delimiter(table: list[list[str]], delimiter: str) -> bool:
    """Returns whether all rows have equal numbers of cells with another delimiter, so that the first is no remark."""
    lines = [delimiter.join(cells) for cells in table] if delimiter and table and len(table[0]) == 1 else []
    counts = [{line.count(mark) for line in lines} for mark in DELIMITERS if mark != delimiter]
    return any(len(line_counts) == 1 and line_counts != {0} for line_counts in counts)


def _num_remarks(table: list[list[str]], has_names: bool) -> int:
    """Returns the number of rows above the table: remarks, and rows of empty cells between them.

    A remark is a single cell above rows with several, a line that begins with `#`, or a row with several empty cells,
    which cannot name columns, above a row that does.
    """
    marked = [cells[0].lstrip().startswith("#") for cells in table]
    first_wide = next(
        (number for number, cells in enumerate(table) if len(cells) > 1 and not marked[number]), len(table)
    )
    width, usual_share = _usual_width(table[first_wide:])
    is_one_column = width == 2 and not any(
        cells[-1] for cells in table[first_wide:]
    )  # with a comma at the end of each line
    if width < 2 or is_one_column or usual_share < MIN_USUAL_SHARE:
        return 0
    count = 0
    for cells in table[:-2]:  # a header and a row remain
        is_comment = marked[count] and len(cells) != width
        # Excel pads each line to the number of cells of the table.
        is_single_cell = has_names and width > 2 and sum(map(bool, cells)) == 1
        is_empty = has_names and is_blank(cells)  # as Excel leaves between a title and the header
        if not (len(cells) == 1 or is_comment or is_single_cell or is_empty):
            break
        count += 1
    return count + (has_names and _is_above_header(table[count:]))


def _is_above_header(table: list[list[str]]) -> bool:
    """Returns whether several cells of the first row are empty, so that it is no header, and the second row is one."""
    if len(table) < 3 or len(table[0]) - sum(map(bool, table[0])) < 2:
        return False
    names = table[1]
    return all(names) and len(set(names)) == len(names) and headers.judge(names, table[2:]).is_certain
