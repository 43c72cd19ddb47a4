"""A metric's value, and the statistics of its interval, for all values of a key, such as all slices, at once."""

import itertools
from dataclasses import dataclass

import numpy as np

from models.evaluation.confidence import EstimateSummary
from models.evaluation.estimates import weighted
from models.evaluation.metrics import Columns, Metric


@dataclass(frozen=True)
class Rows:
    """Weights and groups of rows.

    Attributes:
        weights: float64 `(rows,)`, how much each counts; None for equal weights.
        groups: int `(rows,)` from 0, number of the group of dependent rows; None where each is independent.
    """

    weights: np.ndarray | None = None
    groups: np.ndarray | None = None

    def of(self, selection: np.ndarray) -> "Rows":
        """Returns the selected rows, by int indices or by a bool mask `(rows,)`."""
        weights, groups = (None if values is None else values[selection] for values in (self.weights, self.groups))
        return Rows(weights, groups)


def summaries_by_key(
    metric: Metric, columns: Columns, rows: Rows, keys: np.ndarray, num_keys: int
) -> list[EstimateSummary]:
    """Returns the estimate of a metric, before its transform, for each value of a key.

    Args:
        metric: The metric.
        columns: What it needs of each row, `(rows,)` each.
        rows: Weights and groups of the rows.
        keys: int64 `(rows,)`, from 0; -1 for a row that has no key.
        num_keys: How many keys there are.
    """
    if metric.is_ratio:
        has_key = keys >= 0
        if not has_key.all():
            columns, rows, keys = tuple(column[has_key] for column in columns), rows.of(has_key), keys[has_key]
        return ratios_by_key(*columns, rows=rows, keys=keys, num_keys=num_keys)
    keys = keys.astype(np.int16 if num_keys < 2**15 else np.int64)  # NumPy sorts the small ones in one pass
    order = np.argsort(keys, kind="stable")
    ends = np.searchsorted(keys[order], np.arange(num_keys + 1))
    return [_summary(metric, columns, rows, order[begin:end]) for begin, end in itertools.pairwise(ends)]


def _summary(metric: Metric, columns: Columns, rows: Rows, indices: np.ndarray) -> EstimateSummary:
    of_key = rows.of(indices)
    estimate = metric.estimate(*(column[indices] for column in columns), weights=of_key.weights)
    return estimate.summary(of_key.groups)


def ratios_by_key(
    numerators: np.ndarray,
    denominators: np.ndarray,
    positive: np.ndarray | None = None,
    *,
    rows: Rows,
    keys: np.ndarray,
    num_keys: int,
) -> list[EstimateSummary]:
    """Returns the weighted sum of the first over that of the second for each key; NaN where the second is 0.

    As `estimates.ratio(...).summary(groups)` of the rows of one key, for all keys in a few passes.

    Args:
        numerators: `(rows,)`.
        denominators: `(rows,)`, none negative; a row of 0 does not count.
        positive: bool `(rows,)`, for a ratio that needs rows of both kinds: NaN without one of them. None for others.
        rows: Weights and groups of the rows.
        keys: int64 `(rows,)`, from 0, none negative.
        num_keys: How many keys there are.
    """
    weighted_numerators, weighted_denominators = (
        weighted(numerators, rows.weights),
        weighted(denominators, rows.weights),
    )
    sums, counts = np.bincount(keys, weighted_denominators, num_keys), np.bincount(keys, minlength=num_keys)
    is_known = sums != 0
    if positive is not None:
        num_positive = np.bincount(keys, positive, num_keys)
        is_known &= (num_positive > 0) & (num_positive < counts)
    values = np.divide(
        np.bincount(keys, weighted_numerators, num_keys), sums, out=np.full(num_keys, np.nan), where=is_known
    )
    if rows.weights is None and rows.groups is None and numerators.dtype == denominators.dtype == bool:
        # Of a share of rows the residuals are 1 - share and -share.
        num_units, denominator_squares = sums.astype(np.int64), sums
        variances = sums * values * (1 - values)
        fourth_powers = variances * ((1 - values) ** 3 + values**3)
    else:
        num_units, denominator_squares, variances, fourth_powers = _sums_of_units(
            weighted_numerators, weighted_denominators, values, rows, keys
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        standard_errors = np.where(num_units < 2, np.inf, np.sqrt(variances * num_units / (num_units - 1)) / sums)
        effective_units = sums**2 / denominator_squares  # Kish's
        degrees_of_freedom = np.where(fourth_powers > 0, np.clip(variances**2 / fourth_powers, 1, None), np.inf)
    degrees_of_freedom = np.minimum(degrees_of_freedom, np.maximum(num_units - 1, 1))
    num_units, effective_units = np.where(is_known, num_units, 0), np.where(is_known, effective_units, 0.0)
    statistics = (values, standard_errors, degrees_of_freedom, num_units, effective_units, counts)
    return [EstimateSummary(*row) for row in zip(*(column.tolist() for column in statistics), strict=True)]


def _sums_of_units(
    weighted_numerators: np.ndarray, weighted_denominators: np.ndarray, values: np.ndarray, rows: Rows, keys: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns for each key the number of rows or groups that count, and three sums over them, `(keys,)` each.

    The sums are those of squared denominators, of squared residuals and of residuals to the fourth power.
    """
    num_keys, residuals = len(values), weighted_numerators - values[keys] * weighted_denominators
    if rows.groups is not None:  # the rows of a group vary together: their residuals are summed first
        num_groups = int(rows.groups.max(initial=0)) + 1
        pairs, inverse = np.unique(keys * num_groups + rows.groups, return_inverse=True)
        residuals, weighted_denominators = (
            np.bincount(inverse, residuals, len(pairs)),
            np.bincount(inverse, weighted_denominators, len(pairs)),
        )
        keys = pairs // num_groups
    is_counted = weighted_denominators != 0
    num_units = np.bincount(keys if is_counted.all() else keys[is_counted], minlength=num_keys)
    squares = residuals * residuals  # a power is ten times as slow
    return num_units, *(
        np.bincount(keys, terms, num_keys)
        for terms in (weighted_denominators * weighted_denominators, squares, squares * squares)
    )
