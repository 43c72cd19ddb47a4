"""A paired bootstrap: is one model's metric better than another's on the same rows?"""

from dataclasses import dataclass

import numpy as np

from models.evaluation.metrics import Metric


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
