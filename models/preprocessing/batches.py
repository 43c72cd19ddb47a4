"""Batches of a fixed number of rows, and TFT's combiners as accumulators over them: same files, same bits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from data.columnar.accumulators import Accumulator
from data.columnar.file_batches import FileBatches
from models import progress

# Most rows of a batch. It ends with its file, and ingest's files have 8 MiB: of large rows a batch has fewer.
BATCH_ROWS = 4096

Batch = Mapping[str, np.ndarray]  # tensors by key


def batches(
    function: Callable[[tf.Tensor], dict[str, tf.Tensor]], files: Sequence[str], rows: int
) -> Callable[[str], Iterator[Batch]]:
    """Returns a function from one of the TFRecord files to the outputs of `function` for each of its batches.

    Args:
        function: Takes serialized tf.train.Examples, string `(batch,)`.
        files: All files, in order.
        rows: Number of rows in all files, for the progress.
    """
    batches_of, done = FileBatches(files, BATCH_ROWS), 0

    def read(file: str) -> Iterator[Batch]:
        nonlocal done
        for serialized in batches_of(file):
            yield {key: value.numpy() for key, value in function(serialized).items()}
            done += len(serialized)
            progress.report(rows=done, of=rows)

    return read


class Combined:
    """One of TFT's combiners as an accumulator over batches.

    Args:
        combiner: The combiner.
        keys: Keys of its input tensors in each batch.
    """

    def __init__(self, combiner: Any, keys: Sequence[str]):
        self._combiner, self._keys = combiner, tuple(keys)
        self._state = combiner.create_accumulator()

    def add(self, batch: Batch) -> None:
        self._state = self._combiner.add_input(self._state, tuple(batch[key] for key in self._keys))

    def merge(self, other: "Combined") -> None:
        self._state = self._combiner.merge_accumulators([self._state, other._state])

    def result(self) -> Any:
        """Returns TFT's accumulator."""
        return self._combiner.compact(self._state)


class Accumulators:
    """Several accumulators by name, as one."""

    def __init__(self, parts: dict[str, Accumulator]):
        self._parts = parts

    def add(self, batch: Batch) -> None:
        for part in self._parts.values():
            part.add(batch)

    def merge(self, other: "Accumulators") -> None:
        for name, part in self._parts.items():
            part.merge(other._parts[name])

    def result(self) -> dict[str, Any]:
        """Returns the result of each, by name."""
        return {name: part.result() for name, part in self._parts.items()}
