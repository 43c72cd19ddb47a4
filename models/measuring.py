"""Seconds and memory of a function call."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

MIB = 2**20


def measured(function: Callable[[], Any]) -> tuple[Any, float, float]:
    """Returns what a function returns, its seconds, and the growth of the process's memory at its peak, in MiB.

    Memory is NaN where the system cannot reset the peak.
    """
    before_mib = psutil.Process().memory_info().rss / MIB
    is_reset = _reset_peak()
    started = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - started
    return result, seconds, max(_peak_mib() - before_mib, 0.0) if is_reset else float("nan")


def _reset_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): sets the peak to the memory resident now
    except OSError:
        return False
    return True


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
