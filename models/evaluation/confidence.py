"""The 95 % interval of a metric from its standard error and the range of its values.

For a metric with a lower and an upper bound, such as accuracy or an area under the curve, it is E. B. Wilson's interval
(JASA 22, 1927) for the effective number of rows: the number of independent rows whose share would have the same
standard error (design effect: L. Kish, "Survey Sampling", 1965), reduced by Student's t where few rows or groups
contribute most of the error (E. L. Korn and B. I. Graubard, Survey Methodology 24, 1998). For a metric with a lower
bound only, such as an error, it is Student's t on the log scale (the delta method), so that it stays above the bound;
else Student's t.
"""

import math
from dataclasses import dataclass

from models.evaluation.intervals import Z, wilson

Interval = tuple[float, float]


@dataclass(frozen=True)
class EstimateSummary:
    """A metric's value on some rows, and the statistics of its interval.

    Attributes:
        value: The value; NaN where it is undefined on these rows.
        standard_error: Its standard error; infinite where there is only one row, or one group of rows.
        degrees_of_freedom: Those of Student's t, by Satterthwaite; few where few rows make up most of the variance.
        num_units: Number of independent rows, or groups; for a metric of two kinds of rows, that of the rarer kind.
        effective_units: The effective number, smaller where weights or sizes differ, by Kish; at most `num_units`.
        num_rows: Number of rows.
        bias: Upper bound of the amount by which `value` is too high on average.
    """

    value: float
    standard_error: float
    degrees_of_freedom: float
    num_units: int
    effective_units: float
    num_rows: int
    bias: float = 0.0


def interval(
    summary: EstimateSummary, *, least: float = 0.0, greatest: float = 1.0, is_share: bool = False
) -> Interval | None:
    """Returns the ends of the 95 % interval; None where it is unknown.

    Args:
        summary: The estimate.
        least: Least value that the metric can have, or minus infinity.
        greatest: Greatest value, or infinity.
        is_share: Whether it is a share of rows, whose precision is at most that of as many independent rows.
    """
    if not math.isfinite(summary.value) or not summary.num_units:
        return None
    if summary.bias:
        return _biased(summary, least, greatest)
    if math.isfinite(greatest - least):
        width = greatest - least
        share = (summary.value - least) / width
        low, high = wilson(share, effective_rows(share, summary.standard_error / width, summary, is_share=is_share))
        return least + low * width, least + high * width
    if not math.isfinite(summary.standard_error):
        return None
    if math.isfinite(least):
        return _positive(summary, least)
    margin = half_width(summary.value, summary.standard_error, summary.num_units, summary.num_units - 1)
    return (summary.value - margin, summary.value + margin) if margin else None


def is_zero(error: float, value: float) -> bool:
    """Returns whether a standard error is 0 but for rounding: all rows have one value, as few rows may by chance."""
    return error <= 1e-9 * abs(value)


def effective_rows(share: float, error: float, summary: EstimateSummary, *, is_share: bool) -> float:
    """Returns how many independent rows would give a value between 0 and 1 the same standard error.

    At least `summary.effective_units`: values between 0 and 1 vary no more than a share (R. Bhatia and C. Davis,
    American Mathematical Monthly 107, 2000), and an area under the curve no more than one of the rarer kind's rows
    (Z. W. Birnbaum and O. M. Klose, Annals of Mathematical Statistics 28, 1957). Of a share at most the number of
    rows; and while few rows are wrong, or few right, they hardly show whether the rows of a group vary together: each
    such row adds at most one row to each group.
    """
    fewest, variance = summary.effective_units, share * (1 - share)
    if summary.num_units < 2 or variance <= 0 or not math.isfinite(error):
        return fewest
    if not is_zero(error, share):
        count = (
            variance
            / error**2
            * summary.num_units
            / (summary.num_units - 1)
            * (Z / students_t(summary.degrees_of_freedom)) ** 2
        )
    else:
        count = math.inf if is_share else fewest
    if is_share:
        rarer = min(share, 1 - share) * summary.num_rows
        count = min(count, summary.num_rows, summary.num_units * (1 + rarer))
    return max(count, fewest)


def students_t(degrees_of_freedom: float) -> float:
    """Returns the 97.5 % quantile of Student's t."""
    from scipy.special import stdtrit  # settings are checked without it

    return float(stdtrit(max(degrees_of_freedom, 1), 0.975))


def half_width(value: float, error: float, num_units: int, degrees_of_freedom: float) -> float:
    """Returns half the width of Student's interval; where all rows have the same value, it is greater than 0."""
    return (2 * abs(value) / num_units if is_zero(error, value) else error) * students_t(degrees_of_freedom)


def _positive(summary: EstimateSummary, least: float) -> Interval | None:
    excess = summary.value - least
    if excess <= 0:  # no error was seen, so the size of errors is unknown
        return None
    log_margin = half_width(excess, summary.standard_error, summary.num_units, summary.num_units - 1) / excess
    # As of two rows that differ: an interval of a factor of 1,000 is of no use.
    if log_margin >= math.log(1000):
        return None
    return least + excess * math.exp(-log_margin), least + excess * math.exp(log_margin)


def _biased(summary: EstimateSummary, least: float, greatest: float) -> Interval | None:
    """Returns Student's interval, its lower end lower by the bias, which is an upper bound."""
    if not math.isfinite(summary.standard_error):
        return None
    margin = half_width(summary.value, summary.standard_error, summary.num_units, summary.num_units - 1)
    return max(summary.value - summary.bias - margin, least), min(summary.value + margin, greatest)
