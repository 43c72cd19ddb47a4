"""The pages of the site, as text."""

import dataclasses
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from data.errors import ConfigError
from pipeline.core.paths import PipelinePaths
from pipeline.history import executions, runs
from pipeline.history.record import RunRecord
from pipeline.history.states import RUNNING, STATES
from pipeline.reporting import compare as comparing
from pipeline.reporting import facts, formatting, page, plots
from pipeline.reporting.formatting import Measured
from pipeline.reporting.lineage import picture

RUNS_A_PAGE = 50
RUNS_IN_CHART = 100
LOG_BYTES = 2**20  # of a long log its end is shown
MAX_COMPARED = 8


@dataclass(frozen=True)
class Filter:
    """Which runs are asked for; None asks for all.

    Attributes:
        pipeline: Of this pipeline.
        state: In this state.
        since: Begun on that day or later.
        until: Begun on that day or before.
    """

    pipeline: str | None = None
    state: str | None = None
    since: date | None = None
    until: date | None = None


class Site:
    """Makes the pages from what lies below a home folder, anew each time."""

    def __init__(self, home: Path, board: str):
        self._home, self._board = home, board
        self._drawing = threading.Lock()  # matplotlib's settings belong to the whole process

    def pipelines(self) -> str:
        """Returns the first page: every pipeline with its last run."""
        by_name: dict[str, list[RunRecord]] = {}
        for run in runs.runs(self._home):
            by_name.setdefault(run.pipeline, []).append(run)
        rows = [
            {"name": name, "last": runs[0], "count": len(runs), "usual": usual_metric(runs)}
            for name, runs in sorted(by_name.items())
        ]
        return self._render("pipelines.html.j2", title="Pipelines", rows=rows)

    def pipeline(self, name: str) -> str:
        """Returns a pipeline's page: its usual metric run by run, and the runs."""
        runs = self._runs_of(name)
        metric = usual_metric(runs)
        points: list[list[Any]] = []
        for run in reversed(runs[:RUNS_IN_CHART]):
            if metric and metric in run.metrics:
                points.append([run.run, Measured.of(metric, run.metrics, run.intervals)])
        with self._drawing:
            chart = plots.over_runs(metric, points) if metric else None
        return self._render(
            "pipeline.html.j2", title=name, name=name, runs=runs[:RUNS_A_PAGE], count=len(runs), chart=chart
        )

    def runs(self, asked: Filter, number: int) -> str:
        """Returns one page of the list of runs, the newest first."""
        found = self._found(asked)
        pages = max(-(-len(found) // RUNS_A_PAGE), 1)
        number = min(number, pages)
        shown = found[(number - 1) * RUNS_A_PAGE : number * RUNS_A_PAGE]
        asked_for = {name: str(value) for name, value in dataclasses.asdict(asked).items() if value}
        folders = sorted((self._home / "runs").glob("*")) if (self._home / "runs").is_dir() else []
        return self._render(
            "runs.html.j2",
            title="Runs",
            runs=shown,
            count=len(found),
            number=number,
            pages=pages,
            asked=asked_for,
            query=urlencode(asked_for),
            names=[path.name for path in folders if path.is_dir()],
            states=STATES,
        )

    def run(self, pipeline: str, identifier: str) -> str:
        """Returns a run's page: its stages, which move while it runs, and the way to everything else."""
        runs = self._runs_of(pipeline)
        run = _named(runs, pipeline, identifier)
        before = next((one for one in runs if one.run < run.run and one.state == "published"), None)
        lineage = executions.lineage(PipelinePaths.of(self._home, pipeline), identifier)
        return self._render(
            "run.html.j2",
            title=f"{pipeline} {identifier}",
            run=run,
            live=run.state == RUNNING,
            picture=picture(lineage, run),
            before=before,
            board=board_link(self._board, run),
        )

    def report(self, pipeline: str, identifier: str) -> str:
        """Returns a run's report as it was written; made anew where it is gone, damaged or not written yet."""
        run, paths = self._run(pipeline, identifier), PipelinePaths.of(self._home, pipeline)
        try:
            text = (paths.reports / f"{run.run}.html").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            text = ""
        if text.rstrip().endswith("</html>") and run.state != RUNNING:
            return text
        with self._drawing:
            return page.render(run, facts.gather(paths, run))

    def compare(self, identifiers: Sequence[str]) -> str:
        """Returns the comparison of runs, each as `pipeline/run` or `run`."""
        if not 2 <= len(identifiers) <= MAX_COMPARED:
            raise ConfigError(f"From 2 to {MAX_COMPARED} runs can be compared, {len(identifiers)} were chosen.")
        # The oldest first: what came later is held against what was before.
        chosen = sorted((runs.find(self._home, one.rsplit("/", 1)[-1]) for one in identifiers), key=lambda run: run.run)
        with self._drawing:
            found = comparing.compare(self._home, chosen)
            charts = []
            for name, row in found.metrics.items():
                if any(delta.low is not None for delta in row[1:]):
                    points = zip(chosen[1:], row[1:], strict=True)
                    charts.append(plots.deltas(name, [[run.run, d.measured_difference] for run, d in points]))
            losses = {run: history["val_loss"] for run, history in found.histories.items() if history.get("val_loss")}
            charts.append(plots.histories("val_loss", losses))
        return self._render(
            "compare.html.j2",
            title="Comparison",
            found=found,
            charts=[chart for chart in charts if chart],
        )

    def log(self, pipeline: str, identifier: str) -> str:
        """Returns the end of a run's log."""
        return runs.log(self._home, self._run(pipeline, identifier))[-LOG_BYTES:]

    def runs_json(self, asked: Filter) -> list[dict[str, Any]]:
        """Returns the runs as JSON values."""
        return [run.as_json() for run in self._found(asked)]

    def run_json(self, pipeline: str, identifier: str) -> dict[str, Any]:
        """Returns what moves of a run while it runs, as JSON values."""
        run = self._run(pipeline, identifier)
        stages = [{name: getattr(stage, name) for name in ("name", "state", "detail")} for stage in run.stages]
        for stage, told in zip(run.stages, stages, strict=True):
            told["seconds"] = f"{stage.seconds:.1f}"
        return {"state": run.state, "seconds": formatting.duration(run.seconds), "stages": stages}

    def error(self, sentence: str) -> str:
        """Returns the page that says what was asked wrongly."""
        return self._render("error.html.j2", title="Not found", sentence=sentence)

    def _found(self, asked: Filter) -> list[RunRecord]:
        return runs.runs(self._home, _name(asked.pipeline), state=asked.state, since=asked.since, until=asked.until)

    def _runs_of(self, name: str) -> list[RunRecord]:
        found = runs.runs(self._home, _name(name))
        if not found:
            raise ConfigError(f"Pipeline {name} has not run below {self._home}.")
        return found

    def _run(self, pipeline: str, identifier: str) -> RunRecord:
        return _named(self._runs_of(pipeline), pipeline, identifier)

    def _render(self, template: str, **values: Any) -> str:
        return page.environment().get_template(template).render(home=str(self._home), tensorboard=self._board, **values)


def _name(pipeline: str | None) -> str | None:
    """Returns the name of a pipeline that cannot lead out of the home folder."""
    if pipeline and (pipeline != Path(pipeline).name or pipeline in (".", "..")):
        raise ConfigError(f"{pipeline} is no name of a pipeline.")
    return pipeline


def _named(runs: Sequence[RunRecord], pipeline: str, identifier: str) -> RunRecord:
    for run in runs:
        if run.run == identifier:
            return run
    raise ConfigError(f"Pipeline {pipeline} has no run {identifier}.")


def usual_metric(runs: Sequence[RunRecord]) -> str | None:
    """Returns the metric of a pipeline's chart: the first that is shown of the newest run that has one."""
    for run in runs:
        if run.shown_metrics:
            return run.shown_metrics[0]
    return None


def board_link(board: str, run: RunRecord) -> str:
    """Returns TensorBoard's address with the run's curves chosen; those of a cached training are another run's."""
    names = {run.run, run.training or run.run}
    return f"{board}/?runFilter={quote('|'.join(sorted(names)))}#timeseries"
