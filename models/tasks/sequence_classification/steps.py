"""Steps of a column of sequences, numbers or categories, and the networks for them.

Rows are padded to `max_length` steps. No network sees the padding: a row has the same scores whatever it is padded to.
"""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from keras import layers, ops

from data.examples import encode
from data.spec import DatasetSpec, Row, SequenceFeature
from models.task import Tensors
from models.tasks.input_keys import input_keys
from models.tasks.sequence_classification.config import SequenceClassificationConfig

# Numbers: float32 `(batch, max_length, width)`, standardized; categories: int64 `(batch, max_length)`; 0 for padding.
STEPS = "steps"
NUM_STEPS = "num_steps"  # int64 `(batch,)`
UNKNOWN, NUM_RESERVED = 1, 2  # indices of categories: 0 for padding, 1 for one without an embedding of its own


def transform(values: tf.SparseTensor, feature: SequenceFeature, config: SequenceClassificationConfig) -> Tensors:
    """Returns the steps, cut or padded to `max_length`, and how many each row has.

    Args:
        values: The values of all steps, `(batch, None)`.
        feature: The column.
        config: Settings of the task.
    """
    rows = _cut(tf.RaggedTensor.from_sparse(values), feature)
    length = rows.row_lengths()
    if feature.of == "category":
        indices = tft.compute_and_apply_vocabulary(
            rows, default_value=-1, top_k=config.vocabulary_size, frequency_threshold=config.min_count
        )
        padded = (indices + NUM_RESERVED).to_tensor(0, shape=(None, feature.max_length))
    else:
        scaled = rows.with_flat_values(_standardized(rows.flat_values))
        padded = scaled.to_tensor(0.0, shape=(None, feature.max_length, feature.width))
    return {STEPS: padded, NUM_STEPS: length}


