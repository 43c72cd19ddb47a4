"""Runs a pipeline on TFX's BeamDagRunner: home, lock, log, progress."""

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
from pipeline.running.recovery import reap, set_aside_damaged
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
    """Runs a pipeline from start to end and returns what came of it.

    Args:
        named: The resolved run file.
        home: Folder of `runs/` and `serving/`.
        screen: Shows the stages.
        wait: Wait for another run of the pipeline to end, instead of giving up.
        allow_unblessed: Go on with a model that is not good enough; it is still not published.
        take_over: Go on though the name was another run file's so far.

    Raises:
        ConfigError: The home folder cannot be written to, or the run cannot come to its end; see `preflight`.
        LockError: The pipeline is running already.
        Stopped: A signal came before the first stage or after the last.
    """
    started, paths = time.monotonic(), PipelinePaths.of(home, named.name)
    run = new_identifier(paths)
    log = _new_log(paths, run)
    with links.without_signs(paths.home) as reached, _surroundings(paths, reached, log, screen, wait=wait):
        preflight.check(named, paths, take_over=take_over)
        run_identity = unchanged.identity(named)
        before = unchanged.recall(paths, run_identity)
        if before:
            log.unlink()
            return RunResult(before, paths.log(before.run), time.monotonic() - started, unchanged=True)
        unchanged.forget(paths)
        journal = Journal(named, paths, run)
        observer = Observer(screen, paths, journal)
        _note(observer, paths.home)
        failure = _attempt(named, paths, observer, reached, allow_unblessed=allow_unblessed)
        _conclude(paths, observer, failure)
        if journal.record.state == "published":
            unchanged.remember(paths, run_identity, run)
    return RunResult(journal.record, log, time.monotonic() - started, failure)


def new_identifier(paths: PipelinePaths, now: datetime | None = None) -> str:
    """Returns a run's identifier: local time in milliseconds, later than the last run's though the clock went back."""
    moment = now or datetime.now()
    for path in paths.logs.glob("*.log"):
        with contextlib.suppress(ValueError):  # another file
            moment = max(moment, datetime.strptime(path.stem, IDENTIFIER) + timedelta(milliseconds=1))
    return moment.strftime(IDENTIFIER)[:-3]


# --- what a run lives in ----------------------------------------------------------------------------------------------


def _new_log(paths: PipelinePaths, run: str) -> Path:
    """Makes the home's folders and a run's empty log, and returns it.

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
def _surroundings(paths: PipelinePaths, reached: Path, log: Path, screen: Screen, *, wait: bool) -> Iterator[None]:
    """Within this block the process is the run's: it holds the lock, stops at signals, and prints into the log.

    Raises:
        LockError: The pipeline is running already, and the run does not wait for it.
        Stopped: A signal came.
    """

    def give_up(number: int) -> None:
        """Ends a process whose stage does not come back; the next run cleans up."""
        error = Stopped(number)
        note_stopped(paths.record(log.stem), str(error), exit_code(error))
        screen.say(stopped_line(error, screen.stage, log))
        os._exit(exit_code(error))

    with (
        private_files(),
        hidden_secrets(log),
        stop_on_signals(give_up),
        hold(paths.lock, paths.runs.name, wait=wait, say=screen.say),
        temporary_files(reached / paths.relative(paths.temporary)),
        redirected(log),
        screen.stages(),
    ):
        yield


# --- the run ----------------------------------------------------------------------------------------------------------


def _note(observer: Observer, home: Path) -> None:
    """Notes, and says, what the preflight found, and what is not with the spans as the run before saw them."""
    record = observer.journal.record
    for line in preflight.notes() + _span_notes(record, home):
        record.notes.append(line)
        observer.screen.say(f"  {line}")


def _span_notes(record: RunRecord, home: Path) -> list[str]:
    if not record.spans:
        return []
    names = [spans.named(name) for name in record.spans]
    notes = [f"span {name} is not there" for name in spans.missing(names)]
    before = next((one for one in runs.runs(home, record.pipeline) if one.spans and one.run < record.run), None)
    return notes + (spans.changes(before.spans, record.spans) if before else [])


def _attempt(
    named: NamedConfig, paths: PipelinePaths, observer: Observer, reached: Path, *, allow_unblessed: bool
) -> BaseException | None:
    """Runs the stages, cleans up after one that failed, and returns why they stopped; None where all ended."""
    try:
        with progress.listening(observer.update), standby.started_at_export(), _no_arguments():
            _run_stages(named, paths, observer, reached, allow_unblessed=allow_unblessed)
    except (Exception, Stopped) as error:  # told by the caller in one line; the traceback goes to the log
        failure = observer.error or error
        logging.getLogger().error("%s", "".join(traceback.format_exception(failure)))
        if observer.stage != START:  # there is nothing to clean up yet
            reap(paths)
        if observer.stage:
            observer.end("stopped" if isinstance(failure, Stopped) else "failed")
        return failure
    return None


@contextlib.contextmanager
def _no_arguments() -> Iterator[None]:
    """Within this block the process has no arguments: TFX takes them for absl's flags, and `-v` for its verbosity."""
    before = sys.argv
    sys.argv = before[:1]
    try:
        yield
    finally:
        sys.argv = before


def _run_stages(
    named: NamedConfig, paths: PipelinePaths, observer: Observer, reached: Path, *, allow_unblessed: bool
) -> None:
    run = observer.journal.record.run
    os.environ["HEADRACE_RUN"] = run  # the trainer names its curves after it
    # TensorFlow would take the whole of a GPU, and leave the serving check's server none.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    logs.start("%(asctime)s %(levelname)s %(name)s: %(message)s")
    observer.begin(START)
    deferred.defer_unused()
    from pipeline.running import graph
    from pipeline.running.beam_runner import run_pipeline
    from pipeline.running.home_paths import HomePaths

    unfinished = reap(paths)
    if unfinished:
        progress.report(summary=f"resuming at {unfinished.stage}, {unfinished.finished} stages reused")
    if named.config.beam.workers > 1:
        from pipeline.running import beam_workers

        beam_workers.start()
    damaged = set_aside_damaged(paths)
    database.set_aside_unknown(paths)
    database.make_relative(paths)
    pipeline = graph.build(named, paths, run, allow_unblessed=allow_unblessed)
    observer.end("done")
    for line in damaged:
        observer.screen.say(f"  {line}")
    options = graph.beam_args(named.config.beam.workers)
    run_pipeline(pipeline, run, observer, HomePaths(paths.home, named.base, reached, options))


def _conclude(paths: PipelinePaths, observer: Observer, failure: BaseException | None) -> None:
    """Brings database and record to the run's end, and writes the report."""
    execution_records.write(paths)  # those that failed
    database.back_up(paths)
    state = _state(observer.journal.record, failure)
    observer.journal.finish(state, exit_code(failure), str(failure) if failure else None)
    if not isinstance(failure, Stopped):  # who stops a run does not wait; `headrace report` writes it later
        observer.report()


def _state(record: RunRecord, failure: BaseException | None) -> str:
    """Returns what became of a run that has ended, as its record says it."""
    if failure is None:
        return "published" if published(record) else "unpublished"
    return "stopped" if isinstance(failure, Stopped) else "failed"
