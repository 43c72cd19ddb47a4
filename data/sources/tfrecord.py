"""Reads TFRecord files of tf.train.Examples."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.sources.records import Record
from data.spec import Problem

BATCH_ROWS = 1024


def read(path: Path) -> Iterator[Record]:
    """Yields the examples; a feature with one value as that value, one with several as a list.

    Raises:
        DataError: The file is empty, corrupt or cut off; says after which record.
    """
    import tensorflow as tf

    from data import examples

    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes); write or fetch it again.")
    count = 0
    dataset = tf.data.TFRecordDataset(str(path), compression_type="GZIP" if path.suffix == ".gz" else "")
    # In batches: a step of the iterator costs more than parsing an example.
    try:
        for batch in dataset.batch(BATCH_ROWS).as_numpy_iterator():
            for serialized in batch:
                count += 1
                where = f"{path}:{count}"
                try:
                    features = examples.parse(serialized)
                    yield Record(where, {name: _cell(examples.values(one)[1]) for name, one in features.items()})
                except ValueError as error:
                    found = f"{len(serialized):,} bytes that are none ({error})"
                    yield Record(where, {}, Problem(where, "", "a tf.train.Example", found))
    except tf.errors.OpError as error:
        count += _whole_records(dataset.skip(count))
        reason = re.search(r"(truncated|corrupted) record at \d+", error.message)
        raise DataError(
            f"{path}:{count + 1}: the record is damaged ({reason[0] if reason else type(error).__name__}); "
            f"{count:,} before it are whole. Fetch the file again."
        ) from error
    if not count:
        raise DataError(f"{path} has no records.")


def _whole_records(dataset) -> int:
    """Returns how many records can be read before the first that cannot."""
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
