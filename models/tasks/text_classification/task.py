"""Text classification.

The tokenizer consists of TensorFlow's own string operations and a vocabulary of TFT: so it is part of the SavedModel
and runs in stock TF Serving, unlike the operations of a library (tensorflow-text).
"""

import keras
import tensorflow as tf
import tensorflow_transform as tft
from keras import layers

from data.spec import DatasetSpec, LabelFeature, Row, TextFeature
from models.layers.embedding_bag import EmbeddingBag
from models.task import FileQuery, Tensors
from models.tasks import classification
from models.tasks.classification import LABEL, ClassificationTask
from models.tasks.optional import dense
from models.tasks.text_classification.config import UNSPACED, TextClassificationConfig

# int64 `(batch, length)`, padded with 0.
WORDS, PARTS = "words", "parts"
# Longer words are cut, and texts at as many characters times `max_words`: the rest is not used and should cost nothing.
MAX_WORD = 32  # characters
SYMBOL = r"[^\p{L}\p{M}\p{N}'\s]"


def preprocessing_fn(raw: Tensors, config: TextClassificationConfig, spec: DatasetSpec) -> Tensors:
    """Returns words and parts of words as int64 `(batch, length)`, padded with 0, and the label as int64 `(batch,)`."""
    text_key, _ = spec.only(TextFeature)
    label_key, _ = spec.only(LabelFeature)
    words = split_words(dense(raw[text_key], ""), config.max_words)
    ngrams = tf.strings.ngrams(words, tuple(range(1, config.word_ngrams + 1)))
    indices = tft.compute_and_apply_vocabulary(
        ngrams, default_value=-1, top_k=config.vocabulary_size, frequency_threshold=config.min_count
    )
    features = {WORDS: (indices + 1).to_tensor(0, shape=(None, _max_ngrams(config))), LABEL: raw[label_key]}
    if config.character_ngrams:
        parts = split_parts(words, config.character_ngrams)
        hashed = tf.ragged.map_flat_values(tf.strings.to_hash_bucket_fast, parts, config.hash_buckets)
        features[PARTS] = (hashed + 1).to_tensor(0, shape=(None, config.max_character_ngrams))
    return features


def _max_ngrams(config: TextClassificationConfig) -> int:
    """Returns the number of word n-grams of a text of `max_words` words."""
    return sum(max(config.max_words - count, 0) for count in range(config.word_ngrams))


def split_words(text: tf.Tensor, max_words: int) -> tf.RaggedTensor:
    """Returns the words of texts, string `(batch, None)`: lower case, at most `max_words`, invalid UTF-8 replaced."""
    text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
    text = tf.strings.substr(text, 0, max_words * MAX_WORD, unit="UTF8_CHAR")
    text = tf.strings.lower(text, encoding="utf-8")
    text = tf.strings.regex_replace(text, f"({SYMBOL}|[{UNSPACED}])", r" \1 ")
    return tf.strings.split(text)[:, :max_words]


def split_parts(words: tf.RaggedTensor, lengths: tuple[int, ...]) -> tf.RaggedTensor:
    """Returns the character n-grams of all words of each text, string `(batch, None)`.

    Words are marked at both ends (Bojanowski et al., "Enriching Word Vectors with Subword Information",
    arXiv:1607.04606), so that a prefix differs from the same letters within a word.
    """
    flat = tf.strings.substr(words.flat_values, 0, MAX_WORD, unit="UTF8_CHAR")
    characters = tf.strings.unicode_split(tf.strings.join(["<", flat, ">"]), "UTF-8")  # (words, None)
    parts = tf.strings.ngrams(characters, lengths, separator="")
    return tf.RaggedTensor.from_row_splits(parts, words.row_splits).merge_dims(1, 2)


def build_model(config: TextClassificationConfig, spec: DatasetSpec) -> keras.Model:
    """Returns the network: words and parts to probabilities `(batch, classes)`.

    A linear model on bags of n-grams with a narrow layer between (Joulin et al., "Bag of Tricks for Efficient Text
    Classification", arXiv:1607.01759).
    """
    sizes = {WORDS: (_max_ngrams(config), config.vocabulary_size + 1)}
    if config.character_ngrams:
        sizes[PARTS] = (config.max_character_ngrams, config.hash_buckets + 1)
    inputs = {name: keras.Input((length,), dtype="int64", name=name) for name, (length, _) in sizes.items()}
    bags = [
        EmbeddingBag(num_indices, config.embedding_dim, config.word_dropout, name=f"{name}_embedding")(inputs[name])
        for name, (_, num_indices) in sizes.items()
    ]
    x = layers.Concatenate()(bags) if len(bags) > 1 else bags[0]
    for units in config.dense_units:
        x = layers.Dropout(config.dropout)(x)
        x = layers.Dense(units, activation=config.activation)(x)
    x = layers.Dropout(config.dropout)(x)
    return keras.Model(inputs, classification.output(x, spec), name="text_classification")


def signatures(served, config: TextClassificationConfig, spec: DatasetSpec) -> dict:
    """Returns `serving_default` (serialized tf.train.Example) and `text` (the texts themselves)."""
    return classification.text_signatures(served, spec, "text")


def queries(row: Row, config: TextClassificationConfig, spec: DatasetSpec) -> dict:
    """Returns one text as inputs of each signature."""
    return classification.text_queries(row, spec, "text")


def inputs(config: TextClassificationConfig, spec: DatasetSpec) -> dict:
    """Returns signature -> input -> feature that it takes."""
    return classification.text_inputs(spec, "text")


def classical(config: TextClassificationConfig, spec: DatasetSpec) -> dict:
    """Returns the reference models."""
    from models.tasks.text_classification import reference as models

    return models.candidates(spec)


TASK = ClassificationTask(
    name="text_classification",
    config=TextClassificationConfig,
    preprocessing_fn=preprocessing_fn,
    build_model=build_model,
    signatures=signatures,
    queries=queries,
    inputs=inputs,
    classical=classical,
    file_query=lambda config, spec: FileQuery(signature="text", input_key="text", kind="text"),
)
