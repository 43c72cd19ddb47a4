"""A database written by ML Metadata itself: a run of two stages, the second with the output of the first as input."""

from pathlib import Path

from pipeline.core.paths import PipelinePaths
from pipeline.history import mlmd

RUN = "20260528-000000-000"


def register(
    store, paths: PipelinePaths, execution_state: int, stages: dict[str, tuple[list[str], list[str]]], run: str = RUN
) -> None:
    """Registers a run in ML Metadata as TFX does.

    Args:
        store: Store of ML Metadata.
        paths: Paths of the pipeline.
        execution_state: State of the last stage; the others are complete.
        stages: Stage -> (names of inputs, names of outputs), in execution order.
        run: Identifier of the run.
    """
    from ml_metadata.proto import metadata_store_pb2 as proto

    run_type = store.put_context_type(proto.ContextType(name="pipeline_run"))
    node_type = store.put_context_type(proto.ContextType(name="node"))
    artifact_type = store.put_artifact_type(proto.ArtifactType(name="Thing"))
    context = proto.Context(type_id=run_type, name=run)
    artifacts: dict[str, proto.Artifact] = {}
    first = len(store.get_executions()) + 1
    for number, (stage, (inputs, outputs)) in enumerate(stages.items(), start=first):
        execution_type = store.put_execution_type(proto.ExecutionType(name=stage, properties={"seed": proto.INT}))
        is_last = number == first + len(stages) - 1
        execution = proto.Execution(
            type_id=execution_type,
            name=f"{run} {stage}",
            last_known_state=execution_state if is_last else proto.Execution.COMPLETE,
        )
        execution.properties["seed"].int_value = 3
        execution.custom_properties["task"].string_value = "classification"
        artifacts_and_events = [(artifacts[name], _event(proto.Event.INPUT, name)) for name in inputs]
        for name in outputs:
            artifacts[name] = proto.Artifact(
                type_id=artifact_type, uri=str(paths.artifacts / stage / name / str(number))
            )
            artifacts_and_events.append((artifacts[name], _event(proto.Event.OUTPUT, name)))
        node = proto.Context(type_id=node_type, name=f"letters.{stage}")
        _, artifact_ids, *_ = store.put_execution(
            execution, artifacts_and_events, [context, node], reuse_context_if_already_exist=True
        )
        for (artifact, _), artifact_id in zip(artifacts_and_events, artifact_ids, strict=True):
            artifact.id = artifact_id


def _event(event_type: int, name: str):
    from ml_metadata.proto import metadata_store_pb2 as proto

    return proto.Event(type=event_type, path=proto.Event.Path(steps=[proto.Event.Path.Step(key=name)]))


def written(home: Path, execution_state: int = 3, last: str = "evaluate", output: str = "evaluation") -> PipelinePaths:
    """Returns the paths of a pipeline `letters` with such a database."""
    paths = PipelinePaths.of(home, "letters")
    paths.artifacts.mkdir(parents=True)
    store = mlmd.open_store(paths.database, read_only=False)
    register(store, paths, execution_state, {"train": ([], ["model"]), last: (["model"], [output])})
    return paths
