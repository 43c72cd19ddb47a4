"""Reads CSV and other delimited text as columns: plain rows with Arrow, others with `delimited`; results are equal."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from data.errors import DataError
from data.sources.blocks import Block
from data.sources.records import TextFile, opened
from data.sources.tables import delimited, plain_rows
from data.sources.tables.delimited import Table
from data.sources.tables.dialect import MAX_CELL, Layout, has_old_mac_lines, rows, rows_of
from data.sources.tables.plain_rows import PlainRows
from data.spec import Problem

# Bytes of cells in a block. A column costs 0.2 ms per block, whatever its rows: many columns need larger blocks.
BLOCK_BYTES, COLUMN_BYTES, MAX_BYTES = 4 * 2**20, 8 * 2**10, 16 * 2**20
# Bytes that `delimited` reads from a row on that is not plain, and bytes that Arrow reads next; the latter are doubled
# each time, so that one such row costs little.
EXACT_BYTES, FIRST_BYTES = 16 * 2**10, 128 * 2**10
MAX_ROWS = 16_384  # of a piece, in a file that is read by `delimited` only


@dataclass(frozen=True)
class _Piece:
    """Some rows of a file: their cells, the lines they begin in, and the problems of unusable rows between them."""

    cells: pa.RecordBatch
    lines: np.ndarray
    problems: tuple[Problem, ...] = ()
    share: float = 0.0  # of the file, up to their end, where it is known

    def __len__(self) -> int:
        return len(self.lines) + len(self.problems)


def read(path: Path, layout: Layout = delimited.PLAIN, block_bytes: int = 0) -> Iterator[Block]:
    """Yields the rows that `delimited.read` yields, in blocks; raises DataError as it does.

    Args:
        path: The file.
        layout: Its delimiter and column names.
        block_bytes: Approximate size of a block's cells in bytes; 0: it depends on the number of columns.
    """
    table = delimited.table_of(path, layout)
    block_bytes = block_bytes or min(max(BLOCK_BYTES, COLUMN_BYTES * len(table.names)), MAX_BYTES)
    is_exact = not table.delimiter.isascii() or table.delimiter in '"\r\n\0' or has_old_mac_lines(path)
    pieces_of_file = (
        _read_exactly(rows(path, table.delimiter), table) if is_exact else _pieces(path, table, block_bytes)
    )
    pieces: list[_Piece] = []
    count = size = 0
    try:
        for piece in pieces_of_file:
            pieces += [piece] if len(piece) else []
            count, size = count + len(piece), size + piece.cells.nbytes
            if size >= block_bytes and pieces:
                yield _block(table, pieces)
                pieces, size = [], 0
    except DataError:
        if pieces:
            yield _block(table, pieces)
        raise
    if pieces:
        yield _block(table, pieces)
    if not count:
        raise table.without_rows()


def _block(table: Table, pieces: Sequence[_Piece]) -> Block:
    return Block(
        table.name,
        _joined([piece.cells for piece in pieces]),
        np.concatenate([piece.lines for piece in pieces]),
        problems=tuple(itertools.chain.from_iterable(piece.problems for piece in pieces)),
        share=pieces[-1].share,
    )


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Returns the rows of batches, which have the same columns, as one."""
    columns = [pa.concat_arrays(columns) for columns in zip(*(batch.columns for batch in batches), strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=batches[0].schema.names)


def _pieces(path: Path, table: Table, block_bytes: int) -> Iterator[_Piece]:
    """Yields the rows of a file: plain ones with Arrow, others, and all lines above the table, with `delimited`."""
    with opened(path) as file:
        text = TextFile(path, file)
        window = 0
        while True:
            if not window:
                exact_rows = rows_of(text, table.name, table.delimiter, first_line=text.num_lines + 1)
                begin = text.num_bytes
                end = begin + min(EXACT_BYTES, block_bytes)
                exact_pieces = _read_exactly(_rows_until(exact_rows, text, end, table.first_line), table)
                yield from (replace(piece, share=text.share) for piece in exact_pieces)
                if text.num_bytes == begin:
                    return
                window = min(FIRST_BYTES, block_bytes)
            content, is_last = text.ahead(window)
            piece, size, is_plain = _read_plain(content, table, text.num_lines + 1, is_last=is_last)
            text.skip(size)
            if piece:
                yield replace(piece, share=text.share)
            can_grow = not is_last and window < block_bytes
            window = min(2 * window, block_bytes) if is_plain and (size or can_grow) else 0


def _rows_until(
    located_rows: Iterator[tuple[int, list[str]]], text: TextFile, num_bytes: int, num_lines: int
) -> Iterator[tuple[int, list[str]]]:
    """Yields rows until `num_bytes` bytes and `num_lines` lines of a file are read; at least one row."""
    for row in located_rows:
        yield row
        if text.num_bytes >= num_bytes and text.num_lines >= num_lines:
            return


def _read_exactly(located_rows: Iterable[tuple[int, list[str]]], table: Table) -> Iterator[_Piece]:
    """Yields rows, given as line and cells, converted by `delimited`; also those above a row that raises DataError."""
    lines: list[int] = []
    usable: list[list[str]] = []
    problems: list[Problem] = []
    try:
        for line, cells in located_rows:
            record = table.record(line, cells)
            if record and record.problem:
                problems.append(record.problem)
            elif record:
                lines.append(line)
                usable.append(list(record.cells.values()))
            if len(lines) + len(problems) == MAX_ROWS:
                yield _Piece(_batch(usable, table), np.array(lines, np.int64), tuple(problems))
                lines, usable, problems = [], [], []
    except DataError:
        yield _Piece(_batch(usable, table), np.array(lines, np.int64), tuple(problems))
        raise
    yield _Piece(_batch(usable, table), np.array(lines, np.int64), tuple(problems))


def _batch(cells: Sequence[Sequence[str]], table: Table) -> pa.RecordBatch:
    columns = zip(*cells, strict=True) if cells else ((),) * len(table.names)
    return pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in columns], names=table.names)


