"""A database that ML Metadata itself wrote: two stages of a run, the second of which takes what the first made."""

from pathlib import Path

from pipeline.core.paths import PipelinePaths
from pipeline.history import mlmd

RUN = "20260528-000000-000"


def register(
    store, paths: PipelinePaths, execution_state: int, stages: dict[str, tuple[list[str], list[str]]], run: str = RUN
) -> None:
    """Puts a run into ML Metadata as TFX does.

    Args:
        store: ML Metadata's.
        paths: The pipeline's.
        execution_state: Of the last stage; those before it are complete.
        stages: Stage -> names of inputs and of outputs, in the order they ran.
        run: Its identifier.
    """
    from ml_metadata.proto import metadata_store_pb2 as proto

    run_type = store.put_context_type(proto.ContextType(name="pipeline_run"))
    node_type = store.put_context_type(proto.ContextType(name="node"))
    artifact_type = store.put_artifact_type(proto.ArtifactType(name="Thing"))
    context = proto.Context(type_id=run_type, name=run)
    made: dict[str, proto.Artifact] = {}
    first = len(store.get_executions()) + 1
    for number, (stage, (inputs, outputs)) in enumerate(stages.items(), start=first):
        execution_type = store.put_execution_type(proto.ExecutionType(name=stage, properties={"seed": proto.INT}))
        last = number == first + len(stages) - 1
        execution = proto.Execution(
            type_id=execution_type,
            name=f"{run} {stage}",
            last_known_state=execution_state if last else proto.Execution.COMPLETE,
        )
        execution.properties["seed"].int_value = 3
        execution.custom_properties["task"].string_value = "classification"
        pairs = [(made[name], _event(proto.Event.INPUT, name)) for name in inputs]
        for name in outputs:
            made[name] = proto.Artifact(type_id=artifact_type, uri=str(paths.artifacts / stage / name / str(number)))
            pairs.append((made[name], _event(proto.Event.OUTPUT, name)))
        node = proto.Context(type_id=node_type, name=f"letters.{stage}")
        _, numbers, *_ = store.put_execution(execution, pairs, [context, node], reuse_context_if_already_exist=True)
        for (artifact, _), identifier in zip(pairs, numbers, strict=True):
            artifact.id = identifier


def _event(kind: int, name: str):
    from ml_metadata.proto import metadata_store_pb2 as proto

    return proto.Event(type=kind, path=proto.Event.Path(steps=[proto.Event.Path.Step(key=name)]))


def written(home: Path, execution_state: int = 3, last: str = "evaluate", output: str = "evaluation") -> PipelinePaths:
    """Returns the paths of a pipeline `letters` with such a database."""
    paths = PipelinePaths.of(home, "letters")
    paths.artifacts.mkdir(parents=True)
    store = mlmd.open_store(paths.database, read_only=False)
    register(store, paths, execution_state, {"train": ([], ["model"]), last: (["model"], [output])})
    return paths
