"""Settings of tabular regression; loads no TensorFlow."""

import math
from typing import Literal

from data.spec import DatasetSpec, LabelFeature, TargetFeature
from models.tasks.tabular.config import TabularConfig


class TabularRegressionConfig(TabularConfig):
    """A number for a row of numbers, categories, booleans and dates, by a wide and deep network."""

    loss: Literal["mean_squared_error", "mean_absolute_error", "huber"] = "mean_squared_error"
    """Keras's name of the loss, in units of the target's standard deviation."""

    def check_features(self, spec: DatasetSpec) -> None:
        """Raises ValueError unless there is one target, no label, and at least one input."""
        spec.only(TargetFeature)
        if spec.of(LabelFeature):
            raise ValueError(f"expected no label, found {', '.join(spec.of(LabelFeature))}; use data.ignore.")
        self.check_columns(spec)

    def metric_ranges(self, spec: DatasetSpec) -> dict[str, tuple[float, float]]:
        """Returns the root mean squared and the mean absolute error, in the target's unit."""
        return dict.fromkeys(("rmse", "mae", "example_count"), (0.0, math.inf))

    def compared(self, spec: DatasetSpec) -> dict:
        """Returns the metrics of regression."""
        from models.evaluation.metrics import regression_metrics

        return regression_metrics()


CONFIG = TabularRegressionConfig
