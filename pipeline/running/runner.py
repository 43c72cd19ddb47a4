"""Runs a pipeline on TFX's BeamDagRunner, with its lock, log, progress and report."""

import contextlib
import logging
import os
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from data.errors import ConfigError
from data.files import links, spans
from models import deferred, progress
from models.importing import uncollected
from models.serving.deployment import standby
from pipeline.core import logs
from pipeline.core.config import NamedConfig
from pipeline.core.files import hidden_secrets, private_files, temporary_files
from pipeline.core.lock import hold
from pipeline.core.paths import PipelinePaths
from pipeline.core.screen import Screen, redirected
from pipeline.core.signals import Stopped, stop_on_signals
from pipeline.history import database, execution_records, runs
from pipeline.history.journal import Journal, note_stopped
from pipeline.history.record import START, RunRecord
from pipeline.running import preflight, unchanged
from pipeline.running.observer import Observer
from pipeline.running.recovery import clean_up, rename_damaged
from pipeline.running.result import RunResult, exit_code, published, stopped_line

IDENTIFIER = "%Y%m%d-%H%M%S-%f"


def execute(
    named: NamedConfig,
    home: Path,
    screen: Screen,
    *,
    wait: bool = False,
    allow_unblessed: bool = False,
    take_over: bool = False,
) -> RunResult:
    """Runs a pipeline from start to end and returns its result.

    Args:
        named: The resolved run file.
        home: Folder of `runs/` and `serving/`.
        screen: Shows the stages.
        wait: Whether to wait for the end of another run of the pipeline, instead of raising LockError.
        allow_unblessed: Whether to continue with a model below its thresholds; it is not published.
        take_over: Whether the name may have belonged to another run file so far.

    Raises:
        ConfigError: The home folder cannot be written to, or the run cannot be completed; see `preflight`.
        LockError: The pipeline is already running.
        Stopped: A signal came before the first stage or after the last.
    """
    started, paths = time.monotonic(), PipelinePaths.of(home, named.name)
    run = new_identifier(paths)
    log = _new_log(paths, run)
    with links.without_signs(paths.home) as executor_home, _run_context(paths, executor_home, log, screen, wait=wait):
        preflight.check(named, paths, take_over=take_over)
        run_identity = unchanged.identity(named)
        last_record = unchanged.recall(paths, run_identity)
        if last_record:
            log.unlink()
            return RunResult(last_record, paths.log(last_record.run), time.monotonic() - started, unchanged=True)
        unchanged.forget(paths)
        journal = Journal(named, paths, run)
        observer = Observer(screen, paths, journal)
        _note(observer, paths.home)
        failure = _run_and_clean_up(named, paths, observer, executor_home, allow_unblessed=allow_unblessed)
        _conclude(paths, observer, failure)
        if journal.record.state == "published":
            unchanged.remember(paths, run_identity, run)
    return RunResult(journal.record, log, time.monotonic() - started, failure)


def new_identifier(paths: PipelinePaths, now: datetime | None = None) -> str:
    """Returns a new run's identifier: local time in milliseconds, always later than that of the last run."""
    start = now or datetime.now()
    for path in paths.logs.glob("*.log"):
        with contextlib.suppress(ValueError):  # not the log of a run
            start = max(start, datetime.strptime(path.stem, IDENTIFIER) + timedelta(milliseconds=1))
    return start.strftime(IDENTIFIER)[:-3]


# --- the context of a run ---------------------------------------------------------------------------------------------


def _new_log(paths: PipelinePaths, run: str) -> Path:
    """Creates the home's folders and the empty log of a run, and returns the log.

    Raises:
        ConfigError: The home folder cannot be written to.
    """
    log = paths.log(run)
    try:
        with private_files():
            paths.logs.mkdir(parents=True, exist_ok=True)
            paths.serving.parent.mkdir(exist_ok=True)
            log.touch()
    except OSError as error:
        raise ConfigError(
            f"Home {paths.home} cannot be written to ({error.strerror}); choose another with --home or HEADRACE_HOME."
        ) from error
    return log


