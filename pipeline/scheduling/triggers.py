"""Triggers of runs other than cron: new data and drift."""

import json
from pathlib import Path

from data.errors import HeadraceError
from pipeline.core import config
from pipeline.core.paths import PipelinePaths
from pipeline.history import runs
from pipeline.scheduling.store import PENDING, RUNNING, Schedule, Store

DRIFT_EXIT_CODE = 3  # of `headrace drift` when it found drift


def is_queued(store: Store, schedule: Schedule) -> bool:
    """Returns whether a run of the pipeline is pending or in progress."""
    return any(run.state in (PENDING, RUNNING) for run in store.scheduled_runs(schedule.name, limit=20))


def has_new_data(home: Path, schedule: Schedule, settled_seconds: float) -> bool:
    """Returns whether the data differs from that of the last run, whatever its result, and is complete.

    Args:
        home: Folder of the runs.
        schedule: The schedule.
        settled_seconds: Seconds without a change of any file after which the data counts as complete; a file that is
            being written starts no run.
    """
    try:
        dataset = config.load(schedule.target, schedule.overrides).dataset
        if not dataset.is_settled(settled_seconds):
            return False
        digest = dataset.last_digest()
    except (HeadraceError, OSError):
        return False  # the next run reports the error
    last_run = next(iter(runs.runs(home, schedule.name)), None)
    return last_run is None or last_run.data_digest != digest


def drift_command(home: Path, store: Store, schedule: Schedule, settled_seconds: float) -> list[str]:
    """Returns the command that checks for drift; empty if no requests and no span have arrived since the last check.

    Requests before the last run for drift start no other one: that run may have been refused. A span counts once no
    file has changed for `settled_seconds`.
    """
    paths = PipelinePaths.of(home, schedule.name)
    last_check = paths.drift.stat().st_mtime if paths.drift.exists() else 0.0
    sources = []
    if max((path.stat().st_mtime for path in paths.samples.glob("*.jsonl")), default=0.0) > last_check:
        sources.append("served")
    if _has_new_span(home, paths, schedule, settled_seconds):
        sources.append("spans")
    if not sources:
        return []
    starts = [run.started or run.due for run in store.scheduled_runs(schedule.name) if run.reason == "drift"]
    source = sources[0] if len(sources) == 1 else "all"
    arguments = ("--of", source, "--max-distance", str(schedule.on_drift), "--since", str(max(starts, default=0.0)))
    return schedule.command("drift", str(home), *arguments)


def _has_new_span(home: Path, paths: PipelinePaths, schedule: Schedule, settled_seconds: float) -> bool:
    """Returns whether the data comes in spans and differs from the data of the last run and of the last check."""
    try:
        dataset = config.load(schedule.target, schedule.overrides).dataset
        if dataset.spans is None or not has_new_data(home, schedule, settled_seconds):
            return False
        checked_digest = json.loads(paths.drift.read_text()).get("data_digest") if paths.drift.exists() else None
        return dataset.last_digest() != checked_digest
    except (HeadraceError, OSError, ValueError):
        return False
