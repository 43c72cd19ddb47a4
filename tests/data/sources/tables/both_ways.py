"""Tables read by rows and by blocks, in one form, so that tests and fuzzers can compare the two."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.sources.blocks import Block
from data.sources.records import Record

Rows = tuple[list[tuple[str, dict[str, Any]]], list[str], str]
"""Rows with their locations, the problems of unusable rows, and the error that ended reading; empty for none."""


def of_records(records: Iterable[Record], convert: Callable[[Any], Any] = lambda cell: cell) -> Rows:
    """Returns the rows, problems and error of a reader of rows.

    Args:
        records: The records that it yields; may raise DataError.
        convert: Converts a cell for the comparison. Cells that are None are left out.
    """
    rows, problems = [], []
    try:
        for record in records:
            assert record.where.endswith(f":{record.number}")
            if record.problem:
                assert record.problem.number == record.number
                problems.append(str(record.problem))
            else:
                rows.append((record.where, _without_nulls(record.cells, convert)))
    except DataError as error:
        return rows, problems, str(error)
    return rows, problems, ""


def of_blocks(blocks: Iterable[Block], convert: Callable[[Any], Any] = lambda cell: cell) -> Rows:
    """Returns the rows, problems and error of a reader of blocks, as `of_records` does."""
    rows, problems = [], []
    try:
        for block in blocks:
            problems += map(str, block.problems)
            assert all(f":{problem.number}:" in str(problem) for problem in block.problems)
            columns = {name: _values(block.column(name), len(block)) for name in block.columns}
            for row in range(len(block)):
                assert block.where(row).endswith(f":{block.number(row)}")
                cells = {name: column[row] for name, column in columns.items()}
                rows.append((block.where(row), _without_nulls(cells, convert)))
    except DataError as error:
        return rows, problems, str(error)
    return rows, problems, ""


def csv(path: Path, layout: Any, block_bytes: int) -> tuple[Rows, Rows]:
    """Returns a CSV file read by blocks of about `block_bytes`, and by rows; the two should be equal."""
    from data.sources.tables import delimited, delimited_blocks

    return of_blocks(delimited_blocks.read(path, layout, block_bytes)), of_records(delimited.read(path, layout))


def jsonl(path: Path, block_bytes: int) -> tuple[Rows, Rows]:
    """Returns a JSON Lines file read by blocks of about `block_bytes`, and by rows; the two should be equal."""
    from data.sources.tables import jsonl, jsonl_blocks

    return of_blocks(jsonl_blocks.read(path, block_bytes), _number), of_records(jsonl.read(path), _number)


def parquet(path: Path, block_rows: int) -> tuple[Rows, Rows]:
    """Returns a Parquet file read by blocks of `block_rows`, and by rows; the two should be equal."""
    from data.sources.tables import parquet

    return of_blocks(parquet.blocks(path, block_rows), repr), of_records(parquet.read(path), repr)


def _number(cell: Any) -> str:
    """Returns a cell of JSON as text; an integer as a float, which it may become among floats in its column."""
    return repr(float(cell) if type(cell) is int and abs(cell) <= 2**53 else cell)


def _values(column: Any, rows: int) -> list:
    values = column if isinstance(column, list) else column.to_pylist()
    assert len(values) == rows
    return values


def _without_nulls(cells: Any, convert: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: convert(cell) for name, cell in cells.items() if cell is not None}
