"""How the cells of a CSV file are laid out: their delimiter, what stands before the header, how many there are."""

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

DELIMITERS = "\t;|,"  # of those that do equally well the first: commas stand within numbers and texts
HEAD_ROWS = 200  # that are looked at
MAX_CELL = 131_072  # characters; what Python's csv module takes
MIN_USUAL = 0.8  # share of the rows with one number of cells, for those before them to be remarks
SEP_LINE = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)  # how Excel is told the delimiter
MAC_LINE = re.compile(r"[^\r]*\r\n?|[^\r]+")


@dataclass(frozen=True)
class Layout:
    """What is known of a CSV file before it is read.

    Attributes:
        delimiter: What separates its cells.
        names: The names of its columns, where the file has none.
        header: Whether the first row holds the names; None where nobody said.
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
        delimiter: What separates the cells: what a first line such as `sep=;` says, else that of the layout.
        rows: The line in which each row begins, and its cells; with the header, without remarks before it.
        remarks: Line and text of what stands before the header.
        width: The usual number of cells; 0 without rows.
        usual: Share of the rows that have as many.
    """

    delimiter: str
    rows: list[tuple[int, list[str]]]
    remarks: list[tuple[int, str]]
    width: int
    usual: float

    @property
    def first_line(self) -> int:
        """Returns the line in which the table begins."""
        return self.rows[0][0] if self.rows else 1


def look(path: Path, layout: Layout) -> Head:
    """Returns the first rows of a file, up to one that is damaged; raises DataError where the first is."""
    delimiter = said_delimiter(path) or layout.delimiter
    found: list[tuple[int, list[str]]] = []
    try:
        found.extend(islice(rows(path, delimiter), HEAD_ROWS))
    except DataError:  # told again when the reader is there
        if not found:
            raise
    return head_of(found, delimiter, layout.has_names)


def said_delimiter(path: Path) -> str | None:
    """Returns the delimiter that the first line of a file names, such as `sep=;`; None where it names none."""
    match = SEP_LINE.fullmatch(next(_lines(path), ""))
    return match[1] if match else None


def other_delimiter(columns: Sequence[str]) -> str | None:
    """Returns what seems to separate the cells of a file that has one column only; None where nothing does."""
    return next((mark for mark in ";\t|," if len(columns) == 1 and mark in columns[0]), None)


def guess_delimiter(path: Path) -> tuple[str, list[str]]:
    """Returns the delimiter that gives the first rows one number of cells, and the others that would do as well.

    Raises:
        DataError: The file is no text, or empty.
    """
    lines = list(islice(_lines(path), HEAD_ROWS))
    said = SEP_LINE.fullmatch(lines[0]) if lines else None
    if said:
        return said[1], []
    heads = [head_of(list(_until_error(lines, mark)), mark, True) for mark in DELIMITERS]
    found = sorted((head for head in heads if head.width > 1), key=lambda one: (-round(one.usual, 2), len(one.remarks)))
    if not found:
        return ",", []
    best = found[0]
    alike = [one.delimiter for one in found[1:] if one.usual >= best.usual and len(one.remarks) == len(best.remarks)]
    return best.delimiter, alike


def rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the line in which each row begins, and its cells; blank lines and one such as `sep=;` are skipped.

    Raises:
        DataError: The file is not text, not UTF-8, or damaged.
    """
    return rows_of(_lines(path), archives.name_of(path), delimiter)


def rows_of(lines: Iterable[str], name: str, delimiter: str, *, first_line: int = 1) -> Iterator[tuple[int, list[str]]]:
    """Yields rows as `rows` does, and takes no more lines than they have.

    Args:
        lines: The lines, from one in which a row begins.
        name: The file as messages name it.
        delimiter: What separates the cells.
        first_line: The number of the first of the lines in the file.
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


def _damaged(where: str, what: str) -> DataError:
    """Returns the error for a row that Python's csv module cannot read."""
    if "new-line character" in what:
        return DataError(
            f"{where}: a carriage return stands within a cell; put the cell in quotes, or end the row with a line feed."
        )
    if "field limit" in what:
        return DataError(
            f"{where}: a cell has more than {MAX_CELL:,} characters, the most that is read of CSV; close the quote "
            "if one is open in this row, else shorten the text, or write the table as JSON Lines or Parquet."
        )
    if "unexpected end" in what:
        what = "the file ends within quotes"
    return DataError(f"{where}: {what}; a quote that is not closed in this row is a usual cause.")


