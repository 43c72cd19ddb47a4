"""Runs commands and measures their costs."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADRACE = [str(Path(sys.executable).parent / "headrace")]


@dataclass(frozen=True)
class Cost:
    """Time, memory and output of one command.

    Attributes:
        wall: Seconds.
        cpu: Seconds of user and system time, of the process and its children.
        peak: Greatest resident memory of the process, in MiB.
        out: Its standard output.
    """

    wall: float
    cpu: float
    peak: float
    out: str


def cost(command: Sequence[str | Path]) -> Cost:
    """Runs a command and returns its cost; ends the benchmark when the command fails."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = time.perf_counter()
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        process = subprocess.Popen(list(map(str, command)), stdout=out, stderr=err, cwd=ROOT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - started
        for file in (out, err):
            file.seek(0)
        text = out.read()
        if process.returncode:
            raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{text}\n{err.read()}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text)


def folder_mib(folder: Path) -> float:
    """Returns the size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 2**20
