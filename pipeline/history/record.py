"""The record of a run and its stages, written by the runner, read by history, pages and site. Loads no TensorFlow."""

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
from pipeline.history.states import KILLED, RUNNING

FINISHED = ("done", "cached")  # of a stage
START = "start"  # the work before the first stage of the graph, shown as a stage
# Not in the file: ML Metadata has them, and earlier releases refuse a stage with unknown keys.
ONLY_IN_ML_METADATA = ("execution", "consumed", "produced")


@dataclass
class StageRecord:
    """One stage of a run.

    Attributes:
        name: Name of the stage.
        state: `running`, `done`, `cached`, `failed` or `stopped`.
        started: Start, in seconds since 1970.
        seconds: Wall time, in seconds.
        cpu_seconds: CPU seconds of this process and of its ended children.
        detail: Last progress or result, in a few words.
        outputs: Output name -> folder of its artifact.
        execution: Id in ML Metadata; None, and the next two empty, if the record was read from its file.
        consumed: Artifact id in ML Metadata -> name of the input.
        produced: Artifact id in ML Metadata -> name of the output.
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
        run: Identifier; identifiers sort by time.
        pipeline: Name of the pipeline.
        state: `running`, `published`, `unpublished`, `failed` or `stopped`; see `state_of`.
        started: Start, in seconds since 1970.
        ended: End, in seconds since 1970; of a killed run its last sign of life; None while it runs.
        command: Command line.
        base: Folder of the run file, relative to the home if it lies inside.
        settings: All settings, defaults filled in.
        spec: Specification of the data set, as JSON values.
        data_digest: Digest of the data.
        spans: Span -> digest, oldest first.
        notes: Sentences about changes since the last run, and about missing spans.
        machine: Host, processor, cores, memory, accelerator, system, Python.
        packages: Name -> version.
        commit: Git commit of the code; None outside of a Git work tree.
        process: Process id, and its start in seconds since 1970.
        stages: Stages in order of their start.
        exit_code: Exit code; None while it runs.
        error: Error message of a run that failed.
        version: Published version.
        metrics: Metrics of the model on the test split.
        intervals: Metric -> 95 % confidence interval.
        verdicts: Verdicts of the model gate, one for each metric.
        cpu_seconds: CPU seconds of the run.
        peak_mib: Peak resident memory, in MiB.
        disk_mib: Size of the artifacts that this run wrote, in MiB.
        training: Run that trained the model: this one, or an earlier one whose training came from the cache.
        compared: Metrics by which models are compared, the primary one first; empty in records of older releases.
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
        """Wall time so far, in seconds."""
        return (self.ended or time.time()) - self.started

    @property
    def usual_metrics(self) -> list[str]:
        """The metrics to show for a run in a list, the primary one first."""
        return self.compared or list(self.intervals)  # older releases wrote intervals of these metrics only

    @property
    def shown_metrics(self) -> list[str]:
        """Names of the metrics of all rows to show, the primary one first; see `models.evaluation.names`."""
        return shown(self.metrics, self.usual_metrics)

    @property
    def num_test_rows(self) -> int | None:
        """Number of test rows behind the metrics; None if it is not known."""
        return int(self.metrics[EXAMPLE_COUNT]) if EXAMPLE_COUNT in self.metrics else None

    @property
    def headline_metrics(self) -> list[str]:
        """Names of the metrics in the line of a run: the first two of `shown_metrics`, and the loss."""
        return [name for name in dict.fromkeys([*self.shown_metrics[:2], "loss"]) if name in self.metrics]

    def output(self, stage: str, name: str) -> Path | None:
        """Returns the folder of a stage's output; None if it does not exist."""
        for record in self.stages:
            if record.name == stage and name in record.outputs:
                folder = Path(record.outputs[name])
                return folder if folder.is_dir() else None
        return None

    def file(self, file: ArtifactFile, split: str | None = None) -> Path | None:
        """Returns the path of a file in a stage's output; None if that output does not exist."""
        folder = self.output(file.stage, file.output)
        return file.path(folder, split) if folder else None

    def with_outputs(self, convert: Callable[[str], str]) -> "RunRecord":
        """Returns a copy of the record with `convert(folder)` for the folder of each output."""
        stages = [
            dataclasses.replace(stage, outputs={name: convert(folder) for name, folder in stage.outputs.items()})
            for stage in self.stages
        ]
        return dataclasses.replace(self, stages=stages)

    def as_json(self) -> dict[str, Any]:
        """Returns the record as JSON values for its file; in the file folders are relative to the home."""
        values = dataclasses.asdict(self)
        for stage in values["stages"]:
            for name in ONLY_IN_ML_METADATA:
                del stage[name]
        return values

    @classmethod
    def of_json(cls, values: dict[str, Any]) -> "RunRecord":
        """Returns the record of JSON values; unknown keys of a later release are ignored.

        Raises:
            AttributeError, KeyError, TypeError: The values are no record.
        """
        record = cls(**_known_fields(cls, values))
        record.stages = [StageRecord(**_known_fields(StageRecord, stage)) for stage in values["stages"]]
        return record

    @classmethod
    def read(cls, path: Path) -> "RunRecord | None":
        """Returns the record in a file, with absolute folders; None if the file is missing or damaged."""
        try:
            record = cls.of_json(json.loads(path.read_text()))
            paths = PipelinePaths.of_record(path)
            record = record.with_outputs(lambda folder: str(paths.artifact(folder)))
            _hide_webhooks(record.settings)
            if state_of(record) == KILLED:
                record.ended = max(file.stat().st_mtime for file in (path, paths.log(record.run)) if file.exists())
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return record if isinstance(record.run, str) and isinstance(record.pipeline, str) else None


def _hide_webhooks(settings: dict[str, Any]) -> None:
    """Hides webhooks in the settings; records of earlier releases contain them."""
    for channel in settings.get("notify") or ():
        if channel.get("webhook") and not PATTERN.fullmatch(channel["webhook"]):
            hide_url(channel["webhook"])
            channel["webhook"] = hide(channel["webhook"])


def _known_fields(record_class: type, values: dict[str, Any]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(record_class)}
    return {name: value for name, value in values.items() if name in names}


def state_of(record: RunRecord) -> str:
    """Returns the state of a run: `killed` if the record says `running` but its process has ended."""
    if record.state != RUNNING or record.machine.get("host") != platform.node():
        return record.state
    return RUNNING if len(record.process) == 2 and alive(*record.process) else KILLED


def alive(pid: float, started: float) -> bool:
    """Returns whether the process `pid` that began at `started`, in seconds since 1970, is alive; pids are reused."""
    import psutil  # takes as long to load as the rest of `headrace --help`

    try:
        return abs(psutil.Process(int(pid)).create_time() - started) < 1
    except (psutil.Error, ValueError):
        return False
