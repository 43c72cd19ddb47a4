"""Reads Apache Parquet files."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import DataError
from data.sources import archives
from data.sources.blocks import Block
from data.sources.records import Record

BATCH_ROWS, BLOCK_ROWS = 1024, 16_384
PLAIN = (pa.int64(), pa.float64(), pa.bool_(), pa.string(), pa.binary())


def columns(path: Path) -> list[str]:
    """Returns the names of the columns; raises DataError when the file is no whole Parquet file."""
    with _open(path) as file:
        return list(file.schema_arrow.names)


def num_rows(path: Path) -> int:
    """Returns how many rows there are; raises DataError when the file is no whole Parquet file."""
    with _open(path) as file:
        return file.metadata.num_rows


def read(path: Path) -> Iterator[Record]:
    """Yields the rows, each cell in the Python type that belongs to its column's.

    Raises:
        DataError: The file is no whole Parquet file, or has no row.
    """
    count, name = 0, archives.name_of(path)
    with _open(path) as file:
        try:
            for batch in file.iter_batches(BATCH_ROWS):
                for cells in _rows(batch):
                    count += 1
                    yield Record(f"{name}:{count}", cells)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error, f" after row {count:,}") from error
    if not count:
        raise DataError(f"{name} has columns and no rows.")


def blocks(path: Path, block_rows: int = BLOCK_ROWS) -> Iterator[Block]:
    """Yields the rows that `read` yields, some at a time, with whole numbers as int64 and others as float64.

    Raises:
        DataError: As `read` does.
    """
    count, name = 0, archives.name_of(path)
    with _open(path) as file:
        try:
            for batch in file.iter_batches(block_rows):
                block = _block(name, batch, count)
                count += len(batch)
                yield replace(block, share=count / file.metadata.num_rows)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(path, error, f" after row {count:,}") from error
    if not count:
        raise DataError(f"{name} has columns and no rows.")


def _block(name: str, batch: pa.RecordBatch, before: int) -> Block:
    """Returns a batch as a block; columns of types without a plain one of the same values as Python's values."""
    columns = {field: _plain(column) for field, column in zip(batch.schema.names, batch.columns, strict=True)}
    try:
        for column in columns.values():
            column.validate(full=True)
    except pa.ArrowInvalid:  # text that is not UTF-8
        columns = {field: _bytes_of(column) for field, column in columns.items()}
    cells, mixed = {}, {}
    for field, column in columns.items():
        if column.type in PLAIN:
            cells[field] = column
            continue
        values = column.to_pylist()
        try:
            cells[field] = pa.array(values)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            mixed[field] = values
    numbers = np.arange(before + 1, before + len(batch) + 1)
    return Block(name, pa.RecordBatch.from_arrays(list(cells.values()), names=list(cells)), numbers, mixed)


def _plain(column: pa.Array) -> pa.Array:
    """Returns a column with the plain type of its values, see `PLAIN`; as it is where there is none."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if pa.types.is_large_string(kind):
        return column.cast(pa.string())
    return column.cast(pa.binary()) if pa.types.is_large_binary(kind) else column


def _rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Returns a batch as rows; of a column of text that is not UTF-8 in all rows, bytes."""
    try:
        return batch.to_pylist()
    except UnicodeDecodeError:
        columns = [_bytes_of(column) for column in batch.columns]
        return pa.RecordBatch.from_arrays(columns, names=batch.schema.names).to_pylist()


def _bytes_of(column: pa.Array) -> pa.Array:
    return column.cast(pa.binary()) if pa.types.is_string(column.type) else column


def _open(path: Path) -> pq.ParquetFile:
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); write or fetch it again.")
    try:
        return pq.ParquetFile(io.BytesIO(_unpacked(path)) if archives.is_zip(path) else path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from error


def _unpacked(path: Path) -> bytes:
    """Returns the table in a zip file: Parquet is read from its end, which packed bytes do not allow."""
    with archives.opened(path) as file:
        return file.read()


def _damaged(path: Path, error: Exception, after: str = "") -> DataError:
    reason = str(error).splitlines()[0].split(". ")[0].rstrip(".")
    return DataError(f"{path} is not a whole Parquet file{after} ({reason[:120]}); fetch it again.")
