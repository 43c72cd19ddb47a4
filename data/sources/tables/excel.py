"""Reads worksheets of Excel workbooks (.xlsx, .xlsm): numbers, text, booleans, and dates as text in ISO 8601."""

import contextlib
import io
import itertools
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import IO, Any

from data.errors import ConfigError, DataError
from data.sources import archives
from data.sources.blocks import Block, RowBuffer
from data.sources.records import Record
from data.sources.tables import delimited
from data.sources.tables.dialect import HEAD_ROWS, Head, Layout, head_of, of_cells
from data.spec import Problem

OLE = bytes.fromhex("d0cf11e0a1b11ae1")  # begin of files of Excel up to 2003, and of protected files
PROTECTED = "EncryptedPackage".encode("utf-16-le")
FORMULA = re.compile(rb"<(\w+:)?f[\s/>]")
PASSWORD = "{} is protected by a password; save it without one in Excel or LibreOffice."
CHUNK_BYTES = 2**20  # bytes
BLOCK_CELLS = 2**18
Row = tuple[int, list[Any]]  # number in the sheet, from 1, and cells without empty ones at the end


class _Unusable(str):
    """Describes a cell without a value: an error, or a formula without a result."""


def sheets(path: Path) -> list[str]:
    """Returns the names of the worksheets; raises DataError when the file is not a valid workbook."""
    with _workbook(path) as book:
        return [sheet.title for sheet in book.worksheets]


def look(path: Path, layout: Layout, sheet: str | None = None) -> Head:
    """Returns the first rows of a worksheet as text, without empty rows and without empty columns around the table.

    Args:
        path: The workbook.
        layout: Settings of the sheet.
        sheet: Its name; None for the first one.

    Raises:
        ConfigError: There is no such sheet.
        DataError: The file is not a valid workbook.
    """
    return _look(itertools.islice(_rows(path, sheet), HEAD_ROWS), layout)[0]


def columns(path: Path, layout: Layout, sheet: str | None = None) -> list[str]:
    """Returns the names of the columns; raises as `read` does."""
    return delimited.names_in(archives.name_of(path), look(path, layout, sheet), layout)[0]


def read(path: Path, layout: Layout, sheet: str | None = None, ignore: Collection[str] = ()) -> Iterator[Record]:
    """Yields the rows below the header, each with its number in the sheet; empty rows are left out.

    A row with more cells than columns is a Problem, and one with an error such as #DIV/0! or a formula without a result
    in a column that is not ignored.

    Raises:
        ConfigError: There is no such sheet.
        DataError: The file is not a valid workbook, the sheet has no row, its header is invalid, see
            `delimited.columns`, or is repeated in another order.
    """
    rows = _rows(path, sheet)
    first_rows = list(itertools.islice(rows, HEAD_ROWS))
    head, first_column = _look(first_rows, layout)
    table = delimited.table_in(archives.name_of(path), head, layout)
    is_empty = True
    for number, cells in itertools.chain(first_rows, rows):
        if number < table.first_line or (table.has_header and number == table.first_line):
            continue
        is_empty = False
        yield _record(table, number, cells[first_column:], ignore)
    if is_empty:
        raise table.without_rows()


def blocks(
    path: Path, layout: Layout, sheet: str | None = None, ignore: Collection[str] = (), block_cells: int = BLOCK_CELLS
) -> Iterator[Block]:
    """Yields the rows that `read` yields, in blocks of about `block_cells` cells; raises as `read` does."""
    buffer = RowBuffer(archives.name_of(path))
    try:
        for record in read(path, layout, sheet, ignore):
            buffer.add(dict(record.cells), record.number, record.problem, len(record.cells))
            if buffer.size >= block_cells:
                yield from buffer.blocks()
    except DataError:
        yield from buffer.blocks()
        raise
    yield from buffer.blocks()


