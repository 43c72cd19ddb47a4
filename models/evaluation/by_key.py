"""A metric's value and standard error for each value of a key, such as each slice, at once."""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from models.evaluation.estimates import ratio_root, weighted
from models.evaluation.intervals import Z, wilson
from models.evaluation.metrics import Columns, Metric


@dataclass(frozen=True)
class Known:
    """A value, and how well it is known.

    Attributes:
        value: The value.
        error: Its standard error; infinite where one row, or one group of rows, is all there is.
        units: How many independent rows, or groups, it is of.
        rows: How many rows it is of.
    """

    value: float
    error: float
    units: int
    rows: int

    def interval(self, greatest: float, *, is_share: bool) -> tuple[float, float] | None:
        """Returns the ends of its 95 % interval: Wilson's of a share, else 1.96 standard errors on each side.

        None where it is not known. From 0 to `greatest` is what the value can be.
        """
        if is_share:
            return wilson(self.value, self.independent_units())
        if not math.isfinite(self.error):
            return None
        return max(self.value - Z * self.error, 0.0), min(self.value + Z * self.error, greatest)

    def independent_units(self) -> float:
        """Returns how many independent rows tell a share as well (design effect: L. Kish, "Survey Sampling", 1965)."""
        # Of a share of 0 or 1 no error is seen: its groups count.
        if not self.error or not math.isfinite(self.error):
            return self.units
        independent = self.value * (1 - self.value) / self.error**2 * self.units / (self.units - 1)
        return min(independent, self.rows)


@dataclass(frozen=True)
class Rows:
    """How rows count.

    Attributes:
        count: How many there are.
        weights: float64 `(rows,)`, how much each counts; None for alike.
        groups: int `(rows,)` from 0, which rows belong together and vary together; None where each is independent.
    """

    count: int
    weights: np.ndarray | None = None
    groups: np.ndarray | None = None

    def of(self, chosen: np.ndarray) -> "Rows":
        """Returns some of the rows, by their numbers or as a mask."""
        weights, groups = (None if one is None else one[chosen] for one in (self.weights, self.groups))
        return Rows(int(chosen.sum()) if chosen.dtype == bool else len(chosen), weights, groups)


def known_by_key(metric: Metric, columns: Columns, rows: Rows, keys: np.ndarray, num_keys: int) -> list[Known]:
    """Returns what is known of a metric for each value of a key.

    Args:
        metric: The metric.
        columns: What it needs of each row, `(rows,)` each.
        rows: How the rows count.
        keys: int64 `(rows,)`, from 0; -1 for a row that is in none.
        num_keys: How many keys there are.
    """
    if metric.is_ratio:
        inside = keys >= 0
        if not inside.all():
            columns, rows, keys = tuple(column[inside] for column in columns), rows.of(inside), keys[inside]
        known = ratios_by_key(*columns, rows, keys, num_keys)
        return [_root(one) for one in known] if metric.estimate is ratio_root else known
    keys = keys.astype(np.int16 if num_keys < 2**15 else np.int64)  # NumPy sorts the small ones in one pass
    order = np.argsort(keys, kind="stable")
    ends = np.searchsorted(keys[order], np.arange(num_keys + 1))
    return [_known(metric, columns, rows, order[begin:end]) for begin, end in itertools.pairwise(ends)]


def _known(metric: Metric, columns: Columns, rows: Rows, chosen: np.ndarray) -> Known:
    of_key = rows.of(chosen)
    found = metric.estimate(*(column[chosen] for column in columns), weights=of_key.weights)
    units = found.units(of_key.groups)
    # Without a row of one of two kinds nothing was measured.
    return Known(found.value if units else math.nan, found.standard_error(of_key.groups), units, of_key.count)


def _root(known: Known) -> Known:
    value = math.sqrt(known.value)
    return Known(value, known.error / (2 * value) if value else known.error, known.units, known.rows)


def ratios_by_key(
    numerators: np.ndarray, denominators: np.ndarray, rows: Rows, keys: np.ndarray, num_keys: int
) -> list[Known]:
    """Returns the weighted sum of the first over that of the second for each key; 0 where the second is 0.

    As `estimates.ratio` with `Estimate.standard_error` of the rows of one key, for all keys in a few passes.

    Args:
        numerators: `(rows,)`.
        denominators: `(rows,)`.
        rows: How the rows count.
        keys: int64 `(rows,)`, from 0.
        num_keys: How many keys there are.
    """
    above, below = weighted(numerators, rows.weights), weighted(denominators, rows.weights)
    sums = np.bincount(keys, below, num_keys)
    values = np.divide(np.bincount(keys, above, num_keys), sums, out=np.zeros(num_keys), where=sums != 0)
    counts = np.bincount(keys, minlength=num_keys)
    residuals, of_units, units = above - values[keys] * below, keys, counts
    if rows.groups is not None:  # the rows of a group vary together: their residuals are summed first
        pairs, inverse = np.unique(keys * (int(rows.groups.max(initial=0)) + 1) + rows.groups, return_inverse=True)
        residuals = np.bincount(inverse, residuals, len(pairs))
        of_units = pairs // (int(rows.groups.max(initial=0)) + 1)
        units = np.bincount(of_units, minlength=num_keys)
    squares = np.bincount(of_units, residuals**2, num_keys)
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.sqrt(squares * units / (units - 1)) / sums
    errors = np.where(units < 2, np.inf, np.where(sums == 0, 0.0, errors))
    table = zip(values.tolist(), errors.tolist(), units.tolist(), counts.tolist(), strict=True)
    return [Known(*one) for one in table]
