"""Optional features within the graph: sparse for TFT, dense for networks."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

# The missing value of a column `(batch,)`, by the stored type of a feature.
ABSENT = {"bytes": "", "float": float("nan"), "int": tf.int64.min}


def dense(value, default) -> tf.Tensor:
    """Returns a raw feature as `(batch,)`; an optional one is sparse, and `default` replaces missing values."""
    if not isinstance(value, tf.SparseTensor):
        return value
    shape = tf.stack([value.dense_shape[0], tf.constant(1, tf.int64)])
    full = tf.sparse.to_dense(tf.SparseTensor(value.indices, value.values, shape), tf.constant(default, value.dtype))
    return full[:, 0]


def stacked(columns: Sequence, default) -> tf.Tensor:
    """Returns raw features of one dtype as `(batch, features)`, in order; `default` replaces missing values.

    With few operations, not a dozen for each column: TFT and training trace a table's columns several times.
    """
    optional = [index for index, column in enumerate(columns) if isinstance(column, tf.SparseTensor)]
    required = [index for index in range(len(columns)) if index not in set(optional)]
    parts = []
    if required:
        parts.append(tf.stack([columns[index] for index in required], axis=1))
    if optional:
        parts.append(_stacked_sparse([columns[index] for index in optional], default))
    if len(parts) == 1:
        return parts[0]
    return tf.gather(tf.concat(parts, axis=1), np.argsort([*required, *optional]), axis=1)


def _stacked_sparse(columns: Sequence[tf.SparseTensor], default) -> tf.Tensor:
    """Returns columns `(batch, 1)` as `(batch, columns)`."""
    if len(columns) == 1:
        return dense(columns[0], default)[:, None]
    indices = [column.indices for column in columns]
    # A second value of a row would be taken for one of the next column.
    with tf.control_dependencies(
        [tf.debugging.assert_less(tf.concat(indices, axis=0)[:, 1], tf.constant(1, tf.int64))]
    ):
        rows = tf.identity(columns[0].dense_shape[0])
    shape = tf.stack([rows, tf.constant(1, tf.int64)])  # dense_shape is (batch, 0) where a batch has no value
    joined = tf.raw_ops.SparseConcat(
        indices=indices, values=[column.values for column in columns], shapes=[shape] * len(columns), concat_dim=1
    )
    full = tf.SparseTensor(joined.output_indices, joined.output_values, joined.output_shape)
    return tf.ensure_shape(tf.sparse.to_dense(full, tf.constant(default, full.dtype)), (None, len(columns)))


def sparse(values: tf.Tensor) -> tf.SparseTensor:
    """Returns a column `(batch,)` as TFT takes an optional one: `(batch, 1)`, without missing values."""
    if values.dtype == tf.float32:
        is_missing = tf.math.is_nan(values)
    else:
        is_missing = values == ABSENT["bytes" if values.dtype == tf.string else "int"]
    rows = tf.where(~is_missing)[:, 0]
    indices = tf.stack([rows, tf.zeros_like(rows)], axis=1)
    shape = tf.stack([tf.size(values, tf.int64), tf.constant(1, tf.int64)])
    return tf.SparseTensor(indices, tf.gather(values, rows), shape)
