"""What a run leaves behind when it is stopped, and how it or the next one cleans up."""

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
        stage: The stage it was in.
        finished: How many stages it had finished.
    """

    stage: str
    finished: int


def reap(paths: PipelinePaths) -> Unfinished | None:
    """Cleans up after a run that was stopped: no execution stays RUNNING, no half-written folder stays.

    Must be called with the pipeline's lock held.

    Returns:
        Where the run was stopped; None when there is nothing to clean up.
    """
    for staging in paths.serving.glob(".staging-*"):
        shutil.rmtree(staging, ignore_errors=True)
    if not paths.database.exists():
        return None
    from ml_metadata.proto.metadata_store_pb2 import Execution

    found = None
    store = mlmd.open_store(paths.database, read_only=False)
    running = [one for one in store.get_executions() if one.last_known_state in (Execution.RUNNING, Execution.NEW)]
    for execution in running:
        contexts = {context.type: context.name for context in store.get_contexts_by_execution(execution.id)}
        stage = contexts["node"].rsplit(".", 1)[-1]
        run = store.get_context_by_type_and_name("pipeline_run", contexts["pipeline_run"])
        siblings = store.get_executions_by_context(run.id)
        finished = sum(one.last_known_state in (Execution.COMPLETE, Execution.CACHED) for one in siblings)
        found = Unfinished(stage, finished)
        _remove_outputs(paths.artifacts / stage, execution.id)
        execution.last_known_state = Execution.CANCELED
    store.put_executions(running)
    return found


def set_aside_damaged(paths: PipelinePaths) -> list[str]:
    """Moves artifacts that are not as their manifests say out of the cache's sight; returns what was wrong with each.

    TFX takes a cached result only while the artifact's folder is there. Folders are never used again: the stage that is
    redone writes to a new one.
    """
    found = []
    for artifact in paths.artifact_folders():
        wrong = damage(artifact)
        if wrong:
            found.append(f"{artifact.parts[-3]} is rebuilt: in its {artifact.parts[-2]}, {wrong}")
            artifact.rename(artifact.with_name(f"{artifact.name}.damaged-{time.time_ns()}"))
    return found


def _remove_outputs(stage: Path, execution: int) -> None:
    """Removes the folders that TFX made for one execution: outputs, and its own below `.system`."""
    for pattern in (f"*/{execution}", f".system/*/{execution}", ".system/*/.temp"):
        for folder in stage.glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)