def _cut(values: tf.RaggedTensor, feature: SequenceFeature) -> tf.RaggedTensor:
    """Returns at most `max_length` steps of each row, `(batch, None)`; of numbers `(batch, None, width)`."""
    if feature.of == "number":
        numbers = tf.reshape(values.flat_values, (-1, feature.width))
        values = tf.RaggedTensor.from_row_splits(numbers, values.row_splits // feature.width, validate=False)
    return values[:, -feature.max_length :] if feature.too_long == "last" else values[:, : feature.max_length]


def _standardized(numbers: tf.Tensor) -> tf.Tensor:
    """Returns numbers `(steps, width)` minus the mean, divided by the standard deviation, of all steps by channel."""
    mean = tft.mean(numbers, reduce_instance_dims=False)
    deviation = tf.sqrt(tft.var(numbers, reduce_instance_dims=False))
    return tf.math.divide_no_nan(numbers - mean, deviation)


def build(config: SequenceClassificationConfig, feature: SequenceFeature):
    """Returns the inputs by name, and the outputs of the last hidden layer, `(batch, 2 * units + 1)`.

    They are mean and maximum over the steps of the network's vectors, and the logarithm of the number of steps.
    """
    num_steps = keras.Input((), dtype="int64", name=NUM_STEPS)
    if feature.of == "category":
        steps = keras.Input((feature.max_length,), dtype="int64", name=STEPS)
        x = layers.Embedding(config.vocabulary_size + NUM_RESERVED, config.embedding_dim)(steps)
    else:
        steps = x = keras.Input((feature.max_length, feature.width), name=STEPS)
    is_step = ops.expand_dims(num_steps, 1) > ops.arange(feature.max_length, dtype="int64")  # (batch, max_length)
    x = layers.Dense(config.units)(x)  # (batch, max_length, units)
    x = NETWORKS[config.network](x, is_step, config)
    size = ops.log1p(ops.cast(ops.expand_dims(num_steps, 1), x.dtype))
    return {STEPS: steps, NUM_STEPS: num_steps}, layers.Concatenate()([*_pooled(x, is_step), size])


def _pooled(x, is_step) -> tuple:
    """Returns mean and maximum over the steps of `(batch, max_length, units)`; 0 for a row without a step."""
    is_step = ops.expand_dims(is_step, 2)
    one = ops.cast(is_step, x.dtype)
    count = ops.sum(one, axis=1)
    greatest = ops.max(ops.where(is_step, x, -1e4), axis=1)  # float16 has no less
    return ops.sum(x * one, axis=1) / ops.maximum(count, 1.0), ops.where(count > 0, greatest, 0.0)


def _convolution(x, is_step, config: SequenceClassificationConfig):
    """Residual dilated convolutions (Bai et al., arXiv:1803.01271), not causal, over steps with padding set to 0."""
    for layer in range(config.num_layers):
        h = layers.LayerNormalization()(x)
        h = h * ops.cast(ops.expand_dims(is_step, 2), h.dtype)
        h = layers.Conv1D(config.units, config.kernel_size, padding="same", dilation_rate=2**layer)(h)
        x = x + layers.Dropout(config.dropout / 3)(ops.relu(h))
    return x


def _gru(x, is_step, config: SequenceClassificationConfig):
    """Bidirectional gated recurrent units (Cho et al., arXiv:1406.1078), each direction half of the units."""
    for layer in range(config.num_layers):
        x = layers.Dropout(config.dropout / 3)(x) if layer else x
        cells = layers.GRU(max(config.units // 2, 1), return_sequences=True)
        x = layers.Bidirectional(cells)(x, mask=is_step)
    return x


def _transformer(x, is_step, config: SequenceClassificationConfig):
    """A Transformer encoder with learned positions (Vaswani et al., arXiv:1706.03762), normalized before each layer."""
    positions = ops.cumsum(ops.ones_like(is_step, dtype="int64"), axis=1) - 1
    x = x + layers.Embedding(x.shape[1], config.units)(positions)
    mask = ops.expand_dims(is_step, 1)  # (batch, 1, max_length): which steps each step attends to
    for _ in range(config.num_layers):
        h = layers.LayerNormalization()(x)
        attention = layers.MultiHeadAttention(config.num_heads, max(config.units // config.num_heads, 1))
        x = x + layers.Dropout(config.dropout / 3)(attention(h, h, attention_mask=mask))
        h = layers.Dense(2 * config.units, activation="gelu")(layers.LayerNormalization()(x))
        x = x + layers.Dropout(config.dropout / 3)(layers.Dense(config.units)(h))
    return layers.LayerNormalization()(x)


NETWORKS = {"convolution": _convolution, "gru": _gru, "transformer": _transformer}


def column_signature(predict, spec: DatasetSpec):
    """Returns the signature `columns`: one input, called as the column, float32 or string `(batch, None)`.

    Several numbers a step are `(batch, None, width)`. Shorter rows are padded after their end, with NaN or an empty
    text, since tensors of TF Serving's JSON are rectangular.

    Args:
        predict: Function from raw features to the signature's outputs.
        spec: The data set's facts.
    """
    name, feature = spec.only(SequenceFeature)
    (key,) = input_keys(spec).values()
    shape = (None, None) if feature.width == 1 else (None, None, feature.width)
    dtype = tf.string if feature.of == "category" else tf.float32

    @tf.function(autograph=False)
    def columns(**values):
        padded = tf.reshape(values[key], (tf.shape(values[key])[0], -1))
        is_value = padded != "" if feature.of == "category" else ~tf.math.is_nan(padded)
        ragged = tf.ragged.boolean_mask(padded, is_value)
        return predict({name: ragged.to_sparse()})

    return columns.get_concrete_function(**{key: tf.TensorSpec(shape, dtype, key)})


def queries(row: Row, spec: DatasetSpec) -> dict:
    """Returns one row as inputs of both signatures."""
    name, feature = spec.only(SequenceFeature)
    (key,) = input_keys(spec).values()
    values = row.get(name, [])
    padding = "" if feature.of == "category" else float("nan")
    padded = [*values, *[padding] * (feature.max_length * feature.width - len(values))]
    shape = (feature.max_length,) if feature.width == 1 else (feature.max_length, feature.width)
    array = np.array(padded, object if feature.of == "category" else np.float32).reshape(shape)
    return {"serving_default": {"inputs": encode(row, spec, targets=False)}, "columns": {key: array.tolist()}}


def inputs(spec: DatasetSpec) -> dict:
    """Returns signature -> input -> feature that it takes."""
    return {"columns": {key: name for name, key in input_keys(spec).items()}}