def _record(table: delimited.Table, number: int, cells: list[Any], ignore: Collection[str]) -> Record:
    where, names = f"{table.name}:{number}", table.names
    texts = [_text(cell) for cell in cells]
    problem = None
    values = {}
    if len(cells) > len(names):
        problem = Problem(where, "", of_cells(len(names)), str(len(cells)), number)
    elif table.is_header(texts):
        problem = table.header_again(number, texts)
    else:
        values = dict(itertools.zip_longest(names, cells))
        for column, cell in values.items():
            if isinstance(cell, _Unusable):
                values[column] = None
                if column not in ignore and not problem:
                    problem = Problem(where, column, "a value", str(cell), number)
    return Record(where, {} if problem else values, problem, number=number)


def _look(first: Iterable[Row], layout: Layout) -> tuple[Head, int]:
    """Returns the first rows as text, and the number of empty columns to the left of the table."""
    filled_rows = [
        (number, cells, [index for index, cell in enumerate(cells) if cell is not None]) for number, cells in first
    ]
    wide_rows = [filled_indices for _, _, filled_indices in filled_rows if len(filled_indices) > 1] or [
        filled_indices for _, _, filled_indices in filled_rows
    ]
    first_column = min((filled_indices[0] for filled_indices in wide_rows), default=0)
    ends = Counter(filled_indices[-1] + 1 for filled_indices in wide_rows)  # a remark may be to the right of a row
    width = max(*(ends.most_common(1)[0][0], wide_rows[0][-1] + 1) if wide_rows else (0, first_column)) - first_column
    table, is_title = [], True  # a single cell above the table
    for number, cells, filled_indices in filled_rows:
        is_title = is_title and len(filled_indices) == 1 and width > 1
        title_or_cells = [cells[filled_indices[0]]] if is_title else cells[first_column:]
        texts = [_text(cell) for cell in title_or_cells]
        table.append((number, texts if is_title else texts + [""] * (width - len(texts))))
    return head_of(table, "", layout.has_names), first_column


def _rows(path: Path, sheet: str | None) -> Iterator[Row]:
    """Yields the rows of a worksheet that are not empty."""
    name = archives.name_of(path)
    with contextlib.ExitStack() as stack, _damage_as_data_error(name):
        values = _cells(_sheet(stack.enter_context(_workbook(path)), sheet, name), name)
        formulas: Iterator[tuple[int, tuple]] = itertools.repeat((0, ()))
        if _has_formulas(path):  # without a result only the formula distinguishes a cell from an empty one
            formulas = _cells(_sheet(stack.enter_context(_workbook(path, formulas=True)), sheet, name), name)
        for (number, cells), (_, formula_cells) in zip(values, formulas, strict=False):
            row = [_value(cell) for cell in cells]
            for index, cell in enumerate(formula_cells):
                if cell.data_type == "f" and row[index] is None:
                    row[index] = _Unusable(
                        "a formula without a result; open the workbook in Excel or LibreOffice and save it"
                    )
            while row and row[-1] is None:
                row.pop()
            if row:
                yield number, row


def _cells(sheet: Any, name: str) -> Iterator[tuple[int, tuple]]:
    """Yields the rows in the file of a worksheet, each with its number.

    Like openpyxl's own loop, which silently skips rows and cells whose numbers are not in ascending order.

    Raises:
        DataError: The numbers of rows or cells are not in ascending order.
    """
    from openpyxl.worksheet._read_only import WorkSheetParser

    book, previous_number = sheet.parent, 0
    with sheet._get_source() as source:
        parser = WorkSheetParser(
            source,
            sheet._shared_strings,
            data_only=book.data_only,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )
        for number, cells in parser.parse():
            columns = [cell["column"] for cell in cells if cell["row"] == number]
            if number <= previous_number or len(columns) < len(cells) or columns != sorted(set(columns)):
                raise DataError(
                    f"{name}:{number}: the rows or cells of the sheet {sheet.title!r} are not in order here (the row "
                    f"before has the number {previous_number}); open the workbook in Excel or LibreOffice and save it."
                )
            previous_number = number
            yield number, sheet._get_row(cells)


