"""Reads Apache Parquet files."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import DataError
from data.sources import archives
from data.sources.blocks import Block, to_list
from data.sources.records import Record

BATCH_ROWS, BLOCK_ROWS = 1024, 16_384
BLOCK_BYTES = 16 * 2**20  # of uncompressed values
MICROSECONDS = {pa.time64("ns"): pa.time64("us"), pa.duration("ns"): pa.duration("us")}
LOGS = {"_delta_log": "Delta Lake", ".hoodie": "Hudi"}  # folder of a log -> table format
DAMAGE_ERRORS = (pa.ArrowException, OSError, UnicodeDecodeError)  # that a reader raises for damaged bytes
PLAIN_TYPES = (pa.int64(), pa.float64(), pa.bool_(), pa.string(), pa.binary())


def columns(path: Path) -> list[str]:
    """Returns the names of the columns; raises DataError when the file is not a valid Parquet file."""
    with _open(path) as file:
        return list(file.schema_arrow.names)


def num_rows(path: Path) -> int:
    """Returns the number of rows; raises DataError when the file is not a valid Parquet file."""
    with _open(path) as file:
        return file.metadata.num_rows


def read(path: Path) -> Iterator[Record]:
    """Yields the rows, with Python values as cells.

    Raises:
        DataError: The file is not a valid Parquet file, or has no row.
    """
    for names, block in _blocks(path, BATCH_ROWS):
        cells_by_column = {name: block.column(name) for name in names}
        values = [cells if isinstance(cells, list) else to_list(cells) for cells in cells_by_column.values()]
        for row, cells in enumerate(zip(*values, strict=True)):
            yield Record(block.where(row), dict(zip(cells_by_column, cells, strict=True)), number=block.number(row))


def blocks(path: Path, block_rows: int = BLOCK_ROWS, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yields the rows that `read` yields, in blocks, with integers as int64 and other numbers as float64.

    Args:
        path: The file.
        block_rows: Greatest number of rows in a block.
        block_bytes: Approximate limit for the size of a block in bytes, by the mean size of a row.

    Raises:
        DataError: As `read` does.
    """
    return (block for _, block in _blocks(path, block_rows, block_bytes))


def _blocks(path: Path, block_rows: int, block_bytes: int = BLOCK_BYTES) -> Iterator[tuple[list[str], Block]]:
    """Yields the names of the columns in the order of the file, and some rows."""
    count, name = 0, archives.name_of(path)
    with _open(path) as file:
        try:
            max_rows = int(block_bytes / max(_row_bytes(file.metadata), 1))
            for batch in file.iter_batches(max(min(max_rows, block_rows), 1)):
                block = _block(name, batch, count)
                count += len(batch)
                yield batch.schema.names, replace(block, share=min(count / max(file.metadata.num_rows, 1), 1.0))
        except DAMAGE_ERRORS as error:
            raise _damaged(path, error, f" after row {count:,}") from error
    if not count:
        raise DataError(f"{name} has columns and no rows.")


def _row_bytes(metadata: pq.FileMetaData) -> float:
    """Returns the mean size of a row in bytes, in the row group with the largest rows."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    return max((group.total_byte_size / max(group.num_rows, 1) for group in groups), default=0.0)


def _block(name: str, batch: pa.RecordBatch, rows_before: int) -> Block:
    """Returns a batch as a block; columns of types without an equivalent plain type become Python values.

    In such a column text that is not UTF-8 becomes bytes.
    """
    cells, mixed = {}, {}
    for field, column in zip(batch.schema.names, map(_as_plain_type, batch.columns), strict=True):
        is_utf8 = _is_utf8(column)
        if (column.type in PLAIN_TYPES or _is_plain_list(column.type)) and is_utf8:
            cells[field] = column
            continue
        values = to_list(column)
        array = _as_array(values) if is_utf8 and not _holds_objects(column.type) else None
        if array is None:
            mixed[field] = values
        else:
            cells[field] = array
    numbers = np.arange(rows_before + 1, rows_before + len(batch) + 1)
    return Block(name, pa.RecordBatch.from_arrays(list(cells.values()), names=list(cells)), numbers, mixed)


def _is_plain_list(kind: pa.DataType) -> bool:
    """Returns whether a type is a list of numbers, of types that `PLAIN_TYPES` names, or of such lists."""
    if not pa.types.is_list(kind):
        return False
    of = kind.value_type
    return of in PLAIN_TYPES or pa.types.is_integer(of) or pa.types.is_floating(of) or _is_plain_list(of)


def _as_array(values: list) -> pa.Array | None:
    """Returns Python values as an array of a type that Arrow infers; None where it cannot."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return None


