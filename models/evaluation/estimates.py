"""A metric's value on a test split, with each row's influence on it: what a standard error, also by groups, is made of.

No rows are resampled. To first order a metric is a mean over rows of `value + influence` (the delta method), so its
variance is that of a mean; rows of one group are summed first (cluster-robust, K.-Y. Liang and S. L. Zeger, Biometrika
73, 1986). The same rows' influences on two models are subtracted, which makes a comparison a paired one.
"""

from dataclasses import dataclass

import numpy as np

BINS = 15  # of the calibration error


@dataclass(frozen=True)
class Estimate:
    """A value, and by how much each row moves it.

    Attributes:
        value: On all rows.
        influence: float64 `(rows,)` of mean 0, in the metric's unit: the influence function of `value` at each row.
        sides: bool `(rows,)`, for a metric that compares two kinds of rows with each other: it is known as well as the
            rarer kind lets it be. None for others.
    """

    value: float
    influence: np.ndarray
    sides: np.ndarray | None = None

    def units(self, groups: np.ndarray | None = None) -> int:
        """Returns how many rows, or groups, there are to tell the value by: of two kinds of rows the rarer's."""
        kinds = [np.ones(len(self.influence), bool)] if self.sides is None else [self.sides, ~self.sides]
        return min(int(kind.sum()) if groups is None else num_groups(groups[kind]) for kind in kinds)

    def degrees_of_freedom(self, groups: np.ndarray | None = None) -> float:
        """Returns those of Student's t for `standard_error`: few where a few rows or groups make most of it.

        F. E. Satterthwaite, Biometrics Bulletin 2, 1946; at most one less than there are units, and at least 1.
        """
        squares = self._sums(groups) ** 2
        total = float(np.dot(squares, squares))
        most = max(self.units(groups) - 1, 1)
        return min(max(float(squares.sum()) ** 2 / total, 1.0), most) if total > 0 else most

    def _sums(self, groups: np.ndarray | None) -> np.ndarray:
        return self.influence if groups is None else np.bincount(groups, self.influence)

    def standard_error(self, groups: np.ndarray | None = None) -> float:
        """Returns the standard error of `value`; infinite where there is only one row, or group, to tell it by.

        Args:
            groups: int `(rows,)` from 0, which rows belong together; None where each row is independent.
        """
        sums = self._sums(groups)
        count = self.units(groups)
        if count < 2:
            return float("inf")
        return float(np.sqrt(np.dot(sums, sums) * count / (count - 1)) / len(self.influence))


def num_groups(groups: np.ndarray) -> int:
    """Returns how many different groups rows have."""
    return int(np.count_nonzero(np.bincount(groups)))  # 0 of no rows


def ratio(numerators: np.ndarray, denominators: np.ndarray, weights: np.ndarray | None = None) -> Estimate:
    """Returns the weighted sum of the first over that of the second, both `(rows,)`; 0 where the second is 0."""
    above, below = weighted(numerators, weights), weighted(denominators, weights)
    scale = below.mean()
    if scale == 0:
        return Estimate(0.0, np.zeros(len(below)))
    value = above.mean() / scale
    return Estimate(float(value), (above - value * below) / scale)


def weighted(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Returns `(rows,)` as float64, each times its weight."""
    found = np.asarray(values, np.float64)
    return found if weights is None else found * weights


def mean(values: np.ndarray, weights: np.ndarray | None = None) -> Estimate:
    """Returns the weighted mean of `(rows,)`."""
    return ratio(values, np.ones(len(values)), weights)


def root(estimate: Estimate) -> Estimate:
    """Returns the square root of an estimate that is not negative."""
    value = float(np.sqrt(estimate.value))
    return Estimate(value, estimate.influence / (2 * value) if value else estimate.influence)


def ratio_root(numerators: np.ndarray, denominators: np.ndarray, weights: np.ndarray | None = None) -> Estimate:
    """Returns the square root of `ratio`, such as a root mean squared error."""
    return root(ratio(numerators, denominators, weights))


def area_under_curve(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> Estimate:
    """Returns the area under the ROC curve, ties counted half; 0.5 where all rows are of one class.

    Influences are the placement values of E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson (Biometrics 44, 1988), in
    O(rows log rows) by sorting (X. Sun and W. Xu, IEEE Signal Processing Letters 21, 2014); summed by group they give
    the variance of N. A. Obuchowski (Biometrics 53, 1997).

    Args:
        positive: bool `(rows,)`, which rows are of the class that is looked for.
        scores: `(rows,)`, higher for rows that are taken for it; with a NaN among them the area is NaN.
        weights: float `(rows,)`, how much each row counts; None for alike.
    """
    rows, count = len(positive), int(positive.sum())
    if np.isnan(scores).any():
        return Estimate(float("nan"), np.full(rows, np.nan))
    weights = np.ones(rows) if weights is None else np.asarray(weights, np.float64)
    above, below = weights[positive].sum(), weights[~positive].sum()
    if count in (0, rows) or not above or not below:
        return Estimate(0.5, np.zeros(rows), positive)
    order = np.argsort(scores)
    ranked, sorted_scores, sorted_weights = positive[order], scores[order], weights[order]
    bounds = np.flatnonzero(
        np.concatenate([[True], sorted_scores[1:] != sorted_scores[:-1], [True]])
    )  # of equal scores
    found = np.empty(rows)  # of a positive row the share of negative ones below it
    for side, others in ((True, below), (False, above)):
        sums = np.concatenate([[0.0], np.cumsum(np.where(ranked != side, sorted_weights, 0.0))])[bounds]
        share = (sums[:-1] + sums[1:]) / (2 * others)
        np.copyto(found, np.repeat(share if side else 1 - share, np.diff(bounds)), where=ranked == side)
    placements = np.empty(rows)
    placements[order] = found
    value = np.dot(placements[positive], weights[positive]) / above
    influence = (placements - value) * weights * np.where(positive, rows / above, rows / below)
    return Estimate(float(value), influence, positive)


def calibration_error(confidences: np.ndarray, correct: np.ndarray, weights: np.ndarray | None = None) -> Estimate:
    """Returns the mean distance between confidence and accuracy over BINS equally wide bins, weighted by their size.

    Method: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3. NaN without rows.

    Args:
        confidences: float `(rows,)` in [0, 1], the probability of the predicted class.
        correct: bool `(rows,)`, whether the predicted class was right.
        weights: float `(rows,)`, how much each row counts; None for alike.
    """
    if not len(confidences):
        return Estimate(float("nan"), np.zeros(0))
    # Bins are open below and closed above, as in the paper.
    bins = np.clip(np.ceil(confidences.astype(np.float64) * BINS).astype(np.int64) - 1, 0, BINS - 1)
    distances = confidences.astype(np.float64) - correct
    signs = np.sign(np.bincount(bins, weighted(distances, weights), BINS))
    return mean(distances * signs[bins], weights)
