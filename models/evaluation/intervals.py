"""95 % intervals. Loads no numpy."""

import math
from collections.abc import Sequence

Z = 1.96  # standard errors on each side


def wilson(share: float, count: float) -> tuple[float, float]:
    """Returns the 95 % interval of a share of `count` examples (E. B. Wilson, JASA 22, 1927)."""
    if count <= 0:
        return 0.0, 1.0
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z / (1 + Z**2 / count) * math.sqrt(max(share * (1 - share) / count + Z**2 / (4 * count**2), 0.0))
    # The share lies within; at 0 and 1 rounding would leave it out.
    return max(min(middle - half, share), 0.0), min(max(middle + half, share), 1.0)


def of_difference(
    first: float, first_ends: Sequence[float], second: float, second_ends: Sequence[float]
) -> tuple[float, float]:
    """Returns the 95 % interval of `second - first`, two values of different rows, from the interval of each.

    R. G. Newcombe, Statistics in Medicine 17, 1998, method 10: distances to the ends are added as standard errors are.
    It stays within the possible differences.
    """
    below = math.hypot(second - second_ends[0], first_ends[1] - first)
    above = math.hypot(second_ends[1] - second, first - first_ends[0])
    return second - first - below, second - first + above
