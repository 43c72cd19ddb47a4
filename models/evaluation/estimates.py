"""A metric's value on a test split, with each row's influence on it, from which standard errors follow, also by groups.

No rows are resampled. To first order a metric is a mean over rows of `value + influence` (the delta method), so its
variance is that of a mean; rows of one group are summed first (cluster-robust, K.-Y. Liang and S. L. Zeger, Biometrika
73, 1986). The same rows' influences on two models are subtracted, which makes a comparison a paired one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from models.evaluation.confidence import EstimateSummary

BINS = 15  # of the calibration error


@dataclass(frozen=True)
class Estimate:
    """A value, and each row's influence on it.

    Attributes:
        value: On all rows; NaN where it is undefined.
        influence: float64 `(rows,)` of mean 0, in the metric's unit: the influence function of `value` at each row.
        kinds: float64 or bool `(rows,)` each: for each kind of rows that the value needs, the weight of each row in
            that kind, 0 for a row of another kind. A ratio has one, its denominators; a comparison of two classes has
            one for each class.
    """

    value: float
    influence: np.ndarray
    kinds: tuple[np.ndarray, ...]

    def units(self, groups: np.ndarray | None = None) -> int:
        """Returns the number of rows, or groups, that the value depends on: that of the rarer of two kinds."""
        return min(int(np.count_nonzero(_sums(kind, groups))) for kind in self.kinds)

    def effective_units(self, groups: np.ndarray | None = None) -> float:
        """Returns the effective number of `units`, smaller where weights or sizes differ, see `kish`."""
        return min(kish(_sums(kind, groups)) for kind in self.kinds)

    def degrees_of_freedom(self, groups: np.ndarray | None = None) -> float:
        """Returns the degrees of freedom of `standard_error`: few where few rows or groups contribute most of it.

        F. E. Satterthwaite, Biometrics Bulletin 2, 1946; at most one less than there are units, and at least 1.
        """
        return self.summary(groups).degrees_of_freedom

    def standard_error(self, groups: np.ndarray | None = None) -> float:
        """Returns the standard error of `value`; infinite where there is only one row, or group.

        Args:
            groups: int `(rows,)` from 0, which rows belong together; None where each row is independent.
        """
        return self.summary(groups).standard_error

    def bias(self, groups: np.ndarray | None = None) -> float:
        """Returns an upper bound of the amount by which `value` is too high on average."""
        return 0.0

    def summary(self, groups: np.ndarray | None = None) -> EstimateSummary:
        """Returns the statistics of its interval; the value is NaN where one of the kinds has no row."""
        units, sums = self.units(groups), _sums(self.influence, groups)
        squares = sums * sums
        variance, fourth_powers = float(squares.sum()), float((squares * squares).sum())
        max_degrees = max(units - 1, 1)
        return EstimateSummary(
            value=self.value if units else float("nan"),
            standard_error=math.sqrt(variance * units / max_degrees) / len(self.influence) if units > 1 else math.inf,
            degrees_of_freedom=min(max(variance**2 / fourth_powers, 1.0), max_degrees)
            if fourth_powers > 0
            else max_degrees,
            num_units=units,
            effective_units=self.effective_units(groups),
            num_rows=len(self.influence),
            bias=self.bias(groups),
        )


@dataclass(frozen=True)
class SumOfDistances(Estimate):
    """An estimate that adds up absolute values of means, which noise makes too high.

    Attributes:
        bins: int `(rows,)` from 0, the mean that a row belongs to.
        terms: float64 `(rows,)`, its share of that mean, times the mean's weight in `value` and the number of rows.
    """

    bins: np.ndarray
    terms: np.ndarray

    def bias(self, groups: np.ndarray | None = None) -> float:
        """Returns an upper bound of the amount by which `value` is too high on average.

        Of a normal variable of mean m and standard error s the absolute value is too high by 2 (s f(m/s) - m F(-m/s)),
        with the normal density f and distribution F (the folded normal: F. C. Leone, L. S. Nelson and R. B.
        Nottingham, Technometrics 3, 1961), and the more the nearer m is to 0: m is taken as two standard errors nearer
        than it was measured.
        """
        from scipy.special import ndtr  # settings are checked without it

        num_bins = int(self.bins.max(initial=-1)) + 1
        if groups is None:
            squares = np.bincount(self.bins, self.terms**2, num_bins)
        else:
            _, codes = np.unique(groups, return_inverse=True)
            group_sums = np.bincount(codes * num_bins + self.bins, self.terms)
            squares = np.bincount(np.arange(len(group_sums)) % num_bins, group_sums**2, num_bins)
        units = max(self.units(groups), 2)
        errors = np.sqrt(squares * units / (units - 1))
        errors, means = errors[errors > 0], np.abs(np.bincount(self.bins, self.terms, num_bins))[errors > 0]
        nearest = np.maximum(means / errors - 2, 0.0)
        density = np.exp(-(nearest**2) / 2) / np.sqrt(2 * np.pi)
        return float(np.sum(2 * errors * (density - nearest * ndtr(-nearest)))) / len(self.terms)


def _sums(values: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    return values if groups is None else np.bincount(groups, values)


def kish(weights: np.ndarray) -> float:
    """Returns how many equal weights give a mean the same variance as these, float or bool `(units,)`.

    The effective sample size of L. Kish, "Survey Sampling", 1965; 0 where all weights are 0.
    """
    if weights.dtype == bool:
        return float(np.count_nonzero(weights))
    squares = float((weights * weights).sum())
    return float(weights.sum()) ** 2 / squares if squares else 0.0


def num_groups(groups: np.ndarray) -> int:
    """Returns how many different groups rows have."""
    return int(np.count_nonzero(np.bincount(groups)))  # 0 of no rows


def ratio(
    numerators: np.ndarray,
    denominators: np.ndarray,
    positive: np.ndarray | None = None,
    *,
    weights: np.ndarray | None = None,
) -> Estimate:
    """Returns the weighted sum of the first over that of the second; NaN where the second is 0.

    Args:
        numerators: `(rows,)`.
        denominators: `(rows,)`, none negative; a row of 0 does not count.
        positive: bool `(rows,)`, for a ratio that needs rows of both kinds: NaN without one of them. None for others.
        weights: float `(rows,)`, how much each row counts; None for equal weights.
    """
    weighted_numerators, weighted_denominators = weighted(numerators, weights), weighted(denominators, weights)
    scale = weighted_denominators.mean() if len(weighted_denominators) else 0.0
    if scale == 0 or (positive is not None and positive.all() | ~positive.any()):
        return Estimate(float("nan"), np.zeros(len(weighted_denominators)), (np.zeros(len(weighted_denominators)),))
    value = weighted_numerators.mean() / scale
    return Estimate(
        float(value),
        (weighted_numerators - value * weighted_denominators) / scale,
        (denominators if weights is None else weighted_denominators,),
    )


def weighted(values: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Returns `(rows,)` as float64, each times its weight."""
    floats = np.asarray(values, np.float64)
    return floats if weights is None else floats * weights


