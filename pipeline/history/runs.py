"""Lists past runs from their records, or from ML Metadata if a record is missing. Loads no TensorFlow or TFX."""

import contextlib
import dataclasses
import functools
import re
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

from data.errors import ConfigError
from data.texts import significant
from pipeline.core.colors import colored_state
from pipeline.core.paths import PipelinePaths
from pipeline.history import executions
from pipeline.history.record import RunRecord, state_of
from pipeline.history.states import RUNNING

FOLLOW_SECONDS = 0.3


def runs(
    home: Path,
    pipeline: str | None = None,
    *,
    state: str | None = None,
    since: date | None = None,
    until: date | None = None,
) -> list[RunRecord]:
    """Returns the runs below a home folder, the newest first.

    Args:
        home: The home folder.
        pipeline: Only runs of this pipeline.
        state: Only runs in this state.
        since: Only runs that began on that day or later.
        until: Only runs that began on that day or earlier.
    """
    folders = [home.resolve() / "runs" / pipeline] if pipeline else sorted((home.resolve() / "runs").glob("*"))
    records = [run for folder in folders if folder.is_dir() for run in _runs_of(PipelinePaths.of(home, folder.name))]
    begin = datetime.combine(since, datetime.min.time()).timestamp() if since else 0.0
    end = datetime.combine(until + timedelta(days=1), datetime.min.time()).timestamp() if until else float("inf")
    selected = [run for run in records if begin <= run.started < end and state in (None, run.state)]
    return sorted(selected, key=lambda run: run.run, reverse=True)


def find(home: Path, identifier: str) -> RunRecord:
    """Returns the run with an identifier, or the newest of a pipeline by the pipeline's name.

    Raises:
        ConfigError: There is no such run.
    """
    pipeline = identifier if (home.resolve() / "runs" / identifier).is_dir() else None
    records = runs(home, pipeline)
    for run in records:
        if identifier in (run.run, run.pipeline):
            return run
    recent = ", ".join(run.run for run in records[:3])
    raise ConfigError(
        f"There is no run {identifier} below {home.resolve()}; "
        + (f"the last are {recent}." if recent else "nothing has run yet.")
    )


def line(run: RunRecord) -> str:
    """Returns identifier, state, duration, stages and main metrics of a run in one line."""
    cached = sum(stage.state == "cached" for stage in run.stages)
    metrics = ", ".join(
        f"{name} {significant(run.metrics[name], interval=run.intervals.get(name))}" for name in run.headline_metrics
    )
    where = f"at {run.stages[-1].name}" if run.stages and run.state not in ("published", "unpublished") else ""
    stages = f"{len(run.stages)} stages, {cached} cached"
    state = colored_state(run.state, 12)
    return f"{run.run}  {run.pipeline:<16}{state}{run.seconds:7.1f} s  {stages:<22}{metrics or where}".rstrip()


def _runs_of(paths: PipelinePaths) -> list[RunRecord]:
    records = {}
    for path in paths.reports.glob("*.json"):
        with contextlib.suppress(OSError):
            if record := _read(path, path.stat().st_mtime_ns):
                records[record.run] = dataclasses.replace(record, state=state_of(record))
    if executions.names(paths) - records.keys():
        records = {run.run: run for run in executions.of(paths)} | records
    return list(records.values())


@functools.lru_cache(maxsize=4096)
def _read(path: Path, changed: int) -> RunRecord | None:
    return RunRecord.read(path)


# --- logs -----------------------------------------------------------------------------------------------------------


def log(home: Path, run: RunRecord, stage: str | None = None) -> str:
    """Returns the log of a run, or the part of it that one stage wrote.

    Raises:
        ConfigError: The log is missing, or the stage did not run.
    """
    text = _log_file(home, run).read_text(errors="replace")
    if stage is None:
        return text
    part = re.search(
        rf"^[^\n]*stage {re.escape(stage)} begins$.*?(^[^\n]*stage \w+ ends: \w+$|\Z)", text, re.DOTALL | re.MULTILINE
    )
    if not part:
        ran = ", ".join(stage_record.name for stage_record in run.stages)
        raise ConfigError(f"Stage {stage} did not run in {run.run}; stages: {ran}.")
    return part[0] + "\n"


def follow(home: Path, run: RunRecord) -> Iterator[str]:
    """Yields parts of a run's log as they are written, until the run has ended.

    Raises:
        ConfigError: The log is missing.
    """
    with _log_file(home, run).open(errors="replace") as file:
        while True:
            # Checked before reading, so that the last part of the log is not missed.
            ended = all(running.run != run.run for running in runs(home, run.pipeline, state=RUNNING))
            if text := file.read():
                yield text
            if ended:
                return
            time.sleep(FOLLOW_SECONDS)


def _log_file(home: Path, run: RunRecord) -> Path:
    path = PipelinePaths.of(home, run.pipeline).log(run.run)
    if not path.is_file():
        raise ConfigError(f"The log {path} is gone.")
    return path
