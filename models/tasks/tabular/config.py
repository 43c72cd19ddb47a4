"""Settings of the network for tables; loads no TensorFlow."""

from typing import Any, ClassVar

from pydantic import Field, PositiveInt

from data.spec import (
    BooleanFeature,
    CategoryFeature,
    DatasetSpec,
    DateFeature,
    NumberFeature,
)
from models.config import Activation, Fraction, TaskConfig
from models.tasks.input_keys import input_keys


class TabularConfig(TaskConfig):
    """Settings of the network for tables."""

    # Small steps, until validation stops it: larger ones overfit tables of some thousand rows in few epochs.
    train_defaults: ClassVar[dict[str, Any]] = {
        "epochs": 40,
        "batch_size": 32,
        "learning_rate": 0.0003,
        "early_stopping": {"patience": 6},
    }

    bins: PositiveInt = 16
    """Number of quantile bins of each number; the network learns a piecewise linear curve over them."""
    number_dim: PositiveInt = 8
    """Size of a number's embedding."""
    category_dim: PositiveInt = 8
    """Size of a category's embedding."""
    vocabulary_size: PositiveInt = 10_000
    """Greatest number of category values with an embedding of their own, all columns together, the most frequent."""
    min_count: PositiveInt = 5
    """Least number of training rows of a value with an embedding of its own."""
    hash_buckets: PositiveInt = 64
    """Number of hash buckets for all other values."""
    dense_units: tuple[PositiveInt, ...] = (128, 64)
    """Sizes of the dense layers of the deep part; empty for the wide, linear part only."""
    activation: Activation = "relu"
    """Keras's name of the activation after every dense layer."""
    dropout: Fraction = 0.3
    """Share of units dropped before every dense layer while training."""
    slice_by: tuple[str, ...] = Field(default_factory=tuple)
    """Categories and booleans whose values are slices of the evaluation."""

    def check_columns(self, spec: DatasetSpec) -> None:
        """Raises ValueError unless there is an input that the network takes, and none that it does not."""
        inputs = spec.of(NumberFeature, BooleanFeature, DateFeature, CategoryFeature)
        if not inputs:
            raise ValueError("expected a number, boolean, date or category to learn from, found none.")
        others = {key: one for key, one in spec.features.items() if not one.target and key not in inputs}
        if others:
            names = ", ".join(f"{name} ({feature.kind})" for name, feature in others.items())
            raise ValueError(f"expected numbers, booleans, dates and categories only, found {names}; use data.ignore.")
        for name in self.slice_by:
            if name not in spec.of(CategoryFeature, BooleanFeature):
                raise ValueError(f"model.slice_by: {name} is no category or boolean of the data.")
        self.check_slices(spec)

    def input_names(self, spec: DatasetSpec) -> dict[str, str]:
        """Returns for each column the input of the signature `columns` that takes it."""
        return input_keys(spec)