def _value(cell: Any) -> Any:
    """Returns the value of a cell: a number, a text, a boolean, an error; None for an empty or blank cell."""
    value = cell.value
    if isinstance(value, str):
        if cell.data_type == "e":
            return _Unusable(f"the error {value}; mend the formula, or empty the cell")
        return value if value.strip() else None
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat()
    if isinstance(value, timedelta):
        seconds = abs(round(value.total_seconds()))
        sign = "-" if seconds and value < timedelta() else ""
        return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return value.isoformat() if isinstance(value, time) else value


def _text(cell: Any) -> str:
    """Returns a cell as text, as in a header."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return "" if cell is None else str(cell).strip()


def _sheet(book: Any, sheet: str | None, name: str) -> Any:
    worksheets: Sequence[Any] = book.worksheets
    worksheet = next((candidate for candidate in worksheets if sheet is None or candidate.title == sheet), None)
    if worksheet is None:
        titles = ", ".join(repr(candidate.title) for candidate in worksheets)
        raise ConfigError(f"data.sheet: {name} has no worksheet {sheet!r}; there are {titles or 'none'}.")
    return worksheet


@contextlib.contextmanager
def _workbook(path: Path, *, formulas: bool = False) -> Iterator[Any]:
    import openpyxl  # 0.2 s, not needed for other formats

    name = archives.name_of(path)
    with _opened(path, name) as file:
        with _damage_as_data_error(name):
            book = openpyxl.load_workbook(file, read_only=True, data_only=not formulas)
        with contextlib.closing(book):
            yield book


@contextlib.contextmanager
def _opened(path: Path, name: str) -> Iterator[IO[bytes]]:
    """Opens a workbook; raises DataError, with the remedy, where the file is another one."""
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty (0 bytes); write or fetch it again.")
        opening = archives.opened(path) if archives.is_zip(path) else path.open("rb")
        with opening as packed:
            file = io.BytesIO(packed.read()) if archives.is_zip(path) else packed
            begin = file.read(len(OLE))
            if begin == OLE:
                raise DataError(_ole_message(name, file.read()))
            if not begin.startswith(b"PK"):
                raise DataError(
                    f"{name} is no Excel workbook but another file under this name, such as a web page or CSV; open it "
                    "in Excel or LibreOffice and save it as .xlsx, or give it the ending of what it is."
                )
            with _damage_as_data_error(name), zipfile.ZipFile(file) as archive:
                if any(info.flag_bits & 1 for info in archive.infolist()):
                    raise DataError(PASSWORD.format(name))
            file.seek(0)
            yield file
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error


def _ole_message(name: str, content: bytes) -> str:
    if PROTECTED in content:
        return PASSWORD.format(name)
    return f"{name} is a workbook of Excel up to 2003 (.xls); save it as .xlsx in Excel or LibreOffice."


def _has_formulas(path: Path) -> bool:
    """Returns whether any sheet of a workbook contains a formula."""
    with _opened(path, str(path)) as file, zipfile.ZipFile(file) as archive:
        for file_name in archive.namelist():
            if file_name.startswith("xl/worksheets/") and file_name.endswith(".xml"):
                with archive.open(file_name) as sheet_file:
                    overlap = b""
                    while content := sheet_file.read(CHUNK_BYTES):
                        if FORMULA.search(overlap + content):
                            return True
                        overlap = content[-64:]
    return False


@contextlib.contextmanager
def _damage_as_data_error(name: str) -> Iterator[None]:
    """Raises DataError for the errors that openpyxl raises for a damaged workbook."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, SyntaxError, EOFError, KeyError, ValueError, TypeError) as error:
        raise DataError(
            f"{name} is not a whole .xlsx file ({str(error).rstrip('.')[:120]}); fetch or save it again."
        ) from error
    except NotImplementedError as error:
        raise DataError(f"{name} is packed in a way that cannot be read here; save it again in Excel.") from error
