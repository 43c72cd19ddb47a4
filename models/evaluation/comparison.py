"""Paired comparison of two models on the same rows, by one metric."""

from dataclasses import dataclass

import numpy as np

from models.evaluation.confidence import half_width
from models.evaluation.estimates import Estimate
from models.evaluation.metrics import Metric


@dataclass(frozen=True)
class Interval:
    """A difference and its 95 % confidence interval; positive where the network is better.

    Attributes:
        difference: On all rows.
        low: Lower end.
        high: Upper end.
    """

    difference: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Returns `beats`, `ties with` or `loses to`: where zero lies."""
        return "beats" if self.low > 0 else "loses to" if self.high < 0 else "ties with"


def paired_interval(
    metric: Metric,
    targets: np.ndarray,
    network: np.ndarray,
    other: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> Interval:
    """Returns by how much the network is better, with the 95 % interval of Student's t over rows or groups.

    Args:
        metric: What is compared.
        targets: True classes or numbers, `(rows,)`.
        network: Predictions of the network for these rows.
        other: Predictions of the other model for the same rows.
        groups: int `(rows,)` from 0, number of the group of dependent rows; None where each row is independent.
            With one group only, or one row of a class, the interval is infinite. Else it is clipped to the possible
            differences, such as -1 to 1 for two accuracies.
        weights: float `(rows,)`, how much each row counts; None for equal weights.
    """
    ours, theirs = (metric.function(targets, predictions, weights) for predictions in (network, other))
    return difference(metric, ours, theirs, groups=groups)


def difference(metric: Metric, ours: Estimate, theirs: Estimate, *, groups: np.ndarray | None = None) -> Interval:
    """Returns the interval of `paired_interval` from both models' estimates by `metric.function`, on the same rows."""
    sign = -1.0 if metric.lower_is_better else 1.0
    influence = sign * (ours.influence - theirs.influence)
    kinds = tuple(np.maximum(kind, other_kind) for kind, other_kind in zip(ours.kinds, theirs.kinds, strict=True))
    paired = Estimate(sign * (ours.value - theirs.value), influence, kinds)
    summary = paired.summary(groups)
    if not np.isfinite([paired.value, summary.standard_error]).all():
        return Interval(paired.value, -np.inf, np.inf)
    margin = half_width(paired.value, summary.standard_error, summary.num_units, summary.degrees_of_freedom)
    least, greatest = metric.range
    low, high = np.clip([paired.value - margin, paired.value + margin], least - greatest, greatest - least)
    return Interval(paired.value, float(low), float(high))
