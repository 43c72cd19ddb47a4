"""Reads CSV and other delimited text as columns: plain rows by Arrow, all others by `delimited`, which they equal."""

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

# Of cells in a block. Each column of a block costs some 0.2 ms however few rows it has: many columns need more bytes.
BLOCK_BYTES, COLUMN_BYTES, MAX_BYTES = 4 * 2**20, 8 * 2**10, 16 * 2**20
# Where a row is not plain, so many bytes are read exactly; then more and more is tried by Arrow, so that one such row
# costs little.
EXACT_BYTES, FIRST_BYTES = 16 * 2**10, 128 * 2**10
MAX_ROWS = 16_384  # of a piece of a file that is read exactly as a whole


@dataclass(frozen=True)
class _Piece:
    """Some rows of a file: their cells, the lines they begin in, and the problems of others among them."""

    cells: pa.RecordBatch
    lines: np.ndarray
    problems: tuple[Problem, ...] = ()
    share: float = 0.0  # of the file, up to their end, where it is known

    def __len__(self) -> int:
        return len(self.lines) + len(self.problems)


def read(path: Path, layout: Layout = delimited.PLAIN, block_bytes: int = 0) -> Iterator[Block]:
    """Yields the rows that `delimited.read` yields, some at a time; raises DataError as it does.

    Args:
        path: The file.
        layout: What is known of it.
        block_bytes: About how many bytes of cells a block has; 0 for what suits the number of columns.
    """
    table = delimited.table_of(path, layout)
    block_bytes = block_bytes or min(max(BLOCK_BYTES, COLUMN_BYTES * len(table.names)), MAX_BYTES)
    is_exact = not table.delimiter.isascii() or table.delimiter in '"\r\n\0' or has_old_mac_lines(path)
    found = _exactly(rows(path, table.delimiter), table) if is_exact else _pieces(path, table, block_bytes)
    pieces: list[_Piece] = []
    count = size = 0
    try:
        for piece in found:
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
    """Yields the rows of a file: plain ones by Arrow, others exactly, and so all that stands above the table."""
    with opened(path) as file:
        text = TextFile(path, file)
        window = 0
        while True:
            if not window:
                some = rows_of(text, table.name, table.delimiter, first_line=text.num_lines + 1)
                begin = text.num_bytes
                stop = begin + min(EXACT_BYTES, block_bytes)
                exact = _exactly(_until(some, text, stop, table.first_line), table)
                yield from (replace(piece, share=text.share) for piece in exact)
                if text.num_bytes == begin:
                    return
                window = min(FIRST_BYTES, block_bytes)
            content, is_last = text.ahead(window)
            piece, size, is_plain = _plain(content, table, text.num_lines + 1, is_last=is_last)
            text.skip(size)
            if piece:
                yield replace(piece, share=text.share)
            can_grow = not is_last and window < block_bytes
            window = min(2 * window, block_bytes) if is_plain and (size or can_grow) else 0


def _until(
    some: Iterator[tuple[int, list[str]]], text: TextFile, num_bytes: int, num_lines: int
) -> Iterator[tuple[int, list[str]]]:
    """Yields rows until so many bytes and so many lines of a file are read, and one at least."""
    for row in some:
        yield row
        if text.num_bytes >= num_bytes and text.num_lines >= num_lines:
            return


def _exactly(some: Iterable[tuple[int, list[str]]], table: Table) -> Iterator[_Piece]:
    """Yields lines and cells of rows as `delimited` takes them; those before one for which it raises DataError, too."""
    lines: list[int] = []
    usable: list[list[str]] = []
    problems: list[Problem] = []
    try:
        for line, cells in some:
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


def _plain(content: bytes, table: Table, line: int, *, is_last: bool) -> tuple[_Piece | None, int, bool]:
    """Returns the plain rows at the begin of a text, how many bytes they have, and whether the next may be plain.

    Args:
        content: The text, UTF-8.
        table: How it is read.
        line: Its first line in the file.
        is_last: Whether the file ends with it.
    """
    found = plain_rows.find(content, table.delimiter, is_last=is_last)
    total = len(found.starts)
    if not total:
        return None, found.end, not found.is_cut
    cells, numbers, odd = _by_arrow(content[: found.end], table, total)
    if len(cells) + len(odd) != total:
        return None, 0, False
    stop = min([total, *_to_stop_at(cells, numbers, found, table)])
    texts = {number: content[found.starts[number] : found.stops[number]] for number in odd if number < stop}
    usable, problems, stop = _of_other_width(texts, line + found.lines, table, stop)
    count = int(np.searchsorted(numbers, stop))
    cells, numbers = _inserted(cells[:count], numbers[:count], usable, table)
    size = found.end if stop == total else int(found.starts[stop])
    return _Piece(cells, line + found.lines[numbers], tuple(problems)), size, stop == total and not found.is_cut


