"""Settings of sequence classification; loads no TensorFlow."""

from typing import Annotated

from pydantic import Field, PositiveInt

from data.spec import DatasetSpec, LabelFeature, TextFeature
from models.config import Activation, Fraction
from models.tasks.classification_config import ClassificationConfig

DNA = "ACGT"


class SequenceClassificationConfig(ClassificationConfig):
    """One class out of several for a sequence of letters, such as DNA, by the words in each of its reading frames."""

    alphabet: Annotated[str, Field(min_length=2)] = DNA
    """The letters; any other is unknown. Lower case is read as upper case."""
    length: PositiveInt = 200
    """Number of letters of a sequence that are used, from its beginning."""
    word_length: PositiveInt = 3
    """Number of letters of a word; words overlap."""
    period: PositiveInt = 3
    """Letters from one word of a reading frame to the next: 3 for codons, 1 for no frames."""
    both_strands: bool = True
    """Whether the reverse complement of DNA is used as well; features are the maximum over both strands."""
    embedding_dim: PositiveInt = 16
    """Size of a word's embedding."""
    dense_units: PositiveInt = 64
    """Size of the dense layer on all frames."""
    activation: Activation = "relu"
    """Keras's name of the activation after the dense layer."""
    word_dropout: Fraction = 0.1
    """Share of embedding channels dropped in training."""
    dropout: Fraction = 0.3
    """Share of units dropped before the output while training."""

    def check_features(self, spec: DatasetSpec) -> None:
        """Raises ValueError unless there is one text, one label and nothing else, and the settings fit together."""
        spec.only(TextFeature)
        spec.only(LabelFeature)
        if len(spec.features) != 2:
            raise ValueError(f"expected a text and a label, found {', '.join(spec.features)}; use data.ignore.")
        if len(set(self.alphabet)) != len(self.alphabet):
            raise ValueError(f"model.alphabet: a letter stands twice in {self.alphabet!r}.")
        if self.both_strands and self.alphabet != DNA:
            raise ValueError(f"model.both_strands: expected alphabet {DNA}, found {self.alphabet!r}; set it to false.")
        if self.length < self.word_length + self.period:
            raise ValueError(f"model.length: expected at least {self.word_length + self.period}, found {self.length}.")


CONFIG = SequenceClassificationConfig
