"""Looks a machine over: what is there, what is missing, what to type to mend it."""

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

ROOT = Path(__file__).resolve().parents[2]
GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Attributes:
        name: What was looked at.
        state: `ok`, `warn` or `fix`.
        found: What was found.
        command: What mends it; empty where nothing has to be.
    """

    name: str
    state: str
    found: str
    command: str = ""

    def line(self) -> str:
        """Returns the finding as one line of text."""
        verdict = f"{self.state}: {self.command}" if self.command else self.state
        return f"{self.name:<12}{self.found:<56}  {verdict}"


def examine(home: Path) -> list[Finding]:
    """Returns the findings about this machine, and about the folder that holds runs."""
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
    found = f"{platform.python_version()} at {sys.executable}"
    return Finding("python", "ok" if fits else "fix", found, "" if fits else "install Python 3.11 or 3.12, make setup")


def _glibc() -> Finding:
    version = os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    number = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    return Finding("glibc", "ok" if number >= (2, 38) else "fix", version, "" if number >= (2, 38) else "make setup")


def _packages() -> Finding:
    """Compares what is installed with requirements.lock."""
    lock = ROOT / "requirements.lock"
    if not lock.exists():
        return Finding("packages", "warn", "no requirements.lock: not a checkout")
    from packaging.markers import Marker

    wrong, count = [], 0
    for name, version, marker in re.findall(r"^([\w.-]+)==([^\s;]+)(?: ; ([^\\\n]*))?", lock.read_text(), re.MULTILINE):
        if marker and not Marker(marker.strip()).evaluate():
            continue
        count += 1
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            installed = "missing"
        if installed != version:
            wrong.append(f"{name} {installed}, locked {version}")
    if wrong:
        return Finding("packages", "fix", "; ".join(wrong[:3]), "rm -rf .venv && make setup")
    return Finding("packages", "ok", f"{count} as in requirements.lock")


def _accelerator() -> Finding:
    """Asks the driver, not TensorFlow: loading that takes seconds."""
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
    found = f"{memory.available / GIB:.1f} of {memory.total / GIB:.1f} GiB available"
    return Finding("memory", state, found, "" if state == "ok" else "close programs: a run takes up to 3 GiB")


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
    found = environment.line()
    return Finding("environment", "warn" if found else "ok", found or "nothing is set that changes results")


def _docker() -> Finding:
    path = shutil.which("docker")
    if not path:
        return Finding("docker", "warn", "not found; needed only for TF Serving's container")
    running = Path("/var/run/docker.sock").exists()
    return Finding("docker", "ok" if running else "warn", path if running else f"{path}, but no engine is running")
