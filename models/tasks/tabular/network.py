"""The network for tables: wide and deep, with a learned curve for each number and a vector for each category.

Cheng et al., "Wide & Deep Learning for Recommender Systems", arXiv:1606.07792; the curves are piecewise linear
embeddings (Gorishniy et al., arXiv:2203.05556).
"""

import keras
import tensorflow as tf
from keras import layers

from data.examples import encode
from data.spec import CategoryFeature, DatasetSpec
from models.tasks.input_keys import input_keys
from models.tasks.optional import ABSENT, sparse
from models.tasks.tabular.config import TabularConfig
from models.tasks.tabular.features import CATEGORIES, CURVES, MISSING, NUMBERS, number_names


def build(config: TabularConfig, spec: DatasetSpec, units: int):
    """Returns the inputs by name, and logits `(batch, units)`."""
    inputs, wide, deep = {}, [], []
    numbers, categories = len(number_names(spec)), len(spec.of(CategoryFeature))
    if numbers:
        inputs[NUMBERS] = keras.Input((numbers,), name=NUMBERS)
        inputs[MISSING] = keras.Input((numbers,), name=MISSING)
        inputs[CURVES] = keras.Input((numbers, config.bins), name=CURVES)
        wide += [inputs[NUMBERS], inputs[MISSING], layers.Flatten()(inputs[CURVES])]
        shape = (numbers, config.number_dim)
        vectors = layers.EinsumDense("bnt,ntd->bnd", shape, bias_axes="nd", activation=config.activation, name="curve")
        deep += [inputs[NUMBERS], inputs[MISSING], layers.Flatten()(vectors(inputs[CURVES]))]
    if categories:
        inputs[CATEGORIES] = keras.Input((categories,), dtype="int64", name=CATEGORIES)
        rows = config.vocabulary_size + config.hash_buckets
        weights = layers.Embedding(rows, units, embeddings_initializer="zeros", name="wide_categories")
        wide_categories = keras.ops.sum(weights(inputs[CATEGORIES]), axis=1)  # (batch, units)
        vectors = layers.Embedding(rows, config.category_dim, name="categories_embedding")(inputs[CATEGORIES])
        deep.append(layers.Flatten()(vectors))
    parts = []
    if wide:
        parts.append(layers.Dense(units, name="wide")(_joined(wide)))
    if categories:
        parts.append(wide_categories)
    if config.dense_units:
        x = _joined(deep)
        for size in config.dense_units:
            x = layers.Dropout(config.dropout)(x)
            x = layers.Dense(size, activation=config.activation)(x)
        parts.append(layers.Dense(units, name="deep")(layers.Dropout(config.dropout)(x)))
    return inputs, layers.Add()(parts) if len(parts) > 1 else parts[0]


def _joined(parts: list):
    return layers.Concatenate()(parts) if len(parts) > 1 else parts[0]


def column_signature(predict, spec: DatasetSpec):
    """Returns the signature `columns`: one input a column, under its own name, string, float32 or int64 `(batch,)`.

    A missing value is an empty text, NaN, or for a date the least int64. Characters that a tensor's name cannot have
    become underscores, see `input_keys`; a Python keyword gets one as suffix.

    Args:
        predict: Function from raw features to the signature's outputs.
        spec: The data set's facts.
    """
    keys = input_keys(spec)
    dtypes = {"bytes": tf.string, "float": tf.float32, "int": tf.int64}

    @tf.function(autograph=False)
    def columns(**values):
        raw = {}
        for name, key in keys.items():
            raw[name] = sparse(values[key]) if spec.features[name].optional else values[key]
        return predict(raw)

    specs = {key: tf.TensorSpec((None,), dtypes[spec.features[name].stored], key) for name, key in keys.items()}
    return columns.get_concrete_function(**specs)


def inputs(config: TabularConfig, spec: DatasetSpec) -> dict[str, dict[str, str]]:
    """Returns signature -> input -> feature that it takes."""
    return {"columns": {key: name for name, key in input_keys(spec).items()}}


def queries(row, config: TabularConfig, spec: DatasetSpec) -> dict:
    """Returns one row as inputs of both signatures."""
    values = {key: row.get(name, ABSENT[spec.features[name].stored]) for name, key in input_keys(spec).items()}
    return {"serving_default": {"inputs": encode(row, spec, targets=False)}, "columns": values}
