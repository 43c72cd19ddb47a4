"""What a piece of work takes: seconds and memory."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

MIB = 2**20


def measured(function: Callable[[], Any]) -> tuple[Any, float, float]:
    """Returns what a function returns, its seconds, and how many MiB the process grew at most while it ran."""
    before = psutil.Process().memory_info().rss / MIB
    reset = _reset_peak()
    started = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - started
    return result, seconds, max(_peak_mib() - before, 0.0) if reset else float("nan")


def _reset_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): sets the peak to what is resident now
    except OSError:
        return False
    return True


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