def _holds_objects(kind: pa.DataType) -> bool:
    """Returns whether a type contains structs or maps, which Arrow would not infer from Python values unchanged."""
    is_object = pa.types.is_struct(kind) or pa.types.is_map(kind)
    return is_object or (pa.types.is_nested(kind) and _holds_objects(kind.value_type))


def _is_utf8(column: pa.Array) -> bool:
    """Returns whether all texts of a column are UTF-8."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _as_plain_type(column: pa.Array) -> pa.Array:
    """Returns a column cast to the plain type for its values, see `PLAIN_TYPES`; unchanged where there is none."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if kind in MICROSECONDS or pa.types.is_timestamp(kind):
        return _in_microseconds(column)
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return column.cast(pa.int64())
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if pa.types.is_large_string(kind):
        return column.cast(pa.string())
    return column.cast(pa.binary()) if pa.types.is_large_binary(kind) else column


def _in_microseconds(column: pa.Array) -> pa.Array:
    """Returns times and durations truncated to microseconds, the resolution of Python's."""
    kind = column.type
    if kind.unit != "ns":
        return column
    numbers = column.view(pa.int64()).fill_null(0).to_numpy() // 1000
    array = pa.array(numbers, mask=column.is_null().to_numpy(zero_copy_only=False))
    return array.view(pa.timestamp("us", kind.tz) if pa.types.is_timestamp(kind) else MICROSECONDS[kind])


def refuse_part_of_log(folder: Path) -> None:
    """Raises DataError where a folder is a table with a log of its changes, or a folder within such a table."""
    log = _log_of(folder)
    if log:
        raise DataError(
            f"{folder} is a table of {log}, whose log says which rows are deleted, and its Parquet files hold those, "
            "too; export the table to plain Parquet in another folder, and name that one."
        )
    if folder.name == "data" or "=" in folder.name:
        refuse_part_of_log(folder.parent)


def _log_of(folder: Path) -> str | None:
    """Returns the table format that keeps a log of changes in a folder, such as Iceberg; None without a log."""
    if any((folder / "metadata").glob("*.metadata.json")):
        return "Iceberg"
    return next((name for folder_name, name in LOGS.items() if (folder / folder_name).is_dir()), None)


def has_log(folder: Path) -> bool:
    """Returns whether a folder holds a log of the changes of a table."""
    return _log_of(folder) is not None


def _open(path: Path) -> pq.ParquetFile:
    refuse_part_of_log(path.parent)
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); write or fetch it again.")
    try:
        file = pq.ParquetFile(io.BytesIO(_unpacked(path)) if archives.is_zip(path) else path)
        names = file.schema_arrow.names
    except DAMAGE_ERRORS as error:
        raise _damaged(path, error) from error
    duplicate = next((name for name in names if names.count(name) > 1), None)
    if duplicate is not None:
        raise DataError(f"{path}: column {duplicate!r} occurs twice; rename one.")
    return file


def _unpacked(path: Path) -> bytes:
    """Returns the table in a zip file, decompressed in memory: reading Parquet begins at the end of the file."""
    with archives.opened(path) as file:
        return file.read()


def _damaged(path: Path, error: Exception, position: str = "") -> DataError:
    reason = str(error).splitlines()[0].split(". ")[0].rstrip(".")
    return DataError(f"{path} is not a whole Parquet file{position} ({reason[:120]}); fetch it again.")
