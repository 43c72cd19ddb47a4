"""The record of a run and its stages: what the runner writes and history, pages and site read. Loads no TensorFlow."""

import dataclasses
import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.artifact_files import ArtifactFile
from data.secrets import PATTERN, hide, hide_url
from models.evaluation import EXAMPLE_COUNT
from models.evaluation.names import shown
from pipeline.core.paths import PipelinePaths
from pipeline.history.states import RUNNING

FINISHED = ("done", "cached")  # of a stage
START = "start"  # what is done before the first stage of the graph, told as a stage
# Left out of the file: ML Metadata has it, and earlier releases refuse a stage with a key that they do not know.
ONLY_IN_ML_METADATA = ("execution", "consumed", "produced")


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
        execution: Its number in ML Metadata; None, as the next two are empty, where ML Metadata was not asked.
        consumed: Number of an artifact in ML Metadata -> name of the input.
        produced: Number of an artifact in ML Metadata -> name of the output.
    """

    name: str
    state: str = RUNNING
    started: float = 0.0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    detail: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    execution: int | None = None
    consumed: dict[int, str] = field(default_factory=dict)
    produced: dict[int, str] = field(default_factory=dict)


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
        base: Folder of the run file, relative to the home where it lies below it.
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
        compared: The metrics by which models are compared, the usual one first; empty where an older release wrote it.
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
    compared: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Wall time so far."""
        return (self.ended or time.time()) - self.started

    @property
    def usual_metrics(self) -> list[str]:
        """The metrics that are told of a run in a list, the usual one first."""
        return self.compared or list(self.intervals)  # older releases wrote the intervals of these alone

    @property
    def shown_metrics(self) -> list[str]:
        """Names of the metrics of all rows that are shown, the usual one first; see `models.evaluation.names`."""
        return shown(self.metrics, self.usual_metrics)

    @property
    def num_test_rows(self) -> int | None:
        """How many rows its metrics are of; None where that is not known."""
        return int(self.metrics[EXAMPLE_COUNT]) if EXAMPLE_COUNT in self.metrics else None

    @property
    def headline_metrics(self) -> list[str]:
        """Names of the few that stand in a line: the first two that are shown, and the loss."""
        return [name for name in dict.fromkeys([*self.shown_metrics[:2], "loss"]) if name in self.metrics]

    def output(self, stage: str, name: str) -> Path | None:
        """Returns the folder of a stage's output that is still there; else None."""
        for one in self.stages:
            if one.name == stage and name in one.outputs:
                folder = Path(one.outputs[name])
                return folder if folder.is_dir() else None
        return None

    def file(self, file: ArtifactFile, split: str | None = None) -> Path | None:
        """Returns where a file of a stage's output lies; None where that output is not there."""
        folder = self.output(file.stage, file.output)
        return file.path(folder, split) if folder else None

    def with_outputs(self, place: Callable[[str], str]) -> "RunRecord":
        """Returns the run with the folder of each output as `place` has it."""
        stages = [
            dataclasses.replace(one, outputs={name: place(folder) for name, folder in one.outputs.items()})
            for one in self.stages
        ]
        return dataclasses.replace(self, stages=stages)

    def as_json(self) -> dict[str, Any]:
        """Returns the run as JSON values: what its file holds, where folders are relative to the home."""
        values = dataclasses.asdict(self)
        for stage in values["stages"]:
            for name in ONLY_IN_ML_METADATA:
                del stage[name]
        return values

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> "RunRecord":
        """Returns the record that JSON values hold; keys that a later release added are left out.

        Raises:
            AttributeError, KeyError, TypeError: They hold no record.
        """
        record = cls(**_known(cls, values))
        record.stages = [StageRecord(**_known(StageRecord, stage)) for stage in values["stages"]]
        return record

    @classmethod
    def read(cls, path: Path) -> "RunRecord | None":
        """Returns the record that a file holds; None where it is gone or damaged."""
        try:
            record = cls.of_json(json.loads(path.read_text()))
            paths = PipelinePaths.of_record(path)
            record = record.with_outputs(lambda folder: str(paths.artifact(folder)))
            _hide_webhooks(record.settings)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return record if isinstance(record.run, str) and isinstance(record.pipeline, str) else None


def _hide_webhooks(settings: dict[str, Any]) -> None:
    """Hides what the record of an earlier release shows."""
    for channel in settings.get("notify") or ():
        if channel.get("webhook") and not PATTERN.fullmatch(channel["webhook"]):
            hide_url(channel["webhook"])
            channel["webhook"] = hide(channel["webhook"])


def _known(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    names = {one.name for one in dataclasses.fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def state_of(record: RunRecord) -> str:
    """Returns what became of a run: one that says it is running, in a process that is gone, was `killed`."""
    if record.state != RUNNING or record.machine.get("host") != platform.node():
        return record.state
    return RUNNING if len(record.process) == 2 and alive(*record.process) else "killed"


def alive(pid: float, started: float) -> bool:
    """Returns whether a process that began then, in seconds since 1970, is there: numbers are given out again."""
    import psutil  # takes as long to load as the rest of `headrace --help`

    try:
        return abs(psutil.Process(int(pid)).create_time() - started) < 1
    except (psutil.Error, ValueError):
        return False
