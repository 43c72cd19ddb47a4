"""Clean-up after a run that was stopped, by the run itself or by the next one."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from components.manifests import damage
from pipeline.core.paths import PipelinePaths
from pipeline.history import mlmd


@dataclass(frozen=True)
class Unfinished:
    """A run that was stopped before its end.

    Attributes:
        stage: Name of the stage that was running.
        finished: Number of stages that had finished.
    """

    stage: str
    finished: int


def clean_up(paths: PipelinePaths) -> Unfinished | None:
    """Cleans up after a run that was stopped: ends its running executions and removes their partial outputs.

    The caller must hold the pipeline's lock.

    Returns:
        The run that was stopped; None if no execution was running.
    """
    for staging in paths.serving.glob(".staging-*"):
        shutil.rmtree(staging, ignore_errors=True)
    if not paths.database.exists():
        return None
    from ml_metadata.proto.metadata_store_pb2 import Execution

    unfinished = None
    store = mlmd.open_store(paths.database, read_only=False)
    unended_states = (Execution.RUNNING, Execution.NEW)
    running = [stored for stored in store.get_executions() if stored.last_known_state in unended_states]
    for execution in running:
        contexts = {context.type: context.name for context in store.get_contexts_by_execution(execution.id)}
        stage = contexts["node"].rsplit(".", 1)[-1]
        run = store.get_context_by_type_and_name("pipeline_run", contexts["pipeline_run"])
        siblings = store.get_executions_by_context(run.id)
        finished_states = (Execution.COMPLETE, Execution.CACHED)
        finished = sum(sibling.last_known_state in finished_states for sibling in siblings)
        unfinished = Unfinished(stage, finished)
        _remove_outputs(paths.artifacts / stage, execution.id)
        execution.last_known_state = Execution.CANCELED
    store.put_executions(running)
    return unfinished


def rename_damaged(paths: PipelinePaths) -> list[str]:
    """Renames artifacts that differ from their manifests, and returns a message on each.

    TFX uses a cached result only if the artifact's folder exists, so the stage runs again. It writes to a new folder.
    """
    messages = []
    for artifact in paths.artifact_folders():
        problem = damage(artifact)
        if problem:
            messages.append(f"{artifact.parts[-3]} is rebuilt: in its {artifact.parts[-2]}, {problem}")
            artifact.rename(artifact.with_name(f"{artifact.name}.damaged-{time.time_ns()}"))
    return messages


def _remove_outputs(stage: Path, execution: int) -> None:
    """Removes the folders that TFX made for one execution: outputs, and its own below `.system`."""
    for pattern in (f"*/{execution}", f".system/*/{execution}", ".system/*/.temp"):
        for folder in stage.glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)
