"""Reads what ran from ML Metadata: which runs there were, what each stage came to, where its outputs are."""

import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from data.errors import ConfigError
from pipeline.places import Places

STATES = {1: "new", 2: "running", 3: "done", 4: "failed", 5: "cached", 6: "stopped"}


@dataclass
class Stage:
    """One stage of a run.

    Attributes:
        name: The stage.
        state: `running`, `done`, `cached`, `failed` or `stopped`.
        execution: Its number in ML Metadata.
        seconds: Wall time, 0 where it was cached.
        outputs: Output name -> folder of its artifact.
    """

    name: str
    state: str
    execution: int
    seconds: float
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class Run:
    """One run of a pipeline.

    Attributes:
        run: Its identifier, which is also the name of its log file.
        pipeline: The pipeline.
        started: Local time of its first stage.
        stages: In the order they began.
        version: The version it published; None when it published none.
        metrics: The model's metrics on the test split; empty where it did not come that far.
    """

    run: str
    pipeline: str
    started: str
    stages: list[Stage]
    version: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """What became of it: `published`, or the state of the stage that it ended with."""
        if self.version:
            return "published"
        return next((stage.state for stage in self.stages if stage.state not in ("done", "cached")), "unpublished")

    def line(self) -> str:
        """Returns the run in one line."""
        seconds = sum(stage.seconds for stage in self.stages)
        cached = sum(stage.state == "cached" for stage in self.stages)
        metrics = ", ".join(
            f"{name} {value:.4f}" for name, value in self.metrics.items() if name in ("accuracy", "loss")
        )
        stages = f"{len(self.stages)} stages, {cached} cached"
        return f"{self.run}  {self.pipeline:<16}{self.state:<12}{seconds:7.1f} s  {stages:<22}{metrics}"


def runs(home: Path, pipeline: str | None = None) -> list[Run]:
    """Returns the runs below a home folder, the newest first; of one pipeline, or of all."""
    folders = [home.resolve() / "runs" / pipeline] if pipeline else sorted((home.resolve() / "runs").glob("*"))
    found = [run for folder in folders for run in _runs_of(Places.of(home, folder.name))]
    return sorted(found, key=lambda run: run.run, reverse=True)


def find(home: Path, identifier: str) -> Run:
    """Returns the run with an identifier, or the newest of a pipeline by the pipeline's name.

    Raises:
        ConfigError: There is no such run.
    """
    found = runs(home)
    for run in found:
        if identifier in (run.run, run.pipeline):
            return run
    recent = ", ".join(run.run for run in found[:3])
    raise ConfigError(
        f"There is no run {identifier} below {home.resolve()}; "
        + (f"the last are {recent}." if recent else "nothing has run yet.")
    )


def log(home: Path, run: Run, stage: str | None = None) -> str:
    """Returns a run's log, or the part of it that one stage wrote.

    Raises:
        ConfigError: The log is gone, or the stage did not run.
    """
    path = Places.of(home, run.pipeline).logs / f"{run.run}.log"
    if not path.is_file():
        raise ConfigError(f"The log {path} is gone.")
    text = path.read_text(errors="replace")
    if stage is None:
        return text
    part = re.search(
        rf"^[^\n]*stage {re.escape(stage)} begins$.*?(^[^\n]*stage \w+ ends: \w+$|\Z)", text, re.DOTALL | re.MULTILINE
    )
    if not part:
        ran = ", ".join(one.name for one in run.stages)
        raise ConfigError(f"Stage {stage} did not run in {run.run}; stages: {ran}.")
    return part[0] + "\n"


def open_store(places: Places):
    """Returns a pipeline's ML Metadata store, for reading."""
    from ml_metadata import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(places.database)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    return metadata_store.MetadataStore(config)


def _runs_of(places: Places) -> list[Run]:
    if not places.database.exists():
        return []
    store = open_store(places)
    nodes = {context.id: context.name.split(".", 1)[-1] for context in store.get_contexts_by_type("node")}
    stage_of = {
        execution.id: name for context, name in nodes.items() for execution in store.get_executions_by_context(context)
    }
    artifacts = {artifact.id: artifact for artifact in store.get_artifacts()}
    found = []
    for context in store.get_contexts_by_type("pipeline_run"):
        executions = sorted(store.get_executions_by_context(context.id), key=lambda one: one.id)
        outputs = _outputs(store, [execution.id for execution in executions], artifacts)
        stages = [_stage(execution, stage_of[execution.id], outputs[execution.id]) for execution in executions]
        started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(context.create_time_since_epoch / 1000))
        run = Run(context.name, places.runs.name, started, stages)
        for stage in stages:
            _add_result(run, stage)
        found.append(run)
    return found


def _outputs(store, executions: list[int], artifacts: dict) -> dict[int, dict[str, str]]:
    """Returns execution -> output name -> folder."""
    from ml_metadata.proto import metadata_store_pb2

    found: dict[int, dict[str, str]] = {execution: {} for execution in executions}
    for event in store.get_events_by_execution_ids(executions) if executions else []:
        if event.type == metadata_store_pb2.Event.OUTPUT:
            name = next(step.key for step in event.path.steps if step.HasField("key"))
            found[event.execution_id][name] = artifacts[event.artifact_id].uri
    return found


def _stage(execution, name: str, outputs: dict[str, str]) -> Stage:
    state = STATES.get(execution.last_known_state, "unknown")
    milliseconds = execution.last_update_time_since_epoch - execution.create_time_since_epoch
    return Stage(name, state, execution.id, 0.0 if state == "cached" else milliseconds / 1000, outputs)


def _add_result(run: Run, stage: Stage) -> None:
    """Adds to a run what its evaluation and its publication came to."""
    evaluation = Path(stage.outputs.get("evaluation", "")) / "metrics.json"
    if stage.name == "evaluate" and evaluation.is_file():
        run.metrics = json.loads(evaluation.read_text())["slices"]["overall"]
    receipt = Path(stage.outputs.get("pushed_model", "")) / "receipt.json"
    if stage.name == "publish" and receipt.is_file():
        folder = json.loads(receipt.read_text())["folder"]
        run.version = Path(folder).name if folder else None