def mean(values: np.ndarray, weights: np.ndarray | None = None) -> Estimate:
    """Returns the weighted mean of `(rows,)`."""
    return ratio(values, np.ones(len(values), bool), weights=weights)


@dataclass(frozen=True)
class Transform:
    """A rising function of an estimate; an interval's ends follow by the function, standard errors by its slope.

    Attributes:
        function: `float -> float`.
        slope: Its derivative.
    """

    function: Callable[[float], float]
    slope: Callable[[float], float]

    def of(self, estimate: Estimate) -> Estimate:
        """Returns the function of an estimate, by the delta method."""
        slope = self.slope(estimate.value)
        return replace(estimate, value=self.function(estimate.value), influence=estimate.influence * slope)


def _square_root(value: float) -> float:
    return float(np.sqrt(value))


def _slope_of_root(value: float) -> float:
    return 0.5 / float(np.sqrt(value)) if value else 0.0  # of 0 it is infinite, and all influences are 0


def _f1_of_jaccard(value: float) -> float:
    return 2 * value / (1 + value)


def _slope_of_f1(value: float) -> float:
    return 2 / (1 + value) ** 2


ROOT = Transform(_square_root, _slope_of_root)
# F1 = 2 TP / (2 TP + FP + FN) is 2 J / (1 + J) of P. Jaccard's index J = TP / (TP + FP + FN), a share of rows.
F1_OF_JACCARD = Transform(_f1_of_jaccard, _slope_of_f1)