@contextlib.contextmanager
def _run_context(paths: PipelinePaths, executor_home: Path, log: Path, screen: Screen, *, wait: bool) -> Iterator[None]:
    """Within this block the process holds the pipeline's lock, raises Stopped at signals, and prints into the log.

    Raises:
        LockError: The pipeline is already running, and `wait` is false.
        Stopped: A signal came.
    """

    def give_up(number: int) -> None:
        """Ends the process if its stage does not return after a signal; the next run cleans up."""
        error = Stopped(number)
        note_stopped(paths.record(log.stem), str(error), exit_code(error))
        screen.say(stopped_line(error, screen.stage, log))
        os._exit(exit_code(error))

    with (
        private_files(),
        hidden_secrets(log),
        stop_on_signals(give_up),
        hold(paths.lock, paths.runs.name, wait=wait, say=screen.say),
        temporary_files(executor_home / paths.relative(paths.temporary)),
        redirected(log),
        screen.stages(),
    ):
        yield


# --- the run ----------------------------------------------------------------------------------------------------------


def _note(observer: Observer, home: Path) -> None:
    """Adds the notes of the preflight, and those on spans, to the record, and shows them."""
    record = observer.journal.record
    for line in preflight.notes() + _span_notes(record, home):
        record.notes.append(line)
        observer.screen.say(f"  {line}")


def _span_notes(record: RunRecord, home: Path) -> list[str]:
    if not record.spans:
        return []
    names = [spans.named(name) for name in record.spans]
    notes = [f"span {name} is not there" for name in spans.missing(names)]
    previous = next((run for run in runs.runs(home, record.pipeline) if run.spans and run.run < record.run), None)
    return notes + (spans.changes(previous.spans, record.spans) if previous else [])


def _run_and_clean_up(
    named: NamedConfig, paths: PipelinePaths, observer: Observer, executor_home: Path, *, allow_unblessed: bool
) -> BaseException | None:
    """Runs the stages, cleans up after a failure, and returns the exception; None if all stages were completed."""
    try:
        with progress.listening(observer.update), standby.started_at_export(), _no_arguments():
            _run_stages(named, paths, observer, executor_home, allow_unblessed=allow_unblessed)
    except (Exception, Stopped) as error:  # the caller prints it in one line; the traceback goes to the log
        failure = observer.error or error
        logging.getLogger().error("%s", "".join(traceback.format_exception(failure)))
        if observer.stage != START:  # there is nothing to clean up yet
            clean_up(paths)
        if observer.stage:
            observer.end("stopped" if isinstance(failure, Stopped) else "failed")
        return failure
    return None


@contextlib.contextmanager
def _no_arguments() -> Iterator[None]:
    """Within this block `sys.argv` has no arguments, since TFX parses them as absl's flags, `-v` as the verbosity."""
    arguments = sys.argv
    sys.argv = arguments[:1]
    try:
        yield
    finally:
        sys.argv = arguments


def _run_stages(
    named: NamedConfig, paths: PipelinePaths, observer: Observer, executor_home: Path, *, allow_unblessed: bool
) -> None:
    run = observer.journal.record.run
    os.environ["HEADRACE_RUN"] = run  # the trainer names its curves after it
    # By default TensorFlow allocates all memory of a GPU, and leaves none for the server of the serving check.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    logs.start("%(asctime)s %(levelname)s %(name)s: %(message)s")
    observer.begin(START)
    with uncollected():
        deferred.defer_unused()
        from pipeline.running import graph
        from pipeline.running.beam_runner import run_pipeline
        from pipeline.running.home_paths import HomePaths

    unfinished = clean_up(paths)
    if unfinished:
        progress.report(summary=f"resuming at {unfinished.stage}, {unfinished.finished} stages reused")
    if named.config.beam.workers > 1:
        from pipeline.running import beam_workers

        beam_workers.start()
    damaged = rename_damaged(paths)
    database.rename_unknown(paths)
    database.make_relative(paths)
    pipeline = graph.build(named, paths, run, allow_unblessed=allow_unblessed)
    observer.end("done")
    for line in damaged:
        observer.screen.say(f"  {line}")
    options = graph.beam_args(named.config.beam.workers)
    run_pipeline(pipeline, run, observer, HomePaths(paths.home, named.base, executor_home, options))


def _conclude(paths: PipelinePaths, observer: Observer, failure: BaseException | None) -> None:
    """Writes the records of failed executions, the database's backup, the end of the run's record, and the report."""
    execution_records.write(paths)
    database.back_up(paths)
    state = _state(observer.journal.record, failure)
    observer.journal.finish(state, exit_code(failure), str(failure) if failure else None)
    if not isinstance(failure, Stopped):  # a stopped run ends at once; `headrace report` writes the page later
        observer.report()


def _state(record: RunRecord, failure: BaseException | None) -> str:
    """Returns the state, for the record, of a run that has ended."""
    if failure is None:
        return "published" if published(record) else "unpublished"
    return "stopped" if isinstance(failure, Stopped) else "failed"
