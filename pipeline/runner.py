"""Runs a pipeline on TFX's BeamDagRunner: home, lock, log, progress, and the closing block."""

import contextlib
import json
import logging
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from data import spans
from data.errors import ConfigError, HeadraceError
from data.secrets import hide
from models import progress
from models.serving import standby
from models.serving.versions import read_manifest
from pipeline import database, history, preflight, records, unchanged
from pipeline.config import NamedConfig
from pipeline.journal import Journal, RunRecord
from pipeline.lock import hold
from pipeline.places import Places
from pipeline.recovery import (
    Stopped,
    hidden_secrets,
    private_files,
    reap,
    set_aside_damaged,
    stop_on_signals,
    temporary_files,
)
from pipeline.screen import Screen, describe, redirected

# What a model is asked about: how it is typed, and in words.
ASKED = {
    "image": ("FILE.png", "an image"),
    "text": ('--text "..."', "a text"),
    "table": ("ROWS.csv", "the rows of a table"),
    "name": ("--text USER", "what a user may like"),
}
IDENTIFIER = "%Y%m%d-%H%M%S-%f"

logger = logging.getLogger(__name__)


@dataclass
class StageResult:
    """One stage of a run.

    Attributes:
        name: The stage.
        state: `done`, `cached`, `failed` or `stopped`.
        seconds: Wall time.
        detail: What it said of itself last.
        outputs: Output name -> folder of its artifact.
    """

    name: str
    state: str
    seconds: float
    detail: str
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class RunResult:
    """What came of a run.

    Attributes:
        run: Identifier, which sorts by time.
        pipeline: Name of the pipeline.
        seconds: Wall time.
        stages: In the order they ran.
        log: The log file.
        error: Why it stopped; None when it was published.
        unchanged: Whether there was nothing to do: this is what the last run came to.
    """

    run: str
    pipeline: str
    seconds: float
    stages: list[StageResult]
    log: Path
    error: BaseException | None = None
    unchanged: bool = False

    @property
    def exit_code(self) -> int:
        """Returns DESIGN's exit code for how the run ended."""
        if self.error is None:
            return 0
        if isinstance(self.error, Stopped):
            return 128 + self.error.number
        return self.error.exit_code if isinstance(self.error, HeadraceError) else 1

    def output(self, stage: str, name: str) -> Path | None:
        """Returns the folder of a stage's output; None where the run did not come that far."""
        for result in self.stages:
            if result.name == stage and name in result.outputs:
                return Path(result.outputs[name])
        return None


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
    places = Places.of(home, named.name)
    run = new_identifier(places)
    log = places.logs / f"{run}.log"
    try:
        with private_files():
            places.logs.mkdir(parents=True, exist_ok=True)
            places.serving.parent.mkdir(exist_ok=True)
            log.touch()
    except OSError as error:
        raise ConfigError(
            f"Home {home.resolve()} cannot be written to ({error.strerror}); "
            "choose another with --home or HEADRACE_HOME."
        ) from error
    started, observer = time.monotonic(), _Observer(screen, places)
    failure: BaseException | None = None

    def give_up(number: int) -> None:
        """Ends a process whose stage does not come back; the next run cleans up."""
        screen.say(stopped_line(Stopped(number), observer.stage, log))
        os._exit(128 + number)

    with (
        private_files(),
        hidden_secrets(log),
        stop_on_signals(give_up),
        hold(places.lock, named.name, wait=wait, say=screen.say),
        temporary_files(places),
        redirected(log),
        screen.stages(),
        progress.listening(observer.update),
    ):
        preflight.check(named, places)
        made_of = unchanged.identity(named, places)
        facts = unchanged.recall(places, made_of)
        if facts:
            log.unlink()
            return _as_before(facts, named, places, time.monotonic() - started)
        unchanged.forget(places)
        observer.journal = Journal(named, places, run)
        for line in span_notes(observer.journal.record, home):
            observer.journal.record.notes.append(line)
            screen.say(f"  {line}")
        os.environ["HEADRACE_RUN"] = run  # the trainer names its curves after it
        try:
            _run(named, places, run, observer, allow_unblessed=allow_unblessed)
        except (Exception, Stopped) as error:  # told by the caller in one line; the traceback goes to the log
            failure = observer.error or error
            logging.getLogger().error("%s", "".join(traceback.format_exception(failure)))
            if observer.stage != "start":  # there is nothing to clean up yet
                reap(places)
            if observer.stage:
                observer.end("stopped" if isinstance(failure, Stopped) else "failed")
        standby.drop()
        records.write(places)  # those that failed
        database.back_up(places)
        result = RunResult(run, named.name, time.monotonic() - started, observer.results, log, failure)
        observer.journal.finish(_state(result), result.exit_code, str(failure) if failure else None)
        if not isinstance(failure, Stopped):  # who stops a run does not wait; `headrace report` writes it later
            observer.report()
        result.seconds = time.monotonic() - started
        if failure is None and published(result)[0]:
            stages = [{"name": stage.name, "outputs": stage.outputs} for stage in observer.results]
            unchanged.remember(places, made_of, {"run": run, "stages": stages})
    return result


