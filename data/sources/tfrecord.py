"""Reads TFRecord files of tf.train.Examples."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.sources import archives
from data.sources.blocks import Block, RowBuffer
from data.sources.records import Record
from data.spec import Problem

BLOCK_BYTES = 4 * 2**20
# Small, since each example may be a picture of megabytes; a step of the iterator costs more than parsing an example.
BATCH_ROWS = 64


def read(path: Path) -> Iterator[Record]:
    """Yields the examples; a feature with one value as that value, a feature with several as a list.

    Raises:
        DataError: The file is empty, corrupt or cut off; the message has the number of the record.
    """
    for number, serialized in enumerate(_serialized(path), start=1):
        yield Record(f"{path}:{number}", *_cells(serialized, path, number), number=number)


def blocks(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yields the examples that `read` yields, in blocks; raises DataError as it does.

    Args:
        path: The file.
        block_bytes: Approximate size of the records of a block, in bytes.
    """
    buffer = RowBuffer(str(path))
    try:
        for number, serialized in enumerate(_serialized(path), start=1):
            cells, problem = _cells(serialized, path, number)
            buffer.add(cells, number, problem, len(serialized))
            if buffer.size >= block_bytes:
                yield from buffer.blocks()
    except DataError:
        yield from buffer.blocks()
        raise
    yield from buffer.blocks()


def _serialized(path: Path) -> Iterator[bytes]:
    """Yields the records of a file; raises DataError as `read` does."""
    import tensorflow as tf

    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); write or fetch it again.")
    count = 0
    dataset = tf.data.TFRecordDataset(str(path), compression_type="GZIP" if archives.is_gzip(path) else "")
    try:
        for batch in dataset.batch(BATCH_ROWS).as_numpy_iterator():
            for serialized in batch:
                count += 1
                yield serialized
    except tf.errors.OpError as error:
        count += _count_readable(dataset.skip(count))
        reason = re.search(r"(truncated|corrupted) record at \d+", error.message)
        raise DataError(
            f"{path}:{count + 1}: the record is damaged ({reason[0] if reason else type(error).__name__}); "
            f"{count:,} before it are whole. Fetch the file again."
        ) from error
    if not count:
        raise DataError(f"{path} has no records.")


def _cells(serialized: bytes, path: Path, number: int) -> tuple[dict[str, Any], Problem | None]:
    """Returns the values of an example, and the problem of a record that is not one; else None."""
    from data import examples

    try:
        return {name: _cell(examples.values(feature)[1]) for name, feature in examples.parse(serialized).items()}, None
    except ValueError as error:
        description = f"{len(serialized):,} bytes that are none ({error})"
        return {}, Problem(f"{path}:{number}", "", "a tf.train.Example", description, number)


def _count_readable(dataset) -> int:
    """Returns the number of records before the first that cannot be read."""
    import tensorflow as tf

    count = 0
    try:
        for _ in dataset:
            count += 1
    except tf.errors.OpError:
        pass
    return count


def _cell(values: Sequence) -> Any:
    return values[0] if len(values) == 1 else list(values) or None
