"""Classical models that a network is held against: what they are made of, and the metric of the comparison.

Loads no TensorFlow: scikit-learn, pandas and NumPy only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from data.spec import DatasetSpec, LabelFeature

# `(targets, predictions, weights) -> value`; weights float64 `(rows,)` are how often each row counts.
MetricFunction = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Candidate:
    """A classical model.

    Attributes:
        estimator: Takes a pandas.DataFrame with a column for each feature, as rows are stored: bytes, numbers, NaN or
            None where there is none.
        features: How its inputs are made, in a few words: the feature engineering that it needs.
        max_rows: Most rows of the training split that it learns from; None for all.
    """

    estimator: BaseEstimator
    features: str
    max_rows: int | None = None


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


def of_classes(spec: DatasetSpec) -> dict[str, Metric]:
    """Returns the metrics of classification: of two classes the area under the ROC curve first, else accuracy."""
    (label,) = spec.of(LabelFeature).values()
    found = {"accuracy": Metric("accuracy", accuracy)}
    if len(label.classes) == 2:
        found = {"auc": Metric("auc", auc), **found, f"f1@{label.classes[1]}": Metric(f"f1@{label.classes[1]}", f1)}
    return found


def of_numbers() -> dict[str, Metric]:
    """Returns the metrics of regression."""
    return {"rmse": Metric("rmse", rmse, True), "mae": Metric("mae", mae, True)}


def predict(estimator: Any, frame, num_classes: int | None) -> np.ndarray:
    """Returns probabilities float32 `(rows, classes)`, also of classes not seen; else what the estimator says."""
    if num_classes is None:
        return np.asarray(estimator.predict(frame), np.float32)
    if not hasattr(estimator, "predict_proba"):
        scores = np.zeros((len(frame), num_classes), np.float32)
        scores[np.arange(len(frame)), estimator.predict(frame)] = 1.0
        return scores
    scores = np.zeros((len(frame), num_classes), np.float32)
    scores[:, estimator.classes_] = estimator.predict_proba(frame)
    return scores


@dataclass(frozen=True)
class Interval:
    """A difference and its bootstrap interval; positive where the network is better.

    Attributes:
        difference: On all rows.
        low: 2.5th percentile.
        high: 97.5th percentile.
    """

    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Returns `beats`, `ties with` or `loses to`: where zero lies."""
        return "beats" if self.low > 0 else "loses to" if self.high < 0 else "ties with"


def paired_bootstrap(
    metric: Metric, targets: np.ndarray, network: np.ndarray, other: np.ndarray, *, seed: int, resamples: int = 500
) -> Interval:
    """Returns by how much the network is better, with a 95 % percentile interval over resampled rows.

    Both are measured on the same resampled rows (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993).
    """
    sign, rows = -1.0 if metric.lower_is_better else 1.0, len(targets)
    generator = np.random.default_rng(seed)

    def difference(weights: np.ndarray) -> float:
        return sign * (metric.function(targets, network, weights) - metric.function(targets, other, weights))

    drawn = [difference(np.bincount(generator.integers(rows, size=rows), minlength=rows)) for _ in range(resamples)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(difference(np.ones(rows)), float(low), float(high))
