"""Runs a pipeline on TFX's BeamDagRunner: home, lock, log, progress."""

import contextlib
import logging
import os
import time
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from data import spans
from data.errors import ConfigError
from data.secrets import hide
from models import progress
from models.serving.server import standby
from pipeline.core.config import NamedConfig
from pipeline.core.files import hidden_secrets, private_files, temporary_files
from pipeline.core.lock import hold
from pipeline.core.paths import PipelinePaths
from pipeline.core.screen import Screen, describe, redirected
from pipeline.core.signals import Stopped, stop_on_signals
from pipeline.history import database, records, runs
from pipeline.history.journal import Journal, RunRecord
from pipeline.running import preflight, unchanged
from pipeline.running.recovery import reap, set_aside_damaged
from pipeline.running.result import RunResult, StageResult, published, relative, stopped_line

IDENTIFIER = "%Y%m%d-%H%M%S-%f"

logger = logging.getLogger(__name__)


def execute(
    named: NamedConfig, home: Path, screen: Screen, *, wait: bool = False, allow_unblessed: bool = False
) -> RunResult:
    """Runs a pipeline from start to end and returns what came of it.

    Args:
        named: The resolved run file.
        home: Folder of `runs/` and `serving/`.
        screen: Shows the stages.
        wait: Wait for another run of the pipeline to end, instead of giving up.
        allow_unblessed: Go on with a model that is not good enough; it is still not published.

    Raises:
        ConfigError: The home folder cannot be written to, or the run cannot come to its end; see `preflight`.
        LockError: The pipeline is running already.
        Stopped: A signal came before the first stage or after the last.
    """
    paths = PipelinePaths.of(home, named.name)
    run = new_identifier(paths)
    log = paths.logs / f"{run}.log"
    try:
        with private_files():
            paths.logs.mkdir(parents=True, exist_ok=True)
            paths.serving.parent.mkdir(exist_ok=True)
            log.touch()
    except OSError as error:
        raise ConfigError(
            f"Home {home.resolve()} cannot be written to ({error.strerror}); "
            "choose another with --home or HEADRACE_HOME."
        ) from error
    started, observer = time.monotonic(), _Observer(screen, paths)
    failure: BaseException | None = None

    def give_up(number: int) -> None:
        """Ends a process whose stage does not come back; the next run cleans up."""
        screen.say(stopped_line(Stopped(number), observer.stage, log))
        os._exit(128 + number)

    with (
        private_files(),
        hidden_secrets(log),
        stop_on_signals(give_up),
        hold(paths.lock, named.name, wait=wait, say=screen.say),
        temporary_files(paths),
        redirected(log),
        screen.stages(),
        progress.listening(observer.update),
    ):
        preflight.check(named, paths)
        made_of = unchanged.identity(named, paths)
        facts = unchanged.recall(paths, made_of)
        if facts:
            log.unlink()
            return _as_before(facts, named, paths, time.monotonic() - started)
        unchanged.forget(paths)
        observer.journal = Journal(named, paths, run)
        for line in span_notes(observer.journal.record, home):
            observer.journal.record.notes.append(line)
            screen.say(f"  {line}")
        os.environ["HEADRACE_RUN"] = run  # the trainer names its curves after it
        # TensorFlow would take the whole of a GPU, and leave the serving check's server none.
        os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        try:
            _run(named, paths, run, observer, allow_unblessed=allow_unblessed)
        except (Exception, Stopped) as error:  # told by the caller in one line; the traceback goes to the log
            failure = observer.error or error
            logging.getLogger().error("%s", "".join(traceback.format_exception(failure)))
            if observer.stage != "start":  # there is nothing to clean up yet
                reap(paths)
            if observer.stage:
                observer.end("stopped" if isinstance(failure, Stopped) else "failed")
        standby.drop()
        records.write(paths)  # those that failed
        database.back_up(paths)
        result = RunResult(run, named.name, time.monotonic() - started, observer.results, log, failure)
        observer.journal.finish(_state(result), result.exit_code, str(failure) if failure else None)
        if not isinstance(failure, Stopped):  # who stops a run does not wait; `headrace report` writes it later
            observer.report()
        result.seconds = time.monotonic() - started
        if failure is None and published(result)[0]:
            stages = [{"name": stage.name, "outputs": stage.outputs} for stage in observer.results]
            unchanged.remember(paths, made_of, {"run": run, "stages": stages})
    return result


