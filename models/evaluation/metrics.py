"""Metrics of stored predictions, each declared once: name, direction, and how value and standard error are computed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data.spec import DatasetSpec, LabelFeature
from models.evaluation.estimates import Estimate, area_under_curve, mean, ratio, root

# `(targets, predictions) -> estimate`, of all rows.
MetricFunction = Callable[[np.ndarray, np.ndarray], Estimate]


@dataclass(frozen=True)
class Metric:
    """What is compared.

    Attributes:
        name: Name in the evaluation.
        function: Computes it, with each row's influence on it.
        lower_is_better: Whether less is better.
    """

    name: str
    function: MetricFunction
    lower_is_better: bool = False

    def value(self, targets: np.ndarray, predictions: np.ndarray) -> float:
        """Returns its value on all rows."""
        return self.function(targets, predictions).value


def accuracy(targets: np.ndarray, scores: np.ndarray) -> Estimate:
    """Returns the share of rows whose likeliest class, of probabilities `(rows, classes)`, is the true one."""
    return mean(scores.argmax(axis=1) == targets)


def auc(targets: np.ndarray, scores: np.ndarray) -> Estimate:
    """Returns the area under the ROC curve of the second of two classes; 0.5 where there is only one class."""
    return area_under_curve(targets == 1, scores[:, 1])


def f1(targets: np.ndarray, scores: np.ndarray) -> Estimate:
    """Returns the F1 score of the second of two classes; 0 where it is neither there nor predicted."""
    predicted, true = scores.argmax(axis=1) == 1, targets == 1
    return ratio(2.0 * (predicted & true), predicted.astype(float) + true)


def rmse(targets: np.ndarray, values: np.ndarray) -> Estimate:
    """Returns the root mean squared error of `(rows,)`."""
    return root(mean(np.subtract(values, targets, dtype=np.float64) ** 2))


def mae(targets: np.ndarray, values: np.ndarray) -> Estimate:
    """Returns the mean absolute error of `(rows,)`."""
    return mean(np.abs(np.subtract(values, targets, dtype=np.float64)))


def classification_metrics(spec: DatasetSpec) -> dict[str, Metric]:
    """Returns the metrics of classification: of two classes the area under the ROC curve first, else accuracy."""
    (label,) = spec.of(LabelFeature).values()
    found = {"accuracy": Metric("accuracy", accuracy)}
    if len(label.classes) == 2:
        found = {"auc": Metric("auc", auc), **found, f"f1@{label.classes[1]}": Metric(f"f1@{label.classes[1]}", f1)}
    return found


def regression_metrics() -> dict[str, Metric]:
    """Returns the metrics of regression."""
    return {"rmse": Metric("rmse", rmse, True), "mae": Metric("mae", mae, True)}


def confusion_matrix(
    targets: np.ndarray, predicted: np.ndarray, num_classes: int, counts: np.ndarray | None = None
) -> np.ndarray:
    """Returns how often each class was predicted, int64 `(classes, classes)`: row = true class, column = predicted.

    Args:
        targets: int `(rows,)`, true classes.
        predicted: int `(rows,)`, predicted ones.
        num_classes: How many classes there are.
        counts: How often each row counts, whole numbers `(rows,)`; None for once.
    """
    cells = np.bincount(targets * num_classes + predicted, counts, num_classes**2)
    return cells.astype(np.int64).reshape(num_classes, num_classes)
