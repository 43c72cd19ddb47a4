"""Sequence classification."""

import keras
import tensorflow as tf
from keras import layers, ops

from data.spec import DatasetSpec, LabelFeature, Row, TextFeature
from models.task import FileQuery, Tensors
from models.tasks import classification
from models.tasks.classification import LABEL, ClassificationTask
from models.tasks.sequence_classification.config import SequenceClassificationConfig

LETTERS = "letters"  # int64 `(batch, length)`: position in the alphabet from 1, 0 for an unknown letter or padding


def preprocessing_fn(raw: Tensors, config: SequenceClassificationConfig, spec: DatasetSpec) -> Tensors:
    """Returns the letters as int64 `(batch, length)` and the label as int64 `(batch,)`."""
    text_key, _ = spec.only(TextFeature)
    label_key, _ = spec.only(LabelFeature)
    return {LETTERS: _letters(raw[text_key], config), LABEL: raw[label_key]}


def _letters(text: tf.Tensor, config: SequenceClassificationConfig) -> tf.Tensor:
    text = tf.strings.upper(tf.strings.strip(text), encoding="utf-8")
    # Code points, padded with 0, which no text has.
    codes = tf.strings.unicode_decode(text, "UTF-8").to_tensor(0, shape=(None, config.length))
    alphabet = tf.constant([ord(letter) for letter in config.alphabet])
    positions = tf.range(1, len(config.alphabet) + 1, dtype=tf.int64)
    return tf.reduce_sum(tf.where(codes[..., None] == alphabet, positions, tf.constant(0, tf.int64)), axis=-1)


def build_model(config: SequenceClassificationConfig, spec: DatasetSpec) -> keras.Model:
    """Returns the network: letters to probabilities `(batch, classes)`.

    Each reading frame is represented by the mean vector of its words, so that codon usage and the lack of stop codons
    show at any offset of the window (after Fickett, "Recognition of protein coding regions in DNA sequences",
    Nucleic Acids Research 10, 1982, with learned measures).
    """
    inputs = keras.Input((config.length,), dtype="int64", name=LETTERS)
    strand = _strand_encoder(config)
    x = strand(inputs)
    if config.both_strands:
        size = len(config.alphabet) + 1
        complement = ops.where(inputs > 0, size - inputs, 0)  # A-T and C-G are complements, and opposite in ACGT
        x = ops.maximum(x, strand(ops.flip(complement, axis=1)))
    x = layers.Dropout(config.dropout)(x)
    return keras.Model({LETTERS: inputs}, classification.output(x, spec), name="sequence_classification")


def _strand_encoder(config: SequenceClassificationConfig) -> keras.Model:
    """Returns the network from letters `(batch, length)` to `(batch, dense_units)`, shared by both strands."""
    inputs = keras.Input((config.length,), dtype="int64")
    size, num_words = len(config.alphabet) + 1, config.length - config.word_length + 1
    frames = num_words // config.period * config.period
    letters = [inputs[:, offset : offset + frames] for offset in range(config.word_length)]
    words = sum(letter * size**position for position, letter in enumerate(letters))  # (batch, frames)
    is_known = ops.all(ops.stack([letter > 0 for letter in letters], axis=-1), axis=-1)
    vectors = layers.Embedding(size**config.word_length, config.embedding_dim)(words)
    vectors = layers.SpatialDropout1D(config.word_dropout)(vectors)
    shape = (frames // config.period, config.period)
    mask = ops.cast(ops.reshape(is_known, (-1, *shape, 1)), vectors.dtype)
    by_frame = ops.reshape(vectors, (-1, *shape, config.embedding_dim)) * mask  # (batch, words, frames, dim)
    mean = ops.sum(by_frame, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0)  # (batch, frames, dim)
    x = layers.Dense(config.dense_units, activation=config.activation)(layers.Flatten()(mean))
    return keras.Model(inputs, x, name="strand")


def signatures(served, config: SequenceClassificationConfig, spec: DatasetSpec) -> dict:
    """Returns `serving_default` (serialized tf.train.Example) and `sequence` (the sequences themselves)."""
    return classification.text_signatures(served, spec, "sequence")


def queries(row: Row, config: SequenceClassificationConfig, spec: DatasetSpec) -> dict:
    """Returns one sequence as inputs of each signature."""
    return classification.text_queries(row, spec, "sequence")


def inputs(config: SequenceClassificationConfig, spec: DatasetSpec) -> dict:
    """Returns signature -> input -> feature that it takes."""
    return classification.text_inputs(spec, "sequence")


def classical(config: SequenceClassificationConfig, spec: DatasetSpec) -> dict:
    """Returns the reference models."""
    from models.tasks.sequence_classification import reference as models

    return models.candidates(spec)


TASK = ClassificationTask(
    name="sequence_classification",
    config=SequenceClassificationConfig,
    preprocessing_fn=preprocessing_fn,
    build_model=build_model,
    signatures=signatures,
    queries=queries,
    inputs=inputs,
    classical=classical,
    file_query=FileQuery(signature="sequence", input_key="sequence", kind="text"),
)
