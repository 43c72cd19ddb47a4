"""Waits for a condition, on however slow a machine."""

import time
from collections.abc import Callable

# Timeout of a test that hangs. The longest wait takes a minute on an idle machine.
PATIENCE_S = 900.0


def until(holds: Callable[[], object], meanwhile: Callable[[], object] = lambda: None, pause_s: float = 0.1) -> None:
    """Returns when `holds()` is true; `meanwhile` is called between two checks, which are `pause_s` apart."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "timeout: the condition did not become true"
        meanwhile()
        time.sleep(pause_s)
