"""Metrics of stored predictions, computed anew: of the test split, and of its resampled rows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data.spec import DatasetSpec, LabelFeature

# `(targets, predictions, weights) -> value`; weights float64 `(rows,)` are how often each row counts.
MetricFunction = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Metric:
    """What is compared.

    Attributes:
        name: Name in the evaluation.
        function: Computes it.
        lower_is_better: Whether less is better.
    """

    name: str
    function: MetricFunction
    lower_is_better: bool = False


def accuracy(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """Returns the share of rows whose likeliest class, of probabilities `(rows, classes)`, is the true one."""
    return float(np.average(scores.argmax(axis=1) == targets, weights=weights))


def auc(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """Returns the area under the ROC curve of the second of two classes; 0.5 where only one class counts."""
    from sklearn.metrics import roc_auc_score

    if len(np.unique(targets[weights > 0])) < 2:
        return 0.5
    return float(roc_auc_score(targets, scores[:, 1], sample_weight=weights))


def f1(targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """Returns the F1 score of the second of two classes."""
    predicted = scores.argmax(axis=1) == 1
    right = weights[predicted & (targets == 1)].sum()
    return float(2 * right / max(weights[predicted].sum() + weights[targets == 1].sum(), 1e-9))


def rmse(targets: np.ndarray, values: np.ndarray, weights: np.ndarray) -> float:
    """Returns the root mean squared error of `(rows,)`."""
    return float(np.sqrt(np.average((values - targets) ** 2, weights=weights)))


def mae(targets: np.ndarray, values: np.ndarray, weights: np.ndarray) -> float:
    """Returns the mean absolute error of `(rows,)`."""
    return float(np.average(np.abs(values - targets), weights=weights))


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
