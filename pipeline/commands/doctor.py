"""Checks this machine: what is installed, what is missing, and the command that fixes it."""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.core import environment
from pipeline.core.colors import BAD, GOOD, WARNING, colored

ROOT = Path(__file__).resolve().parents[2]
GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        name: Name of the check.
        state: `ok`, `warn` or `fix`.
        found: Result in a few words.
        command: Command or advice that fixes the problem; empty if there is none.
    """

    name: str
    state: str
    found: str
    command: str = ""

    def line(self) -> str:
        """Returns the finding as one line of text."""
        state = colored(self.state, {"ok": GOOD, "warn": WARNING, "fix": BAD}[self.state])
        verdict = f"{state}: {self.command}" if self.command else state
        return f"{self.name:<12}{self.found:<56}  {verdict}"


def examine(home: Path) -> list[Finding]:
    """Returns the results of all checks of this machine and of the home folder."""
    checks: list[Callable[[], Finding]] = [
        _python,
        _glibc,
        _packages,
        _accelerator,
        lambda: _disk(home),
        _memory,
        lambda: _home(home),
        _serving,
        _docker,
        _environment,
    ]
    return [check() for check in checks]


def _python() -> Finding:
    fits = (3, 11) <= sys.version_info[:2] <= (3, 12)
    version = f"{platform.python_version()} at {sys.executable}"
    return Finding(
        "python", "ok" if fits else "fix", version, "" if fits else "install Python 3.11 or 3.12, make setup"
    )


def _glibc() -> Finding:
    version = os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    number = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    return Finding("glibc", "ok" if number >= (2, 38) else "fix", version, "" if number >= (2, 38) else "make setup")


def _packages() -> Finding:
    """Compares the installed versions with those in requirements.lock."""
    lock = ROOT / "requirements.lock"
    if not lock.exists():
        return Finding("packages", "warn", "no requirements.lock: not a checkout")
    from packaging.markers import Marker

    mismatches, count = [], 0
    for name, version, marker in re.findall(r"^([\w.-]+)==([^\s;]+)(?: ; ([^\\\n]*))?", lock.read_text(), re.MULTILINE):
        if marker and not Marker(marker.strip()).evaluate():
            continue
        count += 1
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "missing"
        if installed != version:
            mismatches.append(f"{name} {installed}, locked {version}")
    if mismatches:
        return Finding("packages", "fix", "; ".join(mismatches[:3]), "rm -rf .venv && make setup")
    return Finding("packages", "ok", f"{count} as in requirements.lock")


def _accelerator() -> Finding:
    """Looks for the driver's device files, since loading TensorFlow takes seconds."""
    devices = sorted(Path("/dev").glob("nvidia[0-9]*"))
    if not devices:
        return Finding("accelerator", "ok", f"none; training runs on {os.cpu_count()} CPU cores")
    try:
        importlib.metadata.version("nvidia-cudnn-cu12")
    except importlib.metadata.PackageNotFoundError:
        return Finding(
            "accelerator", "fix", f"{len(devices)} NVIDIA, CUDA not installed", "python3 bootstrap.py --extra gpu"
        )
    return Finding("accelerator", "ok", f"{len(devices)} NVIDIA")


def _disk(home: Path) -> Finding:
    existing = next(path for path in [home.resolve(), *home.resolve().parents] if path.exists())
    free = shutil.disk_usage(existing).free / GIB
    state = "ok" if free >= 2 else "warn"
    return Finding("disk", state, f"{free:.1f} GiB free at {existing}", "" if state == "ok" else "free at least 2 GiB")


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    state = "ok" if memory.available >= 3 * GIB else "warn"
    available_memory = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB available"
    return Finding(
        "memory", state, available_memory, "" if state == "ok" else "close programs: a run takes up to 3 GiB"
    )


def _home(home: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=home):
            return Finding("home", "ok", f"{home.resolve()} is writable")
    except OSError as error:
        return Finding("home", "fix", f"{home.resolve()}: {error.strerror}", "export HEADRACE_HOME=FOLDER")


def _serving() -> Finding:
    path = shutil.which("tensorflow_model_server")
    return (
        Finding("tf serving", "ok", path)
        if path
        else Finding("tf serving", "warn", "tensorflow_model_server not found")
    )


def _environment() -> Finding:
    notes = environment.line()
    return Finding("environment", "warn" if notes else "ok", notes or "nothing is set that changes results")


def _docker() -> Finding:
    path = shutil.which("docker")
    if not path:
        return Finding("docker", "warn", "not found; needed only for TF Serving's container")
    running = Path("/var/run/docker.sock").exists()
    return Finding("docker", "ok" if running else "warn", path if running else f"{path}, but no engine is running")
