"""What ML Metadata knows of runs: which stages were executed, what each came to, where its outputs are."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.paths import PipelinePaths

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
        started: Seconds since 1970.
        stages: In the order they began.
        version: The version it published; None when it published none.
        metrics: The model's metrics on the test split; empty where it did not come that far.
    """

    run: str
    pipeline: str
    started: float
    stages: list[Stage]
    version: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)


def of(paths: PipelinePaths) -> list[Run]:
    """Returns the runs that a pipeline's ML Metadata knows, the newest first."""
    return sorted(_runs_of(paths), key=lambda run: run.run, reverse=True)


def open_store(paths: PipelinePaths):
    """Returns a pipeline's ML Metadata store, for reading."""
    from ml_metadata import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(paths.database)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    return metadata_store.MetadataStore(config)


def _runs_of(paths: PipelinePaths) -> list[Run]:
    if not paths.database.exists():
        return []
    store = open_store(paths)
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
        run = Run(context.name, paths.runs.name, context.create_time_since_epoch / 1000, stages)
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