def span_notes(record: RunRecord, home: Path) -> list[str]:
    """Returns what is missing between the spans of a run, and what is not as the run before it saw them."""
    if not record.spans:
        return []
    names = [spans.named(name) for name in record.spans]
    notes = [f"span {name} is not there" for name in spans.missing(names)]
    before = next((one for one in history.runs(home, record.pipeline) if one.spans and one.run < record.run), None)
    return notes + (spans.changes(before.spans, record.spans) if before else [])


def _state(result: RunResult) -> str:
    """Returns what became of a run that has ended, as its record says it."""
    if result.error is None:
        return "published" if published(result)[0] else "unpublished"
    return "stopped" if isinstance(result.error, Stopped) else "failed"


def _as_before(facts: dict[str, Any], named: NamedConfig, places: Places, seconds: float) -> RunResult:
    """Returns the result of a run that had nothing to do."""
    stages = [StageResult(stage["name"], "cached", 0.0, "cached", stage["outputs"]) for stage in facts["stages"]]
    log = places.logs / f"{facts['run']}.log"
    return RunResult(facts["run"], named.name, seconds, stages, log, unchanged=True)


def new_identifier(places: Places, now: datetime | None = None) -> str:
    """Returns a run's identifier: local time in milliseconds, later than the last run's though the clock went back."""
    moment = now or datetime.now()
    for path in places.logs.glob("*.log"):
        with contextlib.suppress(ValueError):  # another file
            moment = max(moment, datetime.strptime(path.stem, IDENTIFIER) + timedelta(milliseconds=1))
    return moment.strftime(IDENTIFIER)[:-3]


def _run(named: NamedConfig, places: Places, run: str, observer: "_Observer", *, allow_unblessed: bool) -> None:
    logging.basicConfig(level=logging.INFO, force=True)
    logging.getLogger().handlers[0].setFormatter(_HidingFormatter())
    observer.begin("start")
    from pipeline import beam_workers, graph
    from pipeline.beam_runner import run_pipeline

    unfinished = reap(places)
    if unfinished:
        progress.report(summary=f"resuming at {unfinished.stage}, {unfinished.finished} stages reused")
    if named.config.beam.workers > 1:
        beam_workers.start()
    damaged = set_aside_damaged(places)
    database.set_aside_unknown(places)
    pipeline = graph.build(named, places, run, allow_unblessed=allow_unblessed)
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

    def __init__(self, screen: Screen, places: Places):
        self._screen, self._places = screen, places
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


# --- the closing block ----------------------------------------------------------------------------------------------


