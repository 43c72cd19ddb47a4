"""Settings of every task that predicts one class of several; loads no TensorFlow."""

import math

from data.spec import DatasetSpec, LabelFeature
from models.config import TaskConfig


class ClassificationConfig(TaskConfig):
    """Settings of classification: its metrics."""

    def metric_ranges(self, spec: DatasetSpec) -> dict[str, tuple[float, float]]:
        """Returns the metrics on the test split: accuracy, loss, calibration; of two classes the area under the ROC
        curve; precision, recall and F1 of each class.
        """
        _, label = spec.only(LabelFeature)
        one_class = {f"{name}@{one}": (0.0, 1.0) for name in ("precision", "recall", "f1") for one in label.classes}
        return {
            "accuracy": (0.0, 1.0),
            **({"auc": (0.0, 1.0)} if len(label.classes) == 2 else {}),
            "loss": (0.0, math.inf),
            "expected_calibration_error": (0.0, 1.0),
            "example_count": (0.0, math.inf),
            **one_class,
        }

    def compared(self, spec: DatasetSpec) -> dict:
        """Returns the metrics that can be computed anew from stored probabilities, the usual one first."""
        from models.evaluation.metrics import classification_metrics

        return classification_metrics(spec)
