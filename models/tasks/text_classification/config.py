"""Settings of text classification; loads no TensorFlow."""

from typing import Annotated, Any, ClassVar

from pydantic import Field, PositiveInt

from data.spec import DatasetSpec, LabelFeature, TextFeature
from models.config import Activation, Fraction
from models.tasks.classification_config import ClassificationConfig

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
"""Scripts that put no blanks between words, for a class of a regular expression: each of their characters is a word."""


class TextClassificationConfig(ClassificationConfig):
    """One class out of several for a text in any language, by vectors of its words and of parts of words."""

    train_defaults: ClassVar[dict[str, Any]] = {"epochs": 12, "batch_size": 64, "learning_rate": 0.002}

    max_words: PositiveInt = 128
    """Words of a text that are looked at, from its beginning; a sign of punctuation is a word too."""
    word_ngrams: PositiveInt = 2
    """Most words in a row that are taken as one."""
    vocabulary_size: PositiveInt = 50_000
    """Most words and rows of words that are told apart, the most frequent."""
    min_count: PositiveInt = 2
    """Texts of the training split, counting repetitions, that a word needs to be told apart."""
    character_ngrams: tuple[Annotated[int, Field(ge=1, le=8)], ...] = (2, 3, 4, 5)
    """Lengths of the parts of words that are looked at, in characters; empty for none."""
    max_character_ngrams: PositiveInt = 1024
    """Parts of words of a text that are looked at."""
    hash_buckets: PositiveInt = 32_768
    """Buckets for parts of words, which are hashed, so that any script and any new word has some."""
    embedding_dim: PositiveInt = 16
    """Size of the vectors."""
    dense_units: tuple[PositiveInt, ...] = ()
    """Sizes of the dense layers between the vectors and the output."""
    activation: Activation = "relu"
    """Keras's name of the activation after every dense layer."""
    word_dropout: Fraction = 0.3
    """Share of words and parts left out while training."""
    dropout: Fraction = 0.3
    """Share of units dropped before every dense layer while training."""

    def check_features(self, spec: DatasetSpec) -> None:
        """Raises ValueError unless there is one text, one label and nothing else."""
        spec.only(TextFeature)
        spec.only(LabelFeature)
        if len(spec.features) != 2:
            raise ValueError(f"expected a text and a label, found {', '.join(spec.features)}; use data.ignore.")


CONFIG = TextClassificationConfig
