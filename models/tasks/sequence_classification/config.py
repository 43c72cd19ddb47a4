"""Settings of sequence classification; loads no TensorFlow."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from data.spec import DatasetSpec, LabelFeature, SequenceFeature, TextFeature
from models.config import Activation, Fraction
from models.tasks.classification_config import ClassificationConfig
from models.tasks.input_keys import input_keys

DNA = "ACGT"
OF_LETTERS = (
    "alphabet", "length", "word_length", "period", "both_strands", "dense_units", "activation", "word_dropout"
)  # fmt: skip
OF_STEPS = ("network", "num_layers", "units", "kernel_size", "num_heads", "vocabulary_size", "min_count")


class SequenceClassificationConfig(ClassificationConfig):
    """One class out of several for a sequence: letters such as DNA, or steps that are numbers or categories."""

    input: Literal["auto", "letters", "steps"] = "auto"
    """What a sequence is: letters of a text, represented by the words in each of its reading frames, or steps of a
    column of kind `sequence`; auto: by the kind of the column."""
    alphabet: Annotated[str, Field(min_length=2)] = DNA
    """Letters: those that are known. Lower case is read as upper case."""
    length: PositiveInt = 200
    """Letters: number of letters of a sequence that are used, from its beginning."""
    word_length: PositiveInt = 3
    """Letters: number of letters of a word; words overlap."""
    period: PositiveInt = 3
    """Letters from one word of a reading frame to the next: 3 for codons, 1 for no frames."""
    both_strands: bool = True
    """Letters: whether the reverse complement of DNA is used as well; features are the maximum over both strands."""
    embedding_dim: PositiveInt = 16
    """Size of the embedding of a word, or of a category."""
    dense_units: PositiveInt = 64
    """Letters: size of the dense layer on all frames."""
    activation: Activation = "relu"
    """Letters: Keras's name of the activation after the dense layer."""
    word_dropout: Fraction = 0.1
    """Letters: share of embedding channels dropped in training."""
    network: Literal["convolution", "gru", "transformer"] = "convolution"
    """Steps: residual dilated convolutions, bidirectional gated recurrent units, or a Transformer encoder."""
    num_layers: PositiveInt = 3
    """Steps: number of layers of the network."""
    units: PositiveInt = 64
    """Steps: size of each step's vector in the network."""
    kernel_size: PositiveInt = 5
    """Steps: number of steps that a convolution sees; in each layer they are twice as far apart."""
    num_heads: PositiveInt = 4
    """Steps: attention heads of the Transformer."""
    vocabulary_size: PositiveInt = 10_000
    """Steps: greatest number of categories with an embedding of their own, the most frequent."""
    min_count: PositiveInt = 2
    """Steps: least number of occurrences in the training split of a category with an embedding of its own."""
    dropout: Fraction = 0.3
    """Share of units dropped before the output while training; between the layers for steps a third of it."""

    def takes_steps(self, spec: DatasetSpec) -> bool:
        """Returns whether the input is a column of steps, not a text of letters."""
        return self.input == "steps" or (self.input == "auto" and bool(spec.of(SequenceFeature)))

    def check_features(self, spec: DatasetSpec) -> None:
        """Raises ValueError unless there is one text or sequence, one label and nothing else, and the settings fit."""
        takes_steps = self.takes_steps(spec)
        spec.only(SequenceFeature if takes_steps else TextFeature)
        spec.only(LabelFeature)
        if len(spec.features) != 2:
            kind = "sequence" if takes_steps else "text"
            raise ValueError(f"expected a {kind} and a label, found {', '.join(spec.features)}; use data.ignore.")
        for name in OF_LETTERS if takes_steps else OF_STEPS:
            if getattr(self, name) != type(self).model_fields[name].default:
                used, other = ("steps", "letters") if takes_steps else ("letters", "steps")
                raise ValueError(f"model.{name}: it is a setting of {other}, found {used} as input; take it out.")
        if takes_steps:
            return
        if len(set(self.alphabet)) != len(self.alphabet):
            raise ValueError(f"model.alphabet: a letter stands twice in {self.alphabet!r}.")
        if self.both_strands and self.alphabet != DNA:
            raise ValueError(f"model.both_strands: expected alphabet {DNA}, found {self.alphabet!r}; set it to false.")
        if self.length < self.word_length + self.period:
            raise ValueError(f"model.length: expected at least {self.word_length + self.period}, found {self.length}.")

    def input_names(self, spec: DatasetSpec) -> dict[str, str]:
        """Returns for a column of steps the input of the signature `columns` that takes it."""
        return input_keys(spec) if self.takes_steps(spec) else {}


CONFIG = SequenceClassificationConfig
