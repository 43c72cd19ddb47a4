"""Accuracy by confidence, for a reliability diagram."""

from dataclasses import dataclass

import numpy as np

from models.evaluation.by_key import Rows, ratios_by_key
from models.evaluation.confidence import interval
from models.evaluation.estimates import BINS, bins_of
from models.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Bin:
    """The examples whose confidence, the probability of the predicted class, lies between two values.

    Attributes:
        low: Lower end, excluded.
        high: Upper end, included.
        confidence: Mean confidence.
        accuracy: Share of the examples that are right.
        interval: The ends of the accuracy's 95 % interval.
        rows: Number of examples.
    """

    low: float
    high: float
    confidence: float
    accuracy: float
    interval: tuple[float, float] | None
    rows: int


def reliability_bins(predicted: Predictions) -> list[Bin]:
    """Returns the bins that hold examples, of BINS equally wide ones (C. Guo et al., ICML 2017), the lowest first."""
    confidences = predicted.values.max(axis=1).astype(np.float64)
    is_right = (predicted.values.argmax(axis=1) == predicted.targets).astype(np.float64)
    bins = bins_of(predicted.values.max(axis=1))
    rows, ones = Rows(predicted.weights, predicted.groups), np.ones(len(bins))
    accuracies, means = (
        ratios_by_key(values, ones, rows=rows, keys=bins, num_keys=BINS) for values in (is_right, confidences)
    )
    return [
        Bin(
            index / BINS,
            (index + 1) / BINS,
            mean.value,
            accuracy.value,
            interval(accuracy, is_share=True),
            accuracy.num_rows,
        )
        for index, (accuracy, mean) in enumerate(zip(accuracies, means, strict=True))
        if accuracy.num_rows
    ]
