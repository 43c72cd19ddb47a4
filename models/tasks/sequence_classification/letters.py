"""Letters of a text, such as DNA, and the network for them."""

import keras
import tensorflow as tf
from keras import layers, ops

from models.task import Tensors
from models.tasks.sequence_classification.config import SequenceClassificationConfig

LETTERS = "letters"  # int64 `(batch, length)`: position in the alphabet from 1, 0 for an unknown letter or padding


def transform(text: tf.Tensor, config: SequenceClassificationConfig) -> Tensors:
    """Returns the letters of texts, string `(batch,)`, as int64 `(batch, length)`."""
    text = tf.strings.upper(tf.strings.strip(text), encoding="utf-8")
    # Code points, padded with 0, which no text has.
    codes = tf.strings.unicode_decode(text, "UTF-8").to_tensor(0, shape=(None, config.length))
    alphabet = tf.constant([ord(letter) for letter in config.alphabet])
    positions = tf.range(1, len(config.alphabet) + 1, dtype=tf.int64)
    letters = tf.reduce_sum(tf.where(codes[..., None] == alphabet, positions, tf.constant(0, tf.int64)), axis=-1)
    return {LETTERS: letters}


def build(config: SequenceClassificationConfig):
    """Returns the inputs by name, and the outputs of the last hidden layer, `(batch, dense_units)`.

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
    return {LETTERS: inputs}, x


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
