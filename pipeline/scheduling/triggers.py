"""What asks for a run beside the clock: data that is not that of the last run, and drift."""

import json
from pathlib import Path

from data.errors import HeadraceError
from pipeline.core import config
from pipeline.core.paths import PipelinePaths
from pipeline.history import runs
from pipeline.scheduling.store import PENDING, RUNNING, Schedule, Store

DRIFTED = 3  # what `headrace drift` ends with


def waits(store: Store, schedule: Schedule) -> bool:
    """Returns whether a pipeline waits to run, or runs already."""
    return any(fire.state in (PENDING, RUNNING) for fire in store.fires(schedule.name, limit=20))


def new_data(home: Path, schedule: Schedule, settled: float) -> bool:
    """Returns whether the data is not that of the last run, whatever came of it, and whole.

    Args:
        home: Folder of the runs.
        schedule: The schedule.
        settled: Seconds for which no file may have been changed: one that is being written is no reason to run.
    """
    try:
        dataset = config.load(schedule.target, schedule.overrides).dataset
        if not dataset.is_settled(settled):
            return False
        digest = dataset.last_digest()
    except (HeadraceError, OSError):
        return False  # a run at its time says what is wrong
    last = next(iter(runs.runs(home, schedule.name)), None)
    return last is None or last.data_digest != digest


def drift_command(home: Path, store: Store, schedule: Schedule, settled: float) -> list[str]:
    """Returns the command that looks for drift; empty where neither requests nor a span came in since the last look.

    What came before the last run for drift is not a reason for another: it may have been refused. A span counts when
    none of the files was changed for `settled` seconds.
    """
    paths = PipelinePaths.of(home, schedule.name)
    looked = paths.drift.stat().st_mtime if paths.drift.exists() else 0.0
    kinds = []
    if max((path.stat().st_mtime for path in paths.samples.glob("*.jsonl")), default=0.0) > looked:
        kinds.append("served")
    if _has_new_span(home, paths, schedule, settled):
        kinds.append("spans")
    if not kinds:
        return []
    runs = [fire.started or fire.due for fire in store.fires(schedule.name) if fire.reason == "drift"]
    which = kinds[0] if len(kinds) == 1 else "all"
    words = ("--of", which, "--max-distance", str(schedule.on_drift), "--since", str(max(runs, default=0.0)))
    return schedule.command("drift", str(home), *words)


def _has_new_span(home: Path, paths: PipelinePaths, schedule: Schedule, settled: float) -> bool:
    """Returns whether the data comes in spans, and is neither what the last run nor what the last look saw."""
    try:
        dataset = config.load(schedule.target, schedule.overrides).dataset
        if dataset.spans is None or not new_data(home, schedule, settled):
            return False
        looked = json.loads(paths.drift.read_text()).get("data_digest") if paths.drift.exists() else None
        return dataset.last_digest() != looked
    except (HeadraceError, OSError, ValueError):
        return False
