"""Rows as inputs of the model: parsed, transformed by the graph that Transform wrote, kept in memory."""

import functools
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf
import tensorflow_transform as tft

from data.spec import WEIGHT

# Rows, and bytes, that are read at a time: a block is an assignment for each feature, whose cost hardly depends on its
# rows.
MIN_ROWS, MAX_ROWS, READ_BYTES = 1024, 8192, 8 * 2**20
# A multiple of the number of float32 in every CPU's vectors. TensorFlow computes the remainder of a batch one number at
# a time, and a logarithm then differs in its last bit: a row would depend on its position in the batch.
VECTOR = 16
WEIGHT_SPEC = {WEIGHT: tf.io.FixedLenFeature((), tf.float32)}


Kept = Mapping[str, tf.Variable]


@functools.lru_cache(maxsize=1)
def parser(transform_folder: str, *, has_weights: bool = False) -> tf.types.experimental.PolymorphicFunction:
    """Returns the function from serialized examples, string `(batch,)`, to transformed features.

    With `has_weights` the rows' weights are among them, WEIGHT, float32 `(batch,)`. A row gets the same bits in any
    batch.
    """
    # Cached: tracing the graph that Transform wrote takes a third of a second each time.
    transform = tft.TFTransformOutput(transform_folder)
    feature_spec, layer = transform.raw_feature_spec(), transform.transform_features_layer()

    def parse(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        rows = tf.shape(serialized)[0]
        padded = tf.concat([serialized, tf.repeat(serialized[:1], -rows % VECTOR)], axis=0)
        features = layer(tf.io.parse_example(padded, feature_spec))
        weights = tf.io.parse_example(serialized, WEIGHT_SPEC) if has_weights else {}
        return {name: value[:rows] for name, value in features.items()} | weights

    return tf.function(parse, [tf.TensorSpec((None,), tf.string)], autograph=False)


def row_bytes(features: Mapping[str, tf.TensorSpec]) -> int | None:
    """Returns the bytes of a row as input of the model; None where it has no fixed size."""
    specs = tf.nest.flatten(features)
    if any(spec.dtype == tf.string or not spec.shape[1:].is_fully_defined() for spec in specs):
        return None
    return sum(spec.shape[1:].num_elements() * spec.dtype.size for spec in specs)


def keep(files: Sequence[str], num_rows: int, parse: Callable, max_bytes: int) -> Kept | None:
    """Returns the transformed rows of TFRecord files, name -> `(rows, ...)`, in order.

    None where they are too large, or rows have no fixed size.

    Variables, not tensors: tf.data would copy a tensor that a dataset refers to.

    Args:
        files: The files, in order.
        num_rows: Number of rows in the files.
        parse: The function that `parser` returns.
        max_bytes: Upper bound of the bytes of all rows; some batches come on top.
    """
    specs = parse.get_concrete_function().structured_outputs
    size = row_bytes(specs)
    if size is None or num_rows * size > max_bytes:
        return None
    read_rows = min(max(MIN_ROWS, READ_BYTES // size // VECTOR * VECTOR), MAX_ROWS)
    batches = tf.data.TFRecordDataset(list(files)).batch(read_rows)
    parsed = batches.map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(1)
    with tf.device("CPU:0"):  # batches are made there, also for a GPU
        kept = {
            name: tf.Variable(tf.zeros((num_rows, *spec.shape[1:]), spec.dtype), trainable=False)
            for name, spec in specs.items()
        }
        for index, batch in enumerate(parsed):
            for name, values in batch.items():
                _assign(kept[name], index * read_rows, values)
    return kept


def take(kept: Kept, indices: tf.Tensor) -> dict[str, tf.Tensor]:
    """Returns the features of the rows with these indices, int `(batch,)`."""
    return {name: tf.gather(values, indices) for name, values in kept.items()}


def _assign(variable: tf.Variable, begin: int, values: tf.Tensor) -> None:
    """Writes some rows of a variable in place; `variable[begin:end].assign` would copy the variable first."""
    end = begin + len(values)
    tf.raw_ops.ResourceStridedSliceAssign(ref=variable.handle, begin=[begin], end=[end], strides=[1], value=values)
