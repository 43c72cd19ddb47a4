"""What a home holds and what to do next, for a person who types `headrace` alone. Loads no TensorFlow or TFX."""

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data.scripts import isolated
from models.serving.rollout import rollouts
from models.serving.rollout.versions import versions
from pipeline.commands.shared import typed
from pipeline.core import environment
from pipeline.history import pipelines, runs
from pipeline.history.record import RunRecord
from pipeline.history.states import RUNNING
from pipeline.live import serving
from pipeline.reporting.formatting import moment
from pipeline.running.result import asked_with, home_option, next_lines

MAX_PIPELINES = 8  # that are listed, those that ran last
MAX_STEPS = 5  # that are proposed
_RUN_FILE = re.compile(r"^task:", re.MULTILINE)


@dataclass(frozen=True)
class _Pipeline:
    """A pipeline as the overview shows it.

    Attributes:
        run: Its last run.
        live: Its live version; None without one.
        server: The server of this home that serves it; None without one.
    """

    run: RunRecord
    live: int | None
    server: serving.Running | None


def lines(home: Path) -> list[str]:
    """Returns the pipelines of a home with their last run, and what to type next."""
    newest = {run.pipeline: run for run in reversed(runs.runs(home))}
    latest = sorted(newest.values(), key=lambda run: run.run, reverse=True)
    files = [path for path in _run_files() if path.stem not in newest]
    listed = [
        _Pipeline(run, _live(home, run.pipeline), serving.running(home, run.pipeline)) for run in latest[:MAX_PIPELINES]
    ]
    steps = {**_steps(home, listed), **_steps_of_files(home, files)}
    steps |= {} if steps else _first_steps(home)
    place = Path(home).resolve()
    width = max((len(one.run.pipeline) for one in listed), default=0)
    shown = [f"  {one.run.pipeline:<{width}}  {_line(one)}" for one in listed]
    if len(latest) > len(listed):
        shown.append(f"  and {len(latest) - len(listed):,} more: {environment.program()} runs{home_option(home)}")
    title = f"{place}: {len(latest):,} pipeline{'s' * (len(latest) != 1)}" if latest else f"Nothing has run in {place}."
    return [
        title,
        *shown,
        "",
        *next_lines(dict(list(steps.items())[:MAX_STEPS])),
        f"All commands: {environment.program()} --help",
    ]


def _line(pipeline: _Pipeline) -> str:
    """Returns when a pipeline ran last, its state, and its live version."""
    run = pipeline.run
    at = f" at {run.stages[-1].name}" if run.stages and run.state not in ("published", "unpublished") else ""
    reason = f": {typed(run.error.splitlines()[0])}" if run.error else ""
    served = f", served at {pipeline.server.rest}" if pipeline.server else ""
    version = f"; version {pipeline.live} is live{served}" if pipeline.live else ""
    return f"{moment(run.started)}  {run.state}{at}{isolated(reason)}{version}"


def _live(home: Path, pipeline: str) -> int | None:
    destination = home.resolve() / "serving" / pipeline
    if not destination.is_dir() or not versions(destination) or rollouts.why_not_live(destination):
        return None
    return rollouts.live_version(destination)


def _steps(home: Path, listed: list[_Pipeline]) -> dict[str, str]:
    """Returns what to type next about pipelines that have run: command -> what it is for."""
    place = home_option(home)
    steps: dict[str, str] = {}
    for pipeline in listed:
        steps |= dict(_step(home, pipeline, place))
    return steps


def _step(home: Path, pipeline: _Pipeline, place: str) -> Iterator[tuple[str, str]]:
    run, name, live = pipeline.run, pipeline.run.pipeline, pipeline.live
    if run.state == RUNNING:
        yield f"logs -f {name}{place}", "follow its run"
    elif run.state in ("stopped", "killed"):
        yield f"{_typed(run)}{place}", f"go on from {run.stages[-1].name if run.stages else 'its beginning'}"
    elif run.state != "published":
        yield f"report {name}{place} --open", "see on its page why it was not published"
    elif live and pipeline.server is None:
        what, about = asked_with(home.resolve() / "serving" / name / str(live))
        yield f"predict {name} {what}{place}", f"ask the model about {about}"
        yield f"serve {name}{place}", "serve it by gRPC and REST"
    else:
        yield f"report {name}{place} --open", "see its page"


def _typed(run: RunRecord) -> str:
    """Returns the command that started a run, with its settings, without the home."""
    if run.command[1:2] != ["run"] or len(run.command) < 3:
        return f"run {run.pipeline}"
    settings = [word for flag, value in itertools.pairwise(run.command) if flag == "--set" for word in (flag, value)]
    return shlex.join(["run", run.command[2], *settings])


def _run_files() -> list[Path]:
    """Returns the run files in the current folder."""
    found = []
    for ending in pipelines.ENDINGS:
        for path in sorted(Path().glob(f"*{ending}")):
            if path.is_file() and _RUN_FILE.search(path.read_text(encoding="utf-8", errors="replace")):
                found.append(path)
    return found


def _steps_of_files(home: Path, files: list[Path]) -> dict[str, str]:
    place = home_option(home)
    return {f"run {shlex.quote(f'./{path}')}{place}": "run it: it has not run yet" for path in files}


def _first_steps(home: Path) -> dict[str, str]:
    """Returns what to type in a home in which nothing has run."""
    place = home_option(home)
    return {
        f"run digits{place}": "from raw data to a published model, half a minute",
        f"new NAME --data FILE{place}": "a run file for your own data",
        "list": "pipelines, tasks and data sets to begin with",
    }
