"""Batches of stored examples. None spans two files, so that they do not depend on which worker reads which file."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf


class FileBatches:
    """Reads the serialized rows of one of several TFRecord files, in batches, string `(batch,)`.

    Files that are read in order share one tf.data pipeline: opening one takes as long as reading 8 MiB. An object that
    was pickled has no open pipeline.

    Args:
        files: All files, in order.
        rows: Rows of a batch; the last batch of a file may have fewer.
    """

    def __init__(self, files: Sequence[str], rows: int):
        self._files, self._rows = list(files), rows
        self._index = -1  # of the file that is read next by the open pipeline; none is open
        self._batches: Iterator[tuple[tf.Tensor, tf.Tensor]] = iter(())
        self._next: tuple[tf.Tensor, tf.Tensor] | None = None

    def __call__(self, file: str) -> Iterator[tf.Tensor]:
        """Yields the batches of a file."""
        index = self._files.index(file)
        if index != self._index:
            self._open(index)
        self._index = -1  # until all of the file is read
        while self._next is not None and int(self._next[0]) == index:
            yield self._next[1]
            self._next = next(self._batches, None)
        self._index = index + 1

    def __reduce__(self):
        return FileBatches, (self._files, self._rows)

    def _open(self, index: int) -> None:
        """Opens a pipeline that begins with the file at this index."""
        files = tf.data.Dataset.from_tensor_slices((np.arange(index, len(self._files)), self._files[index:]))
        options = tf.data.Options()
        options.autotune.enabled = options.experimental_optimization.apply_default_optimizations = False
        self._batches = iter(files.flat_map(self._batches_of).with_options(options))
        self._next = next(self._batches, None)

    def _batches_of(self, index: tf.Tensor, file: tf.Tensor) -> tf.data.Dataset:
        batches = tf.data.TFRecordDataset(file).batch(self._rows)
        return tf.data.Dataset.zip((tf.data.Dataset.from_tensors(index).repeat(), batches))
