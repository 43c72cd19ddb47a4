"""A metric's value, and what its interval follows from, for each value of a key, such as each slice, at once."""

import itertools
from dataclasses import dataclass

import numpy as np

from models.evaluation.confidence import EstimateSummary
from models.evaluation.estimates import weighted
from models.evaluation.metrics import Columns, Metric


@dataclass(frozen=True)
class Rows:
    """Which weight and which group rows have.

    Attributes:
        weights: float64 `(rows,)`, how much each counts; None for alike.
        groups: int `(rows,)` from 0, which rows belong together and vary together; None where each is independent.
    """

    weights: np.ndarray | None = None
    groups: np.ndarray | None = None

    def of(self, chosen: np.ndarray) -> "Rows":
        """Returns some of the rows, by their indices or as a mask."""
        weights, groups = (None if one is None else one[chosen] for one in (self.weights, self.groups))
        return Rows(weights, groups)


def summaries_by_key(
    metric: Metric, columns: Columns, rows: Rows, keys: np.ndarray, num_keys: int
) -> list[EstimateSummary]:
    """Returns the estimate of a metric, before its transform, for each value of a key.

    Args:
        metric: The metric.
        columns: What it needs of each row, `(rows,)` each.
        rows: Weights and groups of the rows.
        keys: int64 `(rows,)`, from 0; -1 for a row that is in none.
        num_keys: How many keys there are.
    """
    if metric.is_ratio:
        inside = keys >= 0
        if not inside.all():
            columns, rows, keys = tuple(column[inside] for column in columns), rows.of(inside), keys[inside]
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
        keys: int64 `(rows,)`, from 0.
        num_keys: How many keys there are.
    """
    above, below = weighted(numerators, rows.weights), weighted(denominators, rows.weights)
    sums, counts = np.bincount(keys, below, num_keys), np.bincount(keys, minlength=num_keys)
    is_known = sums != 0
    if positive is not None:
        num_positive = np.bincount(keys, positive, num_keys)
        is_known &= (num_positive > 0) & (num_positive < counts)
    values = np.divide(np.bincount(keys, above, num_keys), sums, out=np.full(num_keys, np.nan), where=is_known)
    if rows.weights is None and rows.groups is None and numerators.dtype == denominators.dtype == bool:
        # Of a share of rows the residuals are 1 - share and -share.
        units, effective_sums = sums.astype(np.int64), sums
        variances = sums * values * (1 - values)
        fourths = variances * ((1 - values) ** 3 + values**3)
    else:
        units, effective_sums, variances, fourths = _sums_of_units(above, below, values, rows, keys)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.where(units < 2, np.inf, np.sqrt(variances * units / (units - 1)) / sums)
        effective = sums**2 / effective_sums  # Kish's
        degrees = np.where(fourths > 0, np.clip(variances**2 / fourths, 1, None), np.inf)
    degrees = np.minimum(degrees, np.maximum(units - 1, 1))
    units, effective = np.where(is_known, units, 0), np.where(is_known, effective, 0.0)
    table = (values, errors, degrees, units, effective, counts)
    return [EstimateSummary(*row) for row in zip(*(column.tolist() for column in table), strict=True)]


def _sums_of_units(
    above: np.ndarray, below: np.ndarray, values: np.ndarray, rows: Rows, keys: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns for each key how many rows or groups count, and the sums of their squared denominators, of their squared
    residuals and of the fourth powers of those, `(keys,)` each.
    """
    num_keys, residuals = len(values), above - values[keys] * below
    if rows.groups is not None:  # the rows of a group vary together: their residuals are summed first
        num_groups = int(rows.groups.max(initial=0)) + 1
        pairs, inverse = np.unique(keys * num_groups + rows.groups, return_inverse=True)
        residuals, below = np.bincount(inverse, residuals, len(pairs)), np.bincount(inverse, below, len(pairs))
        keys = pairs // num_groups
    is_counted = below != 0
    units = np.bincount(keys if is_counted.all() else keys[is_counted], minlength=num_keys)
    squares = residuals * residuals  # a power is ten times as slow
    return units, *(np.bincount(keys, one, num_keys) for one in (below * below, squares, squares * squares))
