"""Findings of a fuzzer: each fault is stored once, and fuzzing continues."""

import hashlib
import resource
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

MEMORY_MIB = 512  # limit for one input of some kilobytes


class Finding(Exception):
    """A fault that a target detects: a wrong result for an input."""


class Findings:
    """A target whose faults are stored instead of raised.

    Args:
        target: Takes an input, and raises an exception for a fault.
        folder: Receives two files for each kind of fault: the input, and the traceback.
    """

    def __init__(self, target: Callable[[bytes], None], folder: Path):
        self._target, self._folder = target, folder
        self._known_kinds: set[str] = set()
        self._peak = _peak_mib()

    def __call__(self, content: bytes) -> None:
        """Runs the target on one input."""
        try:
            self._target(content)
        except Exception as error:
            self._keep(content, _kind(error), "".join(traceback.format_exception(error, limit=-30)))
        peak = _peak_mib()
        if peak > self._peak + MEMORY_MIB:
            self._keep(content, f"memory {peak - self._peak:.0f}", f"{peak - self._peak:.0f} MiB more")
        self._peak = max(peak, self._peak)

    def _keep(self, content: bytes, kind: str, text: str) -> None:
        if kind in self._known_kinds:
            return
        self._known_kinds.add(kind)
        path = self._folder / f"finding-{hashlib.sha256(kind.encode()).hexdigest()[:12]}"
        path.write_bytes(content)
        path.with_suffix(".txt").write_text(f"{kind}\n{text}", errors="replace")
        print(f"finding: {kind}", file=sys.stderr, flush=True)


def _kind(error: BaseException) -> str:
    """Returns an exception's type and the innermost line that raised it; a finding's own text."""
    if isinstance(error, Finding):
        return str(error)
    if error.__cause__ is not None:
        return _kind(error.__cause__)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    line = "" if isinstance(error, RecursionError) else f":{frame.lineno}"  # its line depends on the depth of the stack
    return f"{type(error).__name__} at {Path(frame.filename).name}{line}"


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
