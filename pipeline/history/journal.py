"""What is written down of every run, while it runs: who looks at runs reads this. Loads no TensorFlow, TFX or Beam.

A file a run. ML Metadata knows artifacts and executions, not what a run was told to do, on which machine, what it took
and why it stopped; and it takes seconds to ask it about a thousand runs.
"""

import dataclasses
import json
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from data import atomic
from data.secrets import hide
from pipeline.core.config import NamedConfig
from pipeline.core.paths import PipelinePaths

PACKAGES = ("tensorflow", "keras", "tfx", "apache-beam", "numpy", "scikit-learn", "headrace")
SECONDS_BETWEEN = 1.0  # least time between two writes while a stage runs
RUNNING = "running"


@dataclass
class StageRecord:
    """One stage of a run.

    Attributes:
        name: The stage.
        state: `running`, `done`, `cached`, `failed` or `stopped`.
        started: Seconds since 1970.
        seconds: Wall time.
        cpu_seconds: CPU time of this process and of those it started that have ended.
        detail: What it said of itself last.
        outputs: Output name -> folder of its artifact.
    """

    name: str
    state: str = RUNNING
    started: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    detail: str = ""
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class RunRecord:
    """One run.

    Attributes:
        run: Identifier, which sorts by time.
        pipeline: The pipeline.
        state: `running`, `published`, `unpublished`, `failed` or `stopped`; see `state_of`.
        started: Seconds since 1970.
        ended: The same; None while it runs.
        command: What was typed.
        base: Folder of the run file.
        settings: All of them, defaults filled in.
        spec: The data set's facts.
        data_digest: Identifies the data.
        spans: The spans it is made of, the oldest first: name -> digest.
        notes: What is not as it was in the last run, and what is missing between spans, a sentence each.
        machine: Host, processor, cores, memory, accelerator, system, Python.
        packages: Name -> version.
        commit: Of the Git work tree that the code lies in; None outside of one.
        process: Process number and its start, seconds since 1970.
        stages: In the order they began.
        exit_code: How it ended.
        error: Why it stopped.
        version: The version it published.
        metrics: The model's on the test split.
        intervals: Metric -> 95 % interval.
        verdicts: What the model gate said, metric by metric.
        cpu_seconds: CPU time of the run.
        peak_mib: Most resident memory seen, in MiB.
        disk_mib: Size of the artifacts that this run wrote, in MiB.
        training: The run whose curves are this run's: its own, or the one whose training was taken from the cache.
    """

    run: str
    pipeline: str
    state: str = RUNNING
    started: float = 0.0
    ended: float | None = None
    command: list[str] = field(default_factory=list)
    base: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    data_digest: str = ""
    spans: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)
    packages: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    process: list[float] = field(default_factory=list)
    stages: list[StageRecord] = field(default_factory=list)
    exit_code: int | None = None
    error: str | None = None
    version: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, list[float]] = field(default_factory=dict)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    cpu_seconds: float = 0.0
    peak_mib: float = 0.0
    disk_mib: float = 0.0
    training: str | None = None

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return (self.ended or time.time()) - self.started

    def output(self, stage: str, name: str) -> Path | None:
        """Returns the folder of a stage's output that is still there; else None."""
        for one in self.stages:
            if one.name == stage and name in one.outputs:
                folder = Path(one.outputs[name])
                return folder if folder.is_dir() else None
        return None


class Journal:
    """Writes one run's record as the run goes on."""

    def __init__(self, named: NamedConfig, paths: PipelinePaths, run: str):
        self._file = paths.reports / f"{run}.json"
        self._file.parent.mkdir(parents=True, exist_ok=True)
        process = psutil.Process()
        self._cpu, self._stage_cpu, self._written = cpu_seconds(), 0.0, 0.0
        self.record = RunRecord(
            run=run,
            pipeline=named.name,
            started=time.time(),
            command=["headrace", *sys.argv[1:]],
            base=str(named.base),
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
        """Notes that a stage has begun."""
        self._stage_cpu = cpu_seconds()
        self.record.stages.append(StageRecord(stage, started=time.time()))
        self.write()

    def update(self, detail: str) -> None:
        """Notes how far the running stage is; not more often than SECONDS_BETWEEN on disk."""
        if self.record.stages:
            self.record.stages[-1].detail = detail
        if time.monotonic() - self._written >= SECONDS_BETWEEN:
            self.write()

    def end(self, state: str, seconds: float, detail: str, outputs: dict[str, str]) -> None:
        """Notes what the running stage came to."""
        stage = self.record.stages[-1]
        stage.state, stage.seconds, stage.outputs = state, seconds, outputs
        if state in ("done", "cached"):  # of one that failed, what it said last is worth more than that it did
            stage.detail = detail
        stage.cpu_seconds = cpu_seconds() - self._stage_cpu
        if state == "done":
            self.record.disk_mib += sum(map(_size_mib, outputs.values()))
        self.write()

    def finish(self, state: str, exit_code: int, error: str | None) -> None:
        """Notes how the run ended."""
        self.record.state, self.record.exit_code, self.record.error = state, exit_code, error
        self.record.ended = time.time()
        # Pages are made of it: they must hold no secret either.
        self.record = _of_values(_hidden(dataclasses.asdict(self.record)))
        self.write()

    def write(self) -> None:
        """Writes the record; it appears whole or not at all."""
        self.record.cpu_seconds = cpu_seconds() - self._cpu
        self.record.peak_mib = max(self.record.peak_mib, psutil.Process().memory_info().rss / 2**20)
        self._written = time.monotonic()
        atomic.write(self._file, json.dumps(_hidden(dataclasses.asdict(self.record))))


def read(path: Path) -> RunRecord | None:
    """Returns a run's record; None where the file is gone or damaged."""
    try:
        record = _of_values(json.loads(path.read_text()))
        record.run + record.pipeline  # both are texts
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return record


def _of_values(values: dict[str, Any]) -> RunRecord:
    """Returns a record of what its file holds; what a later release added is left out."""
    known = {one.name for one in dataclasses.fields(RunRecord)}
    record = RunRecord(**{name: value for name, value in values.items() if name in known})
    record.stages = [StageRecord(**stage) for stage in values["stages"]]
    return record


def state_of(record: RunRecord) -> str:
    """Returns what became of a run: one that says it is running, in a process that is gone, was `killed`."""
    if record.state != RUNNING or record.machine.get("host") != platform.node():
        return record.state
    return RUNNING if len(record.process) == 2 and alive(*record.process) else "killed"


def alive(pid: float, started: float) -> bool:
    """Returns whether a process that began then, in seconds since 1970, is there: numbers are given out again."""
    try:
        return abs(psutil.Process(int(pid)).create_time() - started) < 1
    except (psutil.Error, ValueError):
        return False


def _hidden(value: Any) -> Any:
    """Returns JSON values with every text hidden that `${ENV:NAME}` stands for."""
    if isinstance(value, dict):
        return {key: _hidden(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_hidden(inner) for inner in value]
    return hide(value) if isinstance(value, str) else value


def cpu_seconds() -> float:
    """Returns the CPU time of this process and of those that it started and that have ended."""
    kinds = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in kinds)


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
    """Returns the commit that the code is of, with a `+` behind it where files were changed since."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty=+"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
