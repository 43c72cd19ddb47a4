"""Waits until something holds, however slow the machine is."""

import time
from collections.abc import Callable

# Ends a test that hangs; no test may come near it. The slowest that is waited for takes a minute on an idle machine.
PATIENCE_S = 900.0


def until(holds: Callable[[], object], meanwhile: Callable[[], object] = lambda: None, pause_s: float = 0.1) -> None:
    """Returns when `holds()` is true; between two looks it calls `meanwhile`."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        meanwhile()
        time.sleep(pause_s)