def _read_plain(content: bytes, table: Table, line: int, *, is_last: bool) -> tuple[_Piece | None, int, bool]:
    """Returns the plain rows at the begin of a text, their size in bytes, and whether the next row may be plain.

    Args:
        content: The text, UTF-8.
        table: Converter for its rows.
        line: Number of its first line in the file.
        is_last: Whether the file ends with it.
    """
    plain = plain_rows.find(content, table.delimiter, is_last=is_last)
    total = len(plain.starts)
    if not total:
        return None, plain.end, not plain.is_cut
    cells, numbers, uneven = _read_by_arrow(content[: plain.end], table, total)
    if len(cells) + len(uneven) != total:
        return None, 0, False
    first_exact = min([total, *_rows_to_stop_at(cells, numbers, plain, table)])
    texts = {number: content[plain.starts[number] : plain.stops[number]] for number in uneven if number < first_exact}
    usable, problems, first_exact = _read_uneven(texts, line + plain.lines, table, first_exact)
    count = int(np.searchsorted(numbers, first_exact))
    cells, numbers = _insert(cells[:count], numbers[:count], usable, table)
    size = plain.end if first_exact == total else int(plain.starts[first_exact])
    return _Piece(cells, line + plain.lines[numbers], tuple(problems)), size, first_exact == total and not plain.is_cut


def _read_uneven(
    texts: dict[int, bytes], lines: np.ndarray, table: Table, first_exact: int
) -> tuple[dict[int, list[str]], list[Problem], int]:
    """Reads plain rows with another number of cells than usual.

    Args:
        texts: Number of a row -> its text.
        lines: Line in which each row begins, int64 `(rows,)`.
        table: Converter for the rows.
        first_exact: Number of the first row that `delimited` must read, and for which it may raise an error.

    Returns:
        Number of a usable row -> its cells, the problems of the others, and `first_exact`, lowered to the first row for
        which the converter raised an error.
    """
    usable: dict[int, list[str]] = {}
    problems: list[Problem] = []
    for number, text in texts.items():
        located_rows = rows_of([text.decode()], table.name, table.delimiter, first_line=int(lines[number]))
        try:
            record = table.record(*next(located_rows))
        except DataError:
            return usable, problems, number
        if record and record.problem:
            problems.append(record.problem)
        elif record:
            usable[number] = list(record.cells.values())
    return usable, problems, first_exact


def _read_by_arrow(content: bytes, table: Table, num_rows: int) -> tuple[pa.RecordBatch, np.ndarray, list[int]]:
    """Returns the rows with the usual number of cells, their numbers, from 0, and the numbers of the other rows."""
    uneven: list[int] = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        uneven.append(row.number - 1)
        return "skip"

    names = [str(number) for number in range(len(table.names) + table.ends_lines)]
    arrow_table = pyarrow.csv.read_csv(
        pa.BufferReader(content),
        # Threads would not save CPU time, and Arrow would not report row numbers.
        pyarrow.csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=names),
        pyarrow.csv.ParseOptions(delimiter=table.delimiter, newlines_in_values=True, invalid_row_handler=skip),
        pyarrow.csv.ConvertOptions(
            check_utf8=False, column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    ).combine_chunks()
    columns = [pa.concat_arrays(column.chunks or [pa.array([], pa.string())]) for column in arrow_table.columns]
    numbers = np.delete(np.arange(num_rows), uneven)
    if table.ends_lines and len(numbers) == len(columns[-1]):
        has_extra_cell = pc.binary_length(columns.pop()).to_numpy() > 0
        uneven = sorted([*uneven, *numbers[has_extra_cell].tolist()])
        numbers = numbers[~has_extra_cell]
        columns = [column.filter(pa.array(~has_extra_cell)) for column in columns] if has_extra_cell.any() else columns
    return pa.RecordBatch.from_arrays(columns[: len(table.names)], names=table.names), numbers, uneven


def _rows_to_stop_at(cells: pa.RecordBatch, numbers: np.ndarray, plain: PlainRows, table: Table) -> Iterator[int]:
    """Yields numbers of rows that repeat the header, and of rows with a cell that is too long."""
    candidates = np.arange(len(cells))
    if len(table.names) > 1:
        header = pa.array(table.header)
        for column in cells.columns:
            candidate_cells = column if len(candidates) == len(column) else column.take(pa.array(candidates))
            candidates = candidates[pc.is_in(candidate_cells, header).to_numpy(zero_copy_only=False)]
            if not len(candidates):
                break
        yield from (
            numbers[row]
            for row in candidates
            if table.is_header([str(column_cells[row]) for column_cells in cells.columns])
        )
    if (plain.stops - plain.starts).max() > MAX_CELL:
        for column in cells.columns:
            yield from numbers[pc.binary_length(column).to_numpy() > MAX_CELL]


def _insert(
    cells: pa.RecordBatch, numbers: np.ndarray, added_rows: dict[int, list[str]], table: Table
) -> tuple[pa.RecordBatch, np.ndarray]:
    """Returns rows with further rows inserted, in the order of their numbers."""
    if not added_rows:
        return cells, numbers
    numbers = np.concatenate([numbers, list(added_rows)])
    order = np.argsort(numbers)
    all_rows = _joined([cells, _batch(list(added_rows.values()), table)])
    return all_rows.take(pa.array(order)), numbers[order]
