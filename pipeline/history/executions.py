"""Run records built from ML Metadata, for runs whose record file is missing. Loads no TFX."""

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from components.artifact_files import METRICS, OVERALL, RECEIPT, ArtifactFile
from pipeline.core.paths import PipelinePaths
from pipeline.history import mlmd
from pipeline.history.record import FINISHED, RunRecord, StageRecord
from pipeline.history.states import RUNNING


def of(paths: PipelinePaths) -> list[RunRecord]:
    """Returns the runs in a pipeline's ML Metadata, newest first, without settings, cost and intervals."""
    if not paths.database.exists():
        return []
    with mlmd.reading(paths.database) as database:
        records = [
            _record(paths, run, started, _stages(paths, database, run)) for run, started in mlmd.runs(database).items()
        ]
    return sorted(records, key=lambda run: run.run, reverse=True)


def names(paths: PipelinePaths) -> set[str]:
    """Returns the identifiers of all runs in ML Metadata; empty if its file is missing or damaged."""
    with contextlib.suppress(sqlite3.Error), mlmd.reading(paths.database) as database:
        return set(mlmd.runs(database))
    return set()


def lineage(paths: PipelinePaths, run: str) -> list[StageRecord]:
    """Returns the stages of a run in order of their start, with the artifacts that they consumed and produced.

    Raises:
        sqlite3.Error: The database is damaged.
    """
    if not paths.database.exists():
        return []
    with mlmd.reading(paths.database) as database:
        return _stages(paths, database, run)


def _stages(paths: PipelinePaths, database: sqlite3.Connection, run: str) -> list[StageRecord]:
    """Returns the stages of a run, with the current absolute folders of their outputs."""
    stages = mlmd.stages(database, run)
    for stage in stages:
        stage.outputs = {name: str(paths.artifact(folder)) for name, folder in stage.outputs.items()}
    return stages


def _record(paths: PipelinePaths, run: str, started: float, stages: list[StageRecord]) -> RunRecord:
    ended = started + sum(stage.seconds for stage in stages)
    record = RunRecord(run, paths.runs.name, started=started, ended=ended, stages=stages)
    slices = _output(record, METRICS).get("slices")
    record.metrics = slices.get(OVERALL, {}) if isinstance(slices, dict) else {}
    folder = _output(record, RECEIPT).get("folder")
    record.version = Path(folder).name if folder else None
    record.state = _state(record)
    return record


def _output(record: RunRecord, file: ArtifactFile) -> dict[str, Any]:
    """Returns the object in a JSON file of a stage's output; empty if the file is missing or damaged."""
    path = record.file(file)
    try:
        content = json.loads(path.read_text()) if path else {}
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _state(record: RunRecord) -> str:
    """Returns the state of a run that is not running now: `killed` if one of its stages never ended."""
    if record.version:
        return "published"
    unfinished_state = next((stage.state for stage in record.stages if stage.state not in FINISHED), "unpublished")
    return "killed" if unfinished_state == RUNNING else unfinished_state
