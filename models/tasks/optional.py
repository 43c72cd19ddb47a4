"""Optional features within the graph: TFT takes them sparse, networks dense."""

import tensorflow as tf

# What stands for nothing in a column `(batch,)`, by how a feature is stored.
ABSENT = {"bytes": "", "float": float("nan"), "int": tf.int64.min}


def dense(value, default) -> tf.Tensor:
    """Returns a raw feature as `(batch,)`; an optional one comes sparse, and `default` stands for what is absent."""
    if not isinstance(value, tf.SparseTensor):
        return value
    shape = tf.stack([value.dense_shape[0], tf.constant(1, tf.int64)])
    full = tf.sparse.to_dense(tf.SparseTensor(value.indices, value.values, shape), tf.constant(default, value.dtype))
    return full[:, 0]


def sparse(values: tf.Tensor) -> tf.SparseTensor:
    """Returns a column `(batch,)` as TFT takes an optional one: `(batch, 1)`, without what stands for nothing."""
    if values.dtype == tf.float32:
        absent = tf.math.is_nan(values)
    else:
        absent = values == ABSENT["bytes" if values.dtype == tf.string else "int"]
    rows = tf.where(~absent)[:, 0]
    indices = tf.stack([rows, tf.zeros_like(rows)], axis=1)
    shape = tf.stack([tf.size(values, tf.int64), tf.constant(1, tf.int64)])
    return tf.SparseTensor(indices, tf.gather(values, rows), shape)