def area_under_curve(positive: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> Estimate:
    """Returns the area under the ROC curve, ties counted half; 0.5 where all rows are of one class.

    Influences are the placement values of E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson (Biometrics 44, 1988), in
    O(rows log rows) by sorting (X. Sun and W. Xu, IEEE Signal Processing Letters 21, 2014); summed by group they give
    the variance of N. A. Obuchowski (Biometrics 53, 1997).

    Args:
        positive: bool `(rows,)`, which rows are of the positive class.
        scores: `(rows,)`, higher for rows more likely positive; with a NaN among them the area is NaN.
        weights: float `(rows,)`, how much each row counts; None for equal weights.
    """
    rows, count = len(positive), int(positive.sum())
    if np.isnan(scores).any():
        return Estimate(float("nan"), np.full(rows, np.nan), (np.zeros(rows), np.zeros(rows)))
    kinds = (positive, ~positive) if weights is None else (weights * positive, weights * ~positive)
    positive_weight, negative_weight = float(kinds[0].sum()), float(kinds[1].sum())
    weights = np.ones(rows) if weights is None else np.asarray(weights, np.float64)
    if count in (0, rows) or not positive_weight or not negative_weight:
        return Estimate(0.5, np.zeros(rows), kinds)
    order = np.argsort(scores)
    ranked, sorted_scores, sorted_weights = positive[order], scores[order], weights[order]
    bounds = np.flatnonzero(
        np.concatenate([[True], sorted_scores[1:] != sorted_scores[:-1], [True]])
    )  # of equal scores
    sorted_placements = np.empty(rows)  # for a positive row the share of negative rows below it
    for is_positive, other_weight in ((True, negative_weight), (False, positive_weight)):
        sums = np.concatenate([[0.0], np.cumsum(np.where(ranked != is_positive, sorted_weights, 0.0))])[bounds]
        share = (sums[:-1] + sums[1:]) / (2 * other_weight)
        np.copyto(
            sorted_placements,
            np.repeat(share if is_positive else 1 - share, np.diff(bounds)),
            where=ranked == is_positive,
        )
    placements = np.empty(rows)
    placements[order] = sorted_placements
    value = np.dot(placements[positive], weights[positive]) / positive_weight
    influence = (placements - value) * weights * np.where(positive, rows / positive_weight, rows / negative_weight)
    return Estimate(float(value), influence, kinds)


def calibration_error(confidences: np.ndarray, correct: np.ndarray, weights: np.ndarray | None = None) -> Estimate:
    """Returns the mean distance between confidence and accuracy over BINS equally wide bins, weighted by their size.

    Method: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3. NaN without rows. Noise
    makes it too high, the more the fewer rows a bin has; `SumOfDistances.bias` is an upper bound of that, by which the
    lower end of its interval is lower.

    Args:
        confidences: float `(rows,)` in [0, 1], the probability of the predicted class.
        correct: bool `(rows,)`, whether the predicted class was right.
        weights: float `(rows,)`, how much each row counts; None for equal weights.
    """
    if not len(confidences):
        return Estimate(float("nan"), np.zeros(0), (np.zeros(0),))
    bins = bins_of(confidences)
    distances = confidences.astype(np.float64) - correct
    signs = np.sign(np.bincount(bins, weighted(distances, weights), BINS))
    estimate = mean(distances * signs[bins], weights)
    terms = weighted(distances, weights)
    if weights is not None:
        terms /= weights.mean() or 1.0
    return SumOfDistances(estimate.value, estimate.influence, estimate.kinds, bins, terms)


def bins_of(confidences: np.ndarray) -> np.ndarray:
    """Returns which of BINS equally wide bins confidences in [0, 1] lie in, int64 `(rows,)`.

    Bins are open below and closed above, as in the paper of the calibration error.
    """
    return np.clip(np.ceil(confidences.astype(np.float64) * BINS).astype(np.int64) - 1, 0, BINS - 1)