def of_cells(count: int) -> str:
    """Returns `1 cell`, `31 cells`."""
    return f"{count} cell{'s' * (count != 1)}"


def has_old_mac_lines(path: Path) -> bool:
    """Returns whether the lines of a file end in carriage returns alone, as those of old Macs do."""
    return _is_old_mac(next(text_lines(path), ""))


def without_last_empty(cells: list[str], width: int) -> list[str]:
    """Returns the cells without an empty one that a comma at the end of the line makes."""
    return cells[:-1] if len(cells) == width + 1 and not cells[-1] else cells


def is_blank(cells: Iterable[str]) -> bool:
    """Returns whether no cell of a row holds anything."""
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
    # In the place of the line a blank one, so that lines are counted as they stand in the file.
    shown = ("\n" if number == 1 and SEP_LINE.fullmatch(line) else line for number, line in enumerate(lines, start=1))
    return csv.reader(shown, delimiter=delimiter, strict=True)


def _until_error(lines: list[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the rows up to one that cannot be read so, as the last may be, which is cut off."""
    try:
        for number, cells in enumerate(_reader(lines, delimiter), start=1):
            if cells:
                yield number, cells
    except csv.Error:
        return


def head_of(found: list[tuple[int, list[str]]], delimiter: str, has_names: bool) -> Head:
    """Returns the first rows of a table, each with its line, with those that are remarks told apart."""
    rest = [cells for _, cells in found]
    count = 0 if _suits_another(rest, delimiter) else _num_remarks(rest, has_names)
    remarks = [(line, delimiter.join(cells).strip()) for line, cells in found[:count] if not is_blank(cells)]
    kept = found[count:]
    width, usual = _usual_width([cells for _, cells in kept])
    return Head(delimiter, kept, remarks, width, usual)


def _usual_width(table: list[list[str]]) -> tuple[int, float]:
    """Returns the number of cells that most rows have, and their share."""
    counts = Counter(map(len, table))
    width = max(counts, key=lambda one: (counts[one], one), default=0)
    return width, counts[width] / max(len(table), 1)


def _suits_another(table: list[list[str]], delimiter: str) -> bool:
    """Returns whether another delimiter gives all rows one number of cells, so that the first is no remark."""
    lines = [delimiter.join(cells) for cells in table] if delimiter and table and len(table[0]) == 1 else []
    counts = [{line.count(mark) for line in lines} for mark in DELIMITERS if mark != delimiter]
    return any(len(one) == 1 and one != {0} for one in counts)


def _num_remarks(table: list[list[str]], has_names: bool) -> int:
    """Returns how many of the first rows are no rows of the table: remarks, and rows of empty cells between them.

    A remark is one cell where the rows below have several, or stands behind a `#`, or is a row with several cells
    empty, which cannot name columns, above one that does.
    """
    marked = [cells[0].lstrip().startswith("#") for cells in table]
    several = next((number for number, cells in enumerate(table) if len(cells) > 1 and not marked[number]), len(table))
    width, usual = _usual_width(table[several:])
    one_column = width == 2 and not any(cells[-1] for cells in table[several:])  # and a comma behind it
    if width < 2 or one_column or usual < MIN_USUAL:
        return 0
    count = 0
    for cells in table[:-2]:  # a header and a row remain
        commented = marked[count] and len(cells) != width
        # Excel fills a line with as many cells as the table has.
        lonely = has_names and width > 2 and sum(map(bool, cells)) == 1
        empty = has_names and is_blank(cells)  # as Excel leaves between a title and the header
        if not (len(cells) == 1 or commented or lonely or empty):
            break
        count += 1
    return count + (has_names and _is_above_header(table[count:]))


def _is_above_header(table: list[list[str]]) -> bool:
    """Returns whether the first row names no columns, since several of its cells are empty, and the second does."""
    if len(table) < 3 or len(table[0]) - sum(map(bool, table[0])) < 2:
        return False
    names = table[1]
    return all(names) and len(set(names)) == len(names) and headers.judge(names, table[2:]).is_certain