def _of_other_width(
    texts: dict[int, bytes], lines: np.ndarray, table: Table, stop: int
) -> tuple[dict[int, list[str]], list[Problem], int]:
    """Returns those plain rows that can be used, by their number, the problems of others, and where to stop.

    Args:
        texts: Number of a row -> its text.
        lines: The line in which each row begins.
        table: How they are read.
        stop: The number of the first row that is to be read exactly, with an error maybe.
    """
    usable: dict[int, list[str]] = {}
    problems: list[Problem] = []
    for number, text in texts.items():
        some = rows_of([text.decode()], table.name, table.delimiter, first_line=int(lines[number]))
        try:
            record = table.record(*next(some))
        except DataError:
            return usable, problems, number
        if record and record.problem:
            problems.append(record.problem)
        elif record:
            usable[number] = list(record.cells.values())
    return usable, problems, stop


def _by_arrow(content: bytes, table: Table, total: int) -> tuple[pa.RecordBatch, np.ndarray, list[int]]:
    """Returns the rows with the usual number of cells, the number of each, from 0, and those of the other rows."""
    odd: list[int] = []

    def skip(row: pyarrow.csv.InvalidRow) -> str:
        odd.append(row.number - 1)
        return "skip"

    names = [str(number) for number in range(len(table.names) + table.ends_lines)]
    found = pyarrow.csv.read_csv(
        pa.BufferReader(content),
        # Threads would save no CPU time, and leave rows without their numbers.
        pyarrow.csv.ReadOptions(use_threads=False, block_size=len(content) + 1, column_names=names),
        pyarrow.csv.ParseOptions(delimiter=table.delimiter, newlines_in_values=True, invalid_row_handler=skip),
        pyarrow.csv.ConvertOptions(
            check_utf8=False, column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    ).combine_chunks()
    columns = [pa.concat_arrays(column.chunks or [pa.array([], pa.string())]) for column in found.columns]
    numbers = np.delete(np.arange(total), odd)
    if table.ends_lines and len(numbers) == len(columns[-1]):
        has_more = pc.binary_length(columns.pop()).to_numpy() > 0
        odd = sorted([*odd, *numbers[has_more].tolist()])
        numbers = numbers[~has_more]
        columns = [column.filter(pa.array(~has_more)) for column in columns] if has_more.any() else columns
    return pa.RecordBatch.from_arrays(columns[: len(table.names)], names=table.names), numbers, odd


def _to_stop_at(cells: pa.RecordBatch, numbers: np.ndarray, found: PlainRows, table: Table) -> Iterator[int]:
    """Yields the first row that is the header again, and the first with a cell that is too long to be read."""
    rest = np.arange(len(cells))
    if len(table.names) > 1:
        header = pa.array(table.header)
        for column in cells.columns:
            some = column if len(rest) == len(column) else column.take(pa.array(rest))
            rest = rest[pc.is_in(some, header).to_numpy(zero_copy_only=False)]
            if not len(rest):
                break
        yield from (numbers[row] for row in rest if table.is_header([str(one[row]) for one in cells.columns]))
    if (found.stops - found.starts).max() > MAX_CELL:
        for column in cells.columns:
            yield from numbers[pc.binary_length(column).to_numpy() > MAX_CELL]


def _inserted(
    cells: pa.RecordBatch, numbers: np.ndarray, more: dict[int, list[str]], table: Table
) -> tuple[pa.RecordBatch, np.ndarray]:
    """Returns rows with more rows among them, in the order of their numbers."""
    if not more:
        return cells, numbers
    numbers = np.concatenate([numbers, list(more)])
    order = np.argsort(numbers)
    both = _joined([cells, _batch(list(more.values()), table)])
    return both.take(pa.array(order)), numbers[order]
