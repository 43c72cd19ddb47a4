"""What `headrace` alone prints: the pipelines of a home, and the commands to type next. Loads no TensorFlow or TFX."""

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data.scripts import isolated, printable
from models.serving.rollout import rollouts
from models.serving.rollout.versions import versions
from pipeline.commands.shared import typed
from pipeline.core import environment
from pipeline.core.colors import colored_state
from pipeline.history import pipelines, runs
from pipeline.history.record import RunRecord
from pipeline.history.states import RUNNING
from pipeline.live import serving
from pipeline.reporting.formatting import moment
from pipeline.running.result import home_option, next_lines, predict_arguments

MAX_PIPELINES = 8  # listed; those that ran last
MAX_STEPS = 5  # commands proposed
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
    server: serving.RunningServer | None


def lines(home: Path) -> list[str]:
    """Returns a line for each of the last pipelines of a home, and the commands to type next."""
    last_run_of = {run.pipeline: run for run in reversed(runs.runs(home))}
    last_runs = sorted(last_run_of.values(), key=lambda run: run.run, reverse=True)
    new_files = [path for path in _run_files() if path.stem not in last_run_of]
    listed_pipelines = [
        _Pipeline(run, _live(home, run.pipeline), serving.find_server(home, run.pipeline))
        for run in last_runs[:MAX_PIPELINES]
    ]
    steps = {**_steps(home, listed_pipelines), **_steps_of_files(home, new_files)}
    steps |= {} if steps else _first_steps(home)
    home_path = Path(home).resolve()
    width = max((len(pipeline.run.pipeline) for pipeline in listed_pipelines), default=0)
    rows = [f"  {printable(f'{pipeline.run.pipeline:<{width}}')}  {_line(pipeline)}" for pipeline in listed_pipelines]
    if len(last_runs) > len(listed_pipelines):
        rows.append(
            f"  and {len(last_runs) - len(listed_pipelines):,} more: {environment.program()} runs{home_option(home)}"
        )
    title = (
        f"{home_path}: {len(last_runs):,} pipeline{'s' * (len(last_runs) != 1)}"
        if last_runs
        else f"Nothing has run in {home_path}."
    )
    return [
        printable(title),
        *rows,
        "",
        *(printable(typed(line)) for line in next_lines(dict(list(steps.items())[:MAX_STEPS]))),
        f"All commands: {environment.program()} --help",
    ]


def _line(pipeline: _Pipeline) -> str:
    """Returns start and state of a pipeline's last run, and its live version, in one line."""
    run = pipeline.run
    stage = f" at {run.stages[-1].name}" if run.stages and run.state not in ("published", "unpublished") else ""
    reason = f": {typed(run.error.splitlines()[0])}" if run.error else ""
    served = f", served at {pipeline.server.rest}" if pipeline.server else ""
    version = f"; version {pipeline.live} is live{served}" if pipeline.live else ""
    return f"{moment(run.started)}  {colored_state(run.state)}{printable(f'{stage}{isolated(reason)}{version}')}"


def _live(home: Path, pipeline: str) -> int | None:
    destination = home.resolve() / "serving" / pipeline
    if not destination.is_dir() or not versions(destination) or rollouts.why_not_live(destination):
        return None
    return rollouts.live_version(destination)


def _steps(home: Path, listed_pipelines: list[_Pipeline]) -> dict[str, str]:
    """Returns the next commands for pipelines that have run: command -> its purpose."""
    home_flag = home_option(home)
    steps: dict[str, str] = {}
    for pipeline in listed_pipelines:
        steps |= dict(_step(home, pipeline, home_flag))
    return steps


def _step(home: Path, pipeline: _Pipeline, home_flag: str) -> Iterator[tuple[str, str]]:
    run, name, live = pipeline.run, pipeline.run.pipeline, pipeline.live
    if run.state == RUNNING:
        yield f"logs -f {name}{home_flag}", "follow its run"
    elif run.state in ("stopped", "killed"):
        yield f"{_run_command(run)}{home_flag}", f"go on from {run.stages[-1].name if run.stages else 'its beginning'}"
    elif run.state != "published":
        yield f"report {name}{home_flag} --open", "see on its page why it was not published"
    elif live and pipeline.server is None:
        arguments, noun = predict_arguments(home.resolve() / "serving" / name / str(live), run)
        yield f"predict {name} {arguments}{home_flag}", f"predict {noun}"
        yield f"serve {name}{home_flag}", "serve it by gRPC and REST"
    else:
        yield f"report {name}{home_flag} --open", "see its page"


def _run_command(run: RunRecord) -> str:
    """Returns the command that started a run, with its --set options and without --home."""
    if run.command[1:2] != ["run"] or len(run.command) < 3:
        return f"run {run.pipeline}"
    settings = [word for flag, value in itertools.pairwise(run.command) if flag == "--set" for word in (flag, value)]
    return shlex.join(["run", run.command[2], *settings])


def _run_files() -> list[Path]:
    """Returns the run files in the current folder."""
    paths = []
    for ending in pipelines.ENDINGS:
        for path in sorted(Path().glob(f"*{ending}")):
            if path.is_file() and _RUN_FILE.search(path.read_text(encoding="utf-8", errors="replace")):
                paths.append(path)
    return paths


def _steps_of_files(home: Path, files: list[Path]) -> dict[str, str]:
    home_flag = home_option(home)
    return {f"run {shlex.quote(f'./{path}')}{home_flag}": "run it: it has not run yet" for path in files}


def _first_steps(home: Path) -> dict[str, str]:
    """Returns the first commands for a home in which nothing has run: command -> its purpose."""
    home_flag = home_option(home)
    return {
        f"run digits{home_flag}": "from raw data to a published model, half a minute",
        f"new NAME --data FILE{home_flag}": "a run file for your own data",
        "list": "pipelines, tasks and data sets to begin with",
    }
