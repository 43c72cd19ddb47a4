"""Settings of tabular regression; loads no TensorFlow."""

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

    def metrics(self, spec: DatasetSpec) -> tuple:
        """Returns the root mean squared and the mean absolute error, in the target's unit."""
        from models.evaluation.metrics import MAE, RMSE

        return RMSE, MAE


CONFIG = TabularRegressionConfig
