"""Precision-recall curves of stored predictions, for the page and for TensorBoard."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.evaluation.predictions import Predictions

MAX_CURVES = 6
MAX_POINTS = 101  # of a curve on the page


@dataclass(frozen=True)
class Counts:
    """Rows whose score reaches thresholds, of one class against the others.

    Attributes:
        true_positives: int64 `(thresholds,)`, rows of the class.
        false_positives: int64 `(thresholds,)`, rows of the others.
        num_positives: How many rows are of the class.
        num_negatives: How many are of the others.
    """

    true_positives: np.ndarray
    false_positives: np.ndarray
    num_positives: int
    num_negatives: int

    @property
    def precision(self) -> np.ndarray:
        """Share of the rows that reach a threshold which are of the class, float64; 0 where none reaches it."""
        return self.true_positives / np.maximum(self.true_positives + self.false_positives, 1)

    @property
    def recall(self) -> np.ndarray:
        """Share of the rows of the class that reach a threshold, float64; 0 without rows of the class."""
        return self.true_positives / max(self.num_positives, 1)


@dataclass(frozen=True)
class ClassCurve:
    """The precision-recall curve of one class against the others.

    Attributes:
        recall: float64 `(points,)`, rising from 0.
        precision: float64 `(points,)`.
        average_precision: Mean precision, weighted by the steps of recall.
    """

    recall: np.ndarray
    precision: np.ndarray
    average_precision: float


def counts(is_positive: np.ndarray, scores: np.ndarray, thresholds: np.ndarray) -> Counts:
    """Returns how many rows reach each threshold.

    Args:
        is_positive: bool `(rows,)`, whether a row is of the class.
        scores: float `(rows,)`, probability of the class.
        thresholds: float `(thresholds,)`; a row reaches those that are not above its score.
    """
    positive, negative = np.sort(scores[is_positive]), np.sort(scores[~is_positive])
    reach = [len(one) - np.searchsorted(one, thresholds) for one in (positive, negative)]
    return Counts(*reach, len(positive), len(negative))


def precision_recall(predictions: Predictions, classes: Sequence[str]) -> dict[str, ClassCurve]:
    """Returns class -> its curve, of at most MAX_POINTS points; the class with the least average precision first.

    Of two classes the second alone; of many the MAX_CURVES with the least average precision. Classes that the test
    split does not hold are left out.
    """
    from sklearn.metrics import average_precision_score

    targets, values = predictions.targets, predictions.values
    chosen = [1] if len(classes) == 2 else [index for index in range(len(classes)) if (targets == index).any()]
    if not chosen or not (targets == chosen[0]).any():
        return {}
    averages = {one: float(average_precision_score(targets == one, values[:, one])) for one in chosen}
    found = {}
    for index in sorted(averages, key=averages.__getitem__)[:MAX_CURVES]:
        thresholds = np.unique(values[:, index])[::-1]
        kept = np.unique(np.linspace(0, len(thresholds), min(MAX_POINTS, len(thresholds) + 1)).astype(int))
        reached = counts(targets == index, values[:, index], thresholds[kept[1:] - 1])
        # Above all scores nothing is recalled, without a mistake.
        recall, precision = np.append(0.0, reached.recall), np.append(1.0, reached.precision)
        found[classes[index]] = ClassCurve(recall, precision, averages[index])
    return found
