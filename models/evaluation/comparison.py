"""Is one model's metric better than another's on the same rows?"""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

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
) -> Interval:
    """Returns by how much the network is better, with the 95 % interval of Student's t over rows or groups.

    Args:
        metric: What is compared.
        targets: What is true, `(rows,)`.
        network: Predictions of the network for these rows.
        other: Predictions of the other model for the same rows.
        groups: int `(rows,)` from 0, which rows belong together and vary together; None where each row is independent.
            With one group only, or one row of a class, nothing is known: the interval is infinite. Else it does not go
            beyond what a difference can be, such as -1 to 1 of two accuracies.
    """
    return difference(metric, metric.function(targets, network), metric.function(targets, other), groups=groups)


def difference(metric: Metric, ours: Estimate, theirs: Estimate, *, groups: np.ndarray | None = None) -> Interval:
    """Returns the same of what `metric.function` says of the two models on the same rows."""
    sign = -1.0 if metric.lower_is_better else 1.0
    influence = sign * (ours.influence - theirs.influence)
    found = Estimate(sign * (ours.value - theirs.value), influence, ours.sides)
    error = found.standard_error(groups)
    if not np.isfinite([found.value, error]).all():
        return Interval(found.value, -np.inf, np.inf)
    if error == 0:
        # Every row says the same, as where classes are told apart without a mistake: six rows may by chance.
        error = 2 * abs(found.value) / found.units(groups)
    half = error * stdtrit(found.degrees_of_freedom(groups), 0.975)
    low, high = np.clip([found.value - half, found.value + half], -metric.greatest, metric.greatest)
    return Interval(found.value, float(low), float(high))
