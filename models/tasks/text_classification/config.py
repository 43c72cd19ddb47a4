"""Settings of text classification; loads no TensorFlow."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, PositiveInt

from data.spec import DatasetSpec, LabelFeature, TextFeature
from models.config import Activation, Fraction
from models.tasks.classification_config import ClassificationConfig

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Scripts without blanks between words, for a class of a regular expression: each of their characters is a word."""


class TextClassificationConfig(ClassificationConfig):
    """One class out of several for a text in any language, by vectors of its words and of parts of words."""

    train_defaults: ClassVar[dict[str, Any]] = {"epochs": 12, "batch_size": 64, "learning_rate": 0.002}

    max_words: PositiveInt = 128
    """Number of words of a text that are used, from its beginning; a punctuation mark is a word."""
    word_ngrams: PositiveInt = 2
    """Greatest length of word n-grams."""
    vocabulary_size: PositiveInt = 50_000
    """Size of the vocabulary of word n-grams, the most frequent ones."""
    min_count: PositiveInt = 2
    """Least number of occurrences in the training split of a word n-gram in the vocabulary."""
    character_ngrams: tuple[Annotated[int, Field(ge=1, le=8)], ...] = (2, 3, 4, 5)
    """Lengths of the character n-grams of words; empty for none."""
    max_character_ngrams: PositiveInt = 1024
    """Greatest number of character n-grams of a text."""
    hash_buckets: PositiveInt = 32_768
    """Number of hash buckets for character n-grams: so words of any script, and new ones, have features."""
    embedding_dim: PositiveInt = 16
    """Size of the vectors."""
    dense_units: tuple[PositiveInt, ...] = ()
    """Sizes of the dense layers between the vectors and the output."""
    activation: Activation = "relu"
    """Keras's name of the activation after every dense layer."""
    word_dropout: Fraction = 0.3
    """Share of n-grams dropped in training."""
    dropout: Fraction = 0.3
    """Share of units dropped before every dense layer while training."""

    def check_features(self, spec: DatasetSpec) -> None:
        """Raises ValueError unless there is one text, one label and nothing else."""
        spec.only(TextFeature)
        spec.only(LabelFeature)
        if len(spec.features) != 2:
            raise ValueError(f"expected a text and a label, found {', '.join(spec.features)}; use data.ignore.")


CONFIG = TextClassificationConfig
