"""Vocabularies as TFT defines them: by descending count, equal counts by descending value. Counted by batches."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from tensorflow_transform import analyzers

VALUE, COUNT = "value", "count"
COMPACTED = 1_000_000  # least number of rows before the counts of equal values are added up


class ValueCounts:
    """How often each value of a tensor occurs: an accumulator over batches.

    Attributes:
        value_key: Key of a batch's distinct values, string or integer `(values,)`.
        count_key: Key of their counts, integer `(values,)`.
    """

    def __init__(self, value_key: str, count_key: str):
        self.value_key, self.count_key = value_key, count_key
        self._parts: list[pa.Table] = []
        self._rows, self._limit = 0, COMPACTED

    def add(self, batch: Mapping[str, np.ndarray]) -> None:
        """Counts a batch's values."""
        values = batch[self.value_key]
        column = pa.array(values, pa.binary() if values.dtype == object else None)
        self._append(pa.table({VALUE: column, COUNT: batch[self.count_key].astype(np.int64)}))

    def merge(self, other: "ValueCounts") -> None:
        """Adds the counts of another accumulator."""
        for part in other._parts:
            self._append(part)

    def result(self) -> pa.Table:
        """Returns the columns `value` and `count`, int64, a row for each distinct value, in no order."""
        self._compact()
        return (
            self._parts[0]
            if self._parts
            else pa.table({VALUE: pa.array([], pa.binary()), COUNT: pa.array([], pa.int64())})
        )

    def _append(self, part: pa.Table) -> None:
        self._parts.append(part)
        self._rows += len(part)
        if self._rows > self._limit:
            self._compact()
            self._limit = max(COMPACTED, 2 * self._rows)

    def _compact(self) -> None:
        if len(self._parts) > 1:
            totals = pa.concat_tables(self._parts).group_by(VALUE, use_threads=False).aggregate([(COUNT, "sum")])
            self._parts = [totals.rename_columns({f"{COUNT}_sum": COUNT})]
            self._rows = len(totals)


def kept(counts: pa.Table, *, min_count: float, top_k: int | None, dtype: str) -> pa.Table:
    """Returns the values of a vocabulary, binary, and their counts, in order.

    Args:
        counts: Columns `value` and `count`, a row for each distinct value.
        min_count: Least count of a value in the vocabulary.
        top_k: Greatest number of values; None for all.
        dtype: Name of the values' dtype, by which TFT chooses the placeholder in an empty vocabulary.
    """
    counts = counts.filter(pc.greater_equal(counts[COUNT], min_count))
    if not pa.types.is_binary(counts.schema.field(VALUE).type):
        counts = counts.set_column(0, VALUE, counts[VALUE].cast(pa.string()).cast(pa.binary()))
    counts = counts.sort_by([(COUNT, "descending"), (VALUE, "descending")])
    if len(counts) == 0:
        count, value = analyzers.get_empy_vocabulary_dummy_value(dtype)
        return pa.table({VALUE: pa.array([value], pa.binary()), COUNT: pa.array([count], pa.int64())})
    return counts.slice(0, top_k)


def write(counts: pa.Table, path: Path) -> None:
    """Writes a vocabulary file: a value a line."""
    with tf.io.gfile.GFile(str(path), "wb") as file:
        file.write(b"".join(value + b"\n" for value in counts[VALUE].to_pylist()))
