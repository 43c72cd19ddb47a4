"""Whether a canary keeps to its budget: what its last requests came to, beside those of the stable version."""

import collections
import math
from dataclasses import dataclass

from models.evaluation.intervals import wilson
from models.serving.rollout.rollouts import Canary

WINDOW = 200  # a version is judged by its last so many requests
ENOUGH = 20


@dataclass(frozen=True)
class Figures:
    """What the last requests of a version came to.

    Attributes:
        requests: How many they were, at most `WINDOW`.
        errors: How many of them failed.
        p95_ms: Milliseconds that 95 % of them did not exceed; 0 without any.
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
        """Returns the lower end of the 95 % interval of that share."""
        return wilson(self.error_rate, self.requests)[0]


class Recent:
    """The last requests of a version; its methods may be called from any thread, for each is one call of a deque."""

    def __init__(self) -> None:
        self._calls: collections.deque[tuple[bool, float]] = collections.deque(maxlen=WINDOW)

    def add(self, failed: bool, seconds: float) -> None:
        """Counts a request."""
        self._calls.append((failed, seconds))

    def clear(self) -> None:
        """Forgets them."""
        self._calls.clear()

    def figures(self) -> Figures:
        """Returns what they came to."""
        calls = self._calls.copy()
        if not calls:
            return Figures()
        failed, seconds = zip(*calls, strict=True)
        return Figures(len(calls), sum(failed), sorted(seconds)[math.ceil(0.95 * len(calls)) - 1] * 1000)


def breach(canary: Canary, figures: Figures, stable: Figures) -> str | None:
    """Returns why a canary has to go; None while it may stay.

    Args:
        canary: Its budget.
        figures: Its last requests.
        stable: Those of the stable version: errors that both have in common are the clients'.
    """
    if figures.requests < ENOUGH:
        return None
    # By the lower end of its interval: one error in twenty requests is no 5 %.
    if figures.least_error_rate - stable.error_rate > canary.max_error_rate:
        beside = f" (stable {stable.error_rate:.1%})" if stable.errors else ""
        return (
            f"error rate {figures.error_rate:.1%}{beside} of {figures.requests} requests, at most "
            f"{canary.max_error_rate:.1%}"
        )
    if canary.p95_ms is not None and figures.p95_ms > canary.p95_ms:
        return f"p95 {figures.p95_ms:.1f} ms of {figures.requests} requests, at most {canary.p95_ms:g} ms"
    return None
