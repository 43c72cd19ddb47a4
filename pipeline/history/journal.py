"""Writes the record of a run during the run, a JSON file each. Loads no TensorFlow, TFX or Beam.

ML Metadata has artifacts and executions, but not the settings, machine, cost and error of a run; and a query for a
thousand runs takes seconds.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from data.files import atomic
from data.secrets import hide
from data.texts import to_json
from pipeline.core.config import NamedConfig
from pipeline.core.paths import PipelinePaths
from pipeline.history import webhooks
from pipeline.history.record import FINISHED, RunRecord, StageRecord
from pipeline.history.states import RUNNING, STOPPED

PACKAGES = ("tensorflow", "keras", "tfx", "apache-beam", "numpy", "scikit-learn", "headrace")
SECONDS_BETWEEN = 1.0  # at least, between two writes while a stage runs


class Journal:
    """Writes the record of one run.

    Attributes:
        record: The record as it stands.
    """

    def __init__(self, named: NamedConfig, paths: PipelinePaths, run: str):
        self._paths, self._file = paths, paths.record(run)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        webhooks.keep(paths, named.config.notify)
        process = psutil.Process()
        self._cpu, self._stage_cpu, self._last_write = cpu_seconds(), 0.0, 0.0
        self.record = RunRecord(
            run=run,
            pipeline=named.name,
            started=time.time(),
            command=["headrace", *sys.argv[1:]],
            base=paths.recorded(named.base),
            settings=named.config.model_dump(mode="json"),
            spec=named.dataset.spec.model_dump(mode="json"),
            data_digest=named.dataset.digest(),
            spans=named.dataset.spans() if named.dataset.spans else {},
            machine=_machine(),
            packages={name: version for name in PACKAGES if (version := _version(name))},
            commit=_commit(),
            process=[process.pid, process.create_time()],
        )
        self.write()

    def begin(self, stage: str) -> None:
        """Records the start of a stage."""
        self._stage_cpu = cpu_seconds()
        self.record.stages.append(StageRecord(stage, started=time.time()))
        self.write()

    def update(self, detail: str) -> None:
        """Records the progress of the running stage; writes to disk at most every SECONDS_BETWEEN seconds."""
        if self.record.stages:
            self.record.stages[-1].detail = detail
        if time.monotonic() - self._last_write >= SECONDS_BETWEEN:
            self.write()

    def end(self, state: str, seconds: float, detail: str, outputs: dict[str, str]) -> None:
        """Records the result of the running stage.

        Args:
            state: `done`, `cached`, `failed` or `stopped`.
            seconds: Wall time.
            detail: Result in a few words; a failed stage keeps its last progress instead.
            outputs: Output name -> folder of its artifact.
        """
        stage = self.record.stages[-1]
        stage.state, stage.seconds, stage.outputs = state, seconds, outputs
        if state in FINISHED:  # for a failed stage its last progress says more than the state
            stage.detail = detail
        stage.cpu_seconds = cpu_seconds() - self._stage_cpu
        if state == "done":
            self.record.disk_mib += sum(map(_size_mib, outputs.values()))
        self.write()

    def finish(self, state: str, exit_code: int, error: str | None) -> None:
        """Records the end of the run."""
        self.record.state, self.record.exit_code, self.record.error = state, exit_code, error
        self.record.ended = time.time()
        # Pages are rendered from it and must hold no secret either.
        self.record = RunRecord.of_json(_hidden(self.record.as_json()))
        self.write()

    def write(self) -> None:
        """Writes the record atomically."""
        self.record.cpu_seconds = cpu_seconds() - self._cpu
        self.record.peak_mib = max(self.record.peak_mib, psutil.Process().memory_info().rss / 2**20)
        self._last_write = time.monotonic()
        stored = self.record.with_outputs(lambda folder: self._paths.recorded(Path(folder)))
        atomic.write(self._file, to_json(_hidden(stored.as_json())))


def note_stopped(file: Path, error: str, exit_code: int) -> None:
    """Records that a signal has ended a run, from a process whose main thread does not return.

    Args:
        file: The record; it is not changed if the run has ended, and not created if it is missing.
        error: Message on the signal.
        exit_code: Exit code of the process.
    """
    try:
        values = json.loads(file.read_text())
    except (OSError, ValueError):
        return
    if values["state"] != RUNNING:
        return
    ended = time.time()
    for stage in values["stages"]:
        if stage["state"] == RUNNING:
            stage |= {"state": STOPPED, "seconds": ended - stage["started"]}
    values |= {"state": STOPPED, "ended": ended, "exit_code": exit_code, "error": error}
    atomic.write(file, to_json(values))


def _hidden(value: Any) -> Any:
    """Returns JSON values with all secrets in their strings hidden."""
    if isinstance(value, dict):
        return {key: _hidden(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_hidden(inner) for inner in value]
    return hide(value) if isinstance(value, str) else value


def cpu_seconds() -> float:
    """Returns the CPU seconds of this process and of its ended children."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _size_mib(folder: str) -> float:
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 2**20


def _machine() -> dict[str, Any]:
    return {
        "host": platform.node(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpus": len(list(Path("/dev").glob("nvidia[0-9]*"))),
        "python": platform.python_version(),
    }


def _processor() -> str:
    """Returns the processor's name; Python's platform module does not know it on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Returns the Git commit of the code, with a trailing `+` if files have changed since; None outside of Git."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty=+"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
