"""TFDV's histograms of a column from the quantiles of its sketch, by NumPy.

TFDV computes them from 10,000 quantiles in a Python loop, 40 ms a column: 60 of the 72 s for statistics of
2,000 columns. Its `utils/quantiles_util.py` is the definition, and a test compares the results.
"""

import numpy as np
from tensorflow_metadata.proto.v0 import statistics_pb2

STANDARD_BINS = 10  # the default of StatsOptions


def quantiles_histogram(quantiles: np.ndarray, cumulative: np.ndarray) -> statistics_pb2.Histogram:
    """Returns the histogram whose bins lie between quantiles.

    Args:
        quantiles: float64 `(bins + 1,)`, in order.
        cumulative: float64 `(bins + 1,)`: number of values at most equal to each quantile.
    """
    counts = _counts(quantiles, cumulative)
    return _histogram(statistics_pb2.Histogram.QUANTILES, quantiles[:-1], quantiles[1:], counts)


def standard_histogram(
    quantiles: np.ndarray, cumulative: np.ndarray, minimum: np.generic, maximum: np.generic
) -> statistics_pb2.Histogram:
    """Returns the histogram of bins of equal width, one bin where all values are equal; all of them are finite.

    Args:
        quantiles: float64 `(quantiles,)`, in order, from the least value to the greatest.
        cumulative: float64 `(quantiles,)`: number of values at most equal to each quantile.
        minimum: The least value, in the column's type, which the edges get too; a value on an edge is in the lower bin.
        maximum: The greatest value, in the column's type.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        edges = np.linspace(minimum, maximum, STANDARD_BINS + 1 if minimum < maximum else 2)
    if not np.isfinite(edges).all():  # the width is more than a float holds; TFDV leaves the histogram empty
        return statistics_pb2.Histogram(type=statistics_pb2.Histogram.STANDARD)
    below = np.append(0.0, np.cumsum(_counts(quantiles, cumulative)))  # below[i]: values in the bins before bin i
    edges = edges.astype(np.float64)
    cumulative_counts = _at_most(edges[1:-1], quantiles, below)
    counts = np.diff(np.concatenate([[0.0], cumulative_counts, below[-1:]]))
    return _histogram(statistics_pb2.Histogram.STANDARD, edges[:-1], edges[1:], counts)


def _at_most(points: np.ndarray, quantiles: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Returns the number of values at most equal to each point; points lie between the first and the last quantile."""
    index = np.minimum(np.searchsorted(quantiles[1:], points, side="right"), len(quantiles) - 2)  # the point's bin
    low, high = quantiles[index], quantiles[index + 1]
    share = np.clip((points - low) / (high - low), 0.0, 1.0)
    return below[index] + share * (below[index + 1] - below[index])


def median(quantiles: np.ndarray) -> float:
    """Returns the median as TFDV defines it: the middle quantile, or the mean of the two in the middle."""
    middle = len(quantiles) // 2
    return float(quantiles[middle] if len(quantiles) % 2 else (quantiles[middle - 1] + quantiles[middle]) / 2)


def _counts(quantiles: np.ndarray, cumulative: np.ndarray) -> np.ndarray:
    """Returns the number of values in each bin, float64 `(bins,)`; the first bin includes the first quantile itself.

    The values of bins that end at the same value are spread evenly over them.
    """
    low, high, counts = quantiles[:-1], quantiles[1:], np.diff(cumulative)
    starts = np.flatnonzero(np.append(True, high[1:] != high[:-1]))
    lengths = np.diff(np.append(starts, len(high)))
    counts = np.repeat(np.add.reduceat(counts, starts) / lengths, lengths)
    first = int(np.argmin(np.append((low == low[0]) & (high == high[0]), False)))  # how many bins equal the first
    counts[:first] += cumulative[0] / first
    return counts


def _histogram(kind: int, low: np.ndarray, high: np.ndarray, counts: np.ndarray) -> statistics_pb2.Histogram:
    histogram = statistics_pb2.Histogram(type=kind)
    add = histogram.buckets.add
    for low_value, high_value, count in zip(low.tolist(), high.tolist(), counts.tolist(), strict=True):
        add(low_value=low_value, high_value=high_value, sample_count=count)
    return histogram
