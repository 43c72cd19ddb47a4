"""Precision-recall curves of stored predictions, for the page and for TensorBoard."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.predictions import Predictions

MAX_CURVES = 6
MAX_POINTS = 101  # of each curve


@dataclass(frozen=True)
class Counts:
    """Counts of rows whose score reaches each threshold, for one class against the others; where rows have weights,
    their sums.

    Attributes:
        true_positives: int64 or float64 `(thresholds,)`, rows of the class whose score reaches the threshold.
        false_positives: The same of rows of other classes.
        num_positives: Number of rows of the class.
        num_negatives: Number of rows of other classes.
    """

    true_positives: np.ndarray
    false_positives: np.ndarray
    num_positives: float
    num_negatives: float

    @property
    def precision(self) -> np.ndarray:
        """Precision at each threshold, float64 `(thresholds,)`; 0 where no row reaches it."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> np.ndarray:
        """Recall at each threshold, float64 `(thresholds,)`; 0 without rows of the class."""
        return _ratio(self.true_positives, np.full(len(self.true_positives), self.num_positives))


def _ratio(numerators: np.ndarray, denominators: np.ndarray) -> np.ndarray:
    return np.divide(numerators, denominators, out=np.zeros(len(numerators)), where=denominators > 0)


@dataclass(frozen=True)
class ClassCurve:
    """The precision-recall curve of one class against the others.

    Attributes:
        recall: float64 `(points,)`, increasing from 0.
        precision: float64 `(points,)`.
        average_precision: Mean precision, weighted by the increase in recall (scikit-learn's definition).
    """

    recall: np.ndarray
    precision: np.ndarray
    average_precision: float


def counts(
    is_positive: np.ndarray, scores: np.ndarray, thresholds: np.ndarray, weights: np.ndarray | None = None
) -> Counts:
    """Returns how many rows have a score that reaches each threshold, or the sum of their weights.

    Args:
        is_positive: bool `(rows,)`, whether a row is of the class.
        scores: float `(rows,)`, probability of the class.
        thresholds: float `(thresholds,)`; a row reaches a threshold if its score is not below it.
        weights: float `(rows,)`, how much each row counts; None for equal weights.
    """
    reaching, totals = [], []
    for mask in (is_positive, ~is_positive):
        order = np.argsort(scores[mask])
        row_weights = np.ones(len(order), np.int64) if weights is None else weights[mask][order]
        sums = np.append(np.cumsum(row_weights[::-1])[::-1], 0)  # of the rows from each one on
        reaching.append(sums[np.searchsorted(scores[mask][order], thresholds)])
        totals.append(sums[0])
    return Counts(*reaching, *totals)


def precision_recall(predictions: Predictions, classes: Sequence[str]) -> dict[str, ClassCurve]:
    """Returns class -> precision-recall curve, the class with the lowest average precision first.

    With two classes there is a curve of the second only; with more, of the MAX_CURVES classes with the lowest average
    precision. Classes without a row in the test split have no curve.

    Args:
        predictions: Predictions of the test split, probabilities `(rows, classes)`.
        classes: Names of the classes.

    Returns:
        Curves of at most MAX_POINTS points.
    """
    from sklearn.metrics import average_precision_score

    targets, values, weights = predictions.targets, predictions.values, predictions.weights
    class_indices = [1] if len(classes) == 2 else [index for index in range(len(classes)) if (targets == index).any()]
    if not class_indices or not (targets == class_indices[0]).any():
        return {}
    average_precisions = {
        index: float(average_precision_score(targets == index, values[:, index], sample_weight=weights))
        for index in class_indices
    }
    curves = {}
    for index in sorted(average_precisions, key=average_precisions.__getitem__)[:MAX_CURVES]:
        thresholds = np.unique(values[:, index])[::-1]
        point_indices = np.unique(np.linspace(0, len(thresholds), min(MAX_POINTS, len(thresholds) + 1)).astype(int))
        at_thresholds = counts(targets == index, values[:, index], thresholds[point_indices[1:] - 1], weights)
        # Above all scores no row is predicted positive: recall 0, precision 1 by convention.
        recall, precision = np.append(0.0, at_thresholds.recall), np.append(1.0, at_thresholds.precision)
        curves[classes[index]] = ClassCurve(recall, precision, average_precisions[index])
    return curves