def closing_block(result: RunResult) -> list[str]:
    """Returns the last lines of a run, at most twelve: verdict, metrics, where the model is, what to type next."""
    took = f"{result.seconds:.1f} s"
    if result.error is None:
        folder, new = published(result)
        if folder is None:
            return [
                f"Not good enough, allowed by --allow-unblessed, and not published ({took}):",
                *_metric_lines(result),
            ]
        verdict = "Published" if new else "No change: this model is published already"
        # What a person can type: after `make run` the venv is not on the path.
        command = "headrace" if shutil.which("headrace") else sys.argv[0]
        what, about = ASKED[(read_manifest(folder)["file_query"] or {}).get("kind", "image")]
        ask, board = f"{command} predict {result.pipeline} {what}", f"{command} board"
        return [
            f"{verdict} ({took}): {relative(folder)}",
            f"  {_times(result)}",
            *_metric_lines(result)[:5],
            *_baseline_lines(result),
            *_answer_lines(result),
            "Next:",
            f"  {ask}   ask the model about {about}",
            f"  {board:<{len(ask)}}   see the curves in TensorBoard",
        ]
    if isinstance(result.error, Stopped):
        return [stopped_line(result.error, result.stages[-1].name if result.stages else "start", result.log)]
    lines = str(result.error).splitlines() or [type(result.error).__name__]
    if not isinstance(result.error, HeadraceError):
        lines = [f"Stage {result.stages[-1].name} failed: {type(result.error).__name__}: {lines[0][:300]}"]
    stopped = f"Stopped after {took}; nothing was published. Log: {relative(result.log)}"
    return [*lines[:11], stopped]


def stopped_line(error: Stopped, stage: str, log: Path) -> str:
    """Returns the one line of a run that a signal has stopped."""
    return f"Stopped by {error} at {stage}; the next run goes on from there. Log: {relative(log)}"


def published(result: RunResult) -> tuple[Path | None, bool]:
    """Returns the folder of the version that a finished run published, and whether it is new; None for none."""
    folder = result.output("publish", "pushed_model")
    if folder is None:
        raise ValueError(f"Run {result.run} published nothing.")
    receipt = json.loads((folder / "receipt.json").read_text())
    return Path(receipt["folder"]) if receipt["folder"] else None, receipt["new"] and not result.unchanged


def metrics(result: RunResult) -> dict[str, float]:
    """Returns the model's metrics on the test split; empty where the run did not come that far."""
    folder = result.output("evaluate", "evaluation")
    return json.loads((folder / "metrics.json").read_text())["slices"]["overall"] if folder else {}


def comparison(result: RunResult) -> dict[str, Any] | str:
    """Returns what came of the comparison with classical models, or in a sentence why the run did not get there."""
    folder = result.output("baseline", "comparison")
    return json.loads((folder / "comparison.json").read_text()) if folder else str(result.error).splitlines()[0]


def _times(result: RunResult) -> str:
    """Returns where the time went, in one line: the stages that took a second or more, and how many did not."""
    if result.unchanged:
        return f"nothing changed since run {result.run}"
    stages = result.stages
    long = [f"{stage.name} {stage.seconds:.1f}" for stage in stages if stage.seconds >= 1]
    cached = sum(stage.state == "cached" for stage in stages)
    rest = len(stages) - len(long) - cached
    words = [f"{rest} under a second"] * bool(rest) + [f"{cached} cached"] * bool(cached)
    return f"seconds: {', '.join(long + words)}"


def _metric_lines(result: RunResult) -> list[str]:
    folder = result.output("model_gate", "blessing")
    if folder is None:
        return []
    return [f"  {verdict['sentence']}" for verdict in json.loads((folder / "verdict.json").read_text())]


def _baseline_lines(result: RunResult) -> list[str]:
    found = comparison(result)
    return [f"  {found['sentence']}"] if isinstance(found, dict) else []


def _answer_lines(result: RunResult) -> list[str]:
    folder = result.output("serving_check", "blessing")
    answer = folder / "answer.txt" if folder else None
    return [f"  asked about the first test example: {answer.read_text()}"] if answer and answer.exists() else []


def relative(path: Path) -> str:
    """Returns a path as a person types it from the current folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def as_json(result: RunResult) -> dict[str, Any]:
    """Returns a run's result as JSON values."""
    return {
        "run": result.run,
        "pipeline": result.pipeline,
        "exit_code": result.exit_code,
        "seconds": round(result.seconds, 1),
        "stages": [
            {"name": stage.name, "state": stage.state, "seconds": round(stage.seconds, 1), "detail": stage.detail}
            for stage in result.stages
        ],
        "metrics": metrics(result),
        "baseline": found if isinstance(found := comparison(result), dict) else None,
        "published": str(published(result)[0] or "") or None if result.error is None else None,
        "error": hide(str(result.error)) if result.error else None,
        "log": str(result.log),
    }
