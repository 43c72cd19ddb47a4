"""The 95 % interval of a metric, by what its values can be: the one place where standard errors become intervals.

Between two bounds, such as accuracy or an area under the curve, it is E. B. Wilson's (JASA 22, 1927) of the effective
number of rows: those that would tell a share with the same standard error (design effect: L. Kish, "Survey Sampling",
1965), fewer where few rows or groups make the error, by Student's t (E. L. Korn and B. I. Graubard, Survey Methodology
24, 1998). Above a least value only, such as an error, it is Student's t on the log scale, so that it never leaves what
the metric can be (the delta method); else Student's t.
"""

import math
from dataclasses import dataclass

from models.evaluation.intervals import Z, wilson

Interval = tuple[float, float]


@dataclass(frozen=True)
class EstimateSummary:
    """A metric's value on some rows, and what its interval follows from.

    Attributes:
        value: The value; NaN where the rows cannot tell it.
        standard_error: Its standard error; infinite where one row, or group of rows, is all there is.
        degrees_of_freedom: Those of Student's t where few rows or groups make most of the error, by Satterthwaite.
        num_units: How many independent rows, or groups, tell it; of a metric of two kinds of rows, the rarer's.
        effective_units: The same, fewer where they differ in weight or size, by Kish; at most `num_units`.
        num_rows: How many rows it is of.
        bias: Most that `value` is too high on average.
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
    """Returns the ends of the 95 % interval; None where nothing is known.

    Args:
        summary: The estimate.
        least: Least value that the metric can have, or minus infinity.
        greatest: Greatest value, or infinity.
        is_share: Whether it is a share of rows, which tell it no better than as many independent rows.
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
    half = half_width(summary.value, summary.standard_error, summary.num_units, summary.num_units - 1)
    return (summary.value - half, summary.value + half) if half else None


def is_zero(error: float, value: float) -> bool:
    """Returns whether a standard error is 0 but for rounding: all rows say the same, as few may by chance."""
    return error <= 1e-9 * abs(value)


def effective_rows(share: float, error: float, summary: EstimateSummary, *, is_share: bool) -> float:
    """Returns how many independent rows would tell a value between 0 and 1 as well.

    At least `summary.effective_units`: values between 0 and 1 vary no more than a share (R. Bhatia and C. Davis,
    American Mathematical Monthly 107, 2000), and an area under the curve no more than one of the rarer kind's rows
    (Z. W. Birnbaum and O. M. Klose, Annals of Mathematical Statistics 28, 1957). Of a share at most the number of
    rows; and while few rows are wrong, or few right, they hardly tell whether those of a group vary together: each
    adds no more than one row to each group.
    """
    fewest, spread = summary.effective_units, share * (1 - share)
    if summary.num_units < 2 or spread <= 0 or not math.isfinite(error):
        return fewest
    if not is_zero(error, share):
        count = (
            spread
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
    """Returns half the width of Student's interval; where all rows say the same, it is not 0."""
    return (2 * abs(value) / num_units if is_zero(error, value) else error) * students_t(degrees_of_freedom)


def _positive(summary: EstimateSummary, least: float) -> Interval | None:
    above = summary.value - least
    if above <= 0:  # no error was seen, so nothing says how large errors are
        return None
    half = half_width(above, summary.standard_error, summary.num_units, summary.num_units - 1) / above
    # As of two rows that differ: to say that it is known to a factor of 1,000 is to say nothing.
    return (least + above * math.exp(-half), least + above * math.exp(half)) if half < math.log(1000) else None


def _biased(summary: EstimateSummary, least: float, greatest: float) -> Interval | None:
    """Returns Student's interval, its lower end lower by the bias; valid as long as the bias is at most that."""
    if not math.isfinite(summary.standard_error):
        return None
    half = half_width(summary.value, summary.standard_error, summary.num_units, summary.num_units - 1)
    return max(summary.value - summary.bias - half, least), min(summary.value + half, greatest)