def span_notes(record: RunRecord, home: Path) -> list[str]:
    """Returns what is missing between the spans of a run, and what is not as the run before it saw them."""
    if not record.spans:
        return []
    names = [spans.named(name) for name in record.spans]
    notes = [f"span {name} is not there" for name in spans.missing(names)]
    before = next((one for one in runs.runs(home, record.pipeline) if one.spans and one.run < record.run), None)
    return notes + (spans.changes(before.spans, record.spans) if before else [])


def _state(result: RunResult) -> str:
    """Returns what became of a run that has ended, as its record says it."""
    if result.error is None:
        return "published" if published(result)[0] else "unpublished"
    return "stopped" if isinstance(result.error, Stopped) else "failed"


def _as_before(facts: dict[str, Any], named: NamedConfig, paths: PipelinePaths, seconds: float) -> RunResult:
    """Returns the result of a run that had nothing to do."""
    stages = [StageResult(stage["name"], "cached", 0.0, "cached", stage["outputs"]) for stage in facts["stages"]]
    log = paths.logs / f"{facts['run']}.log"
    return RunResult(facts["run"], named.name, seconds, stages, log, unchanged=True)


def new_identifier(paths: PipelinePaths, now: datetime | None = None) -> str:
    """Returns a run's identifier: local time in milliseconds, later than the last run's though the clock went back."""
    moment = now or datetime.now()
    for path in paths.logs.glob("*.log"):
        with contextlib.suppress(ValueError):  # another file
            moment = max(moment, datetime.strptime(path.stem, IDENTIFIER) + timedelta(milliseconds=1))
    return moment.strftime(IDENTIFIER)[:-3]


def _run(named: NamedConfig, paths: PipelinePaths, run: str, observer: "_Observer", *, allow_unblessed: bool) -> None:
    logging.basicConfig(level=logging.INFO, force=True)
    logging.getLogger().handlers[0].setFormatter(_HidingFormatter())
    observer.begin("start")
    from pipeline.running import beam_workers, graph
    from pipeline.running.beam_runner import run_pipeline

    unfinished = reap(paths)
    if unfinished:
        progress.report(summary=f"resuming at {unfinished.stage}, {unfinished.finished} stages reused")
    if named.config.beam.workers > 1:
        beam_workers.start()
    damaged = set_aside_damaged(paths)
    database.set_aside_unknown(paths)
    pipeline = graph.build(named, paths, run, allow_unblessed=allow_unblessed)
    observer.end("done")
    for line in damaged:
        observer.say(f"  {line}")
    run_pipeline(pipeline, run, observer)


class _HidingFormatter(logging.Formatter):
    """Writes no value of a `${ENV:NAME}` setting."""

    def __init__(self):
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return hide(super().format(record))


class _Observer:
    """Keeps what each stage came to, and shows it."""

    journal: Journal

    def __init__(self, screen: Screen, paths: PipelinePaths):
        self._screen, self._places = screen, paths
        self.results: list[StageResult] = []
        self.stage = ""
        self.error: BaseException | None = None

    def begin(self, stage: str) -> None:
        logger.info("stage %s begins", stage)  # `headrace logs RUN STAGE` cuts the log at these lines
        self.stage = stage
        self._screen.begin(stage)
        self.journal.begin(stage)

    def update(self, values: dict[str, Any]) -> None:
        """Is told how far the running stage is; see `models.progress.report`."""
        self._screen.update(values)
        if self.stage:
            self.journal.update(hide(describe(values)))

    def end(self, state: str, outputs: dict[str, str] | None = None) -> None:
        seconds, detail = self._screen.end(state)
        logger.info("stage %s ends: %s", self.stage, state)
        self.results.append(StageResult(self.stage, state, seconds, detail, outputs or {}))
        self.journal.end(state, seconds, detail, outputs or {})
        self.stage = ""

    def say(self, line: str) -> None:
        self._screen.say(line)

    def report(self) -> None:
        """Writes the run's page and what TensorBoard shows of it; a fault of the report is none of the run's."""
        from pipeline import reporting

        self._screen.begin("report")
        try:
            page = reporting.write(self._places, self.journal)
            self._screen.update({"summary": relative(page)})
            self._screen.end("done")
        except Exception:
            logger.exception("the report was not written")
            self._screen.end("failed")

    def observe(self, stage: str, launch: Callable[[], tuple[bool, dict[str, str]]]) -> None:
        """Runs a stage; `launch` returns whether it was cached, and its outputs."""
        self.begin(stage)
        try:
            cached, outputs = launch()
        except (Exception, Stopped) as error:
            # Beam raises a copy with its own words added to the message.
            self.error = error
            raise
        records.write(self._places)
        self.end("cached" if cached else "done", outputs)
