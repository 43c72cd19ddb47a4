"""Statistics of the last requests of a version, and whether a canary exceeds its budget."""

import collections
import math
from dataclasses import dataclass

from models.evaluation.intervals import wilson
from models.serving.rollout.rollouts import Canary

WINDOW = 200  # number of last requests in the statistics
ENOUGH = 20  # minimum number of requests to judge a canary by


@dataclass(frozen=True)
class Figures:
    """Statistics of the last requests of a version.

    Attributes:
        requests: Number of requests, at most `WINDOW`.
        errors: Number of failed requests.
        p95_ms: 95th percentile of their latency in milliseconds; 0 without requests.
    """

    requests: int = 0
    errors: int = 0
    p95_ms: float = 0.0

    @property
    def error_rate(self) -> float:
        """Returns the share of requests that failed, 0 to 1."""
        return self.errors / self.requests if self.requests else 0.0

    @property
    def least_error_rate(self) -> float:
        """Returns the lower end of the 95 % Wilson interval of `error_rate`."""
        return wilson(self.error_rate, self.requests)[0]


class Recent:
    """The last requests of a version; may be used from any thread, since each method makes one call of a deque."""

    def __init__(self) -> None:
        self._calls: collections.deque[tuple[bool, float]] = collections.deque(maxlen=WINDOW)

    def add(self, failed: bool, seconds: float) -> None:
        """Adds a request: whether it failed, and its latency in seconds."""
        self._calls.append((failed, seconds))

    def clear(self) -> None:
        """Removes all requests."""
        self._calls.clear()

    def figures(self) -> Figures:
        """Returns their statistics."""
        calls = self._calls.copy()
        if not calls:
            return Figures()
        failed, seconds = zip(*calls, strict=True)
        return Figures(len(calls), sum(failed), sorted(seconds)[math.ceil(0.95 * len(calls)) - 1] * 1000)


def breach(canary: Canary, figures: Figures, stable: Figures) -> str | None:
    """Returns how a canary exceeds its budget; None if it does not.

    Args:
        canary: The canary with its budget.
        figures: Statistics of the canary.
        stable: Statistics of the stable version; its error rate is subtracted, as errors that clients cause.
    """
    if figures.requests < ENOUGH:
        return None
    # The lower end of the interval, since one error in twenty requests does not prove 5 %.
    if figures.least_error_rate - stable.error_rate > canary.max_error_rate:
        stable_rate = f" (stable {stable.error_rate:.1%})" if stable.errors else ""
        return (
            f"error rate {figures.error_rate:.1%}{stable_rate} of {figures.requests} requests, at most "
            f"{canary.max_error_rate:.1%}"
        )
    if canary.p95_ms is not None and figures.p95_ms > canary.p95_ms:
        return f"p95 {figures.p95_ms:.1f} ms of {figures.requests} requests, at most {canary.p95_ms:g} ms"
    return None
