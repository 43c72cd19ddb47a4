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
LOG_CHARACTERS = 2**20  # of a long log the end is shown
MAX_COMPARED = 8


@dataclass(frozen=True)
class Filter:
    """Which runs a list shows; None does not filter.

    Attributes:
        pipeline: Runs of this pipeline.
        state: Runs in this state.
        since: Runs that began on this day or later.
        until: Runs that began on this day or before.
    """

    pipeline: str | None = None
    state: str | None = None
    since: date | None = None
    until: date | None = None


class Site:
    """Renders the pages from the files of a home folder, anew for each request.

    Args:
        home: Folder of `runs/` and `serving/`.
        board: URL of TensorBoard, for links.
    """

    def __init__(self, home: Path, board: str):
        self._home, self._board = home, board
        self._plot_lock = threading.Lock()  # matplotlib's settings are global to the process

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
        with self._plot_lock:
            chart = plots.over_runs(metric, points) if metric else None
        return self._render(
            "pipeline.html.j2", title=name, name=name, runs=runs[:RUNS_A_PAGE], count=len(runs), chart=chart
        )

    def runs(self, filter_: Filter, number: int) -> str:
        """Returns one page of the list of runs, the newest first."""
        records = self._filtered(filter_)
        pages = max(-(-len(records) // RUNS_A_PAGE), 1)
        number = min(number, pages)
        shown = records[(number - 1) * RUNS_A_PAGE : number * RUNS_A_PAGE]
        filters = {name: str(value) for name, value in dataclasses.asdict(filter_).items() if value}
        folders = sorted((self._home / "runs").glob("*")) if (self._home / "runs").is_dir() else []
        return self._render(
            "runs.html.j2",
            title="Runs",
            runs=shown,
            count=len(records),
            number=number,
            pages=pages,
            filters=filters,
            query=urlencode(filters),
            names=[path.name for path in folders if path.is_dir()],
            states=STATES,
        )

    def run(self, pipeline: str, identifier: str) -> str:
        """Returns a run's page: its stages, updated while it runs, and links to its report, log and lineage."""
        runs = self._runs_of(pipeline)
        run = _named(runs, pipeline, identifier)
        previous = next((earlier for earlier in runs if earlier.run < run.run and earlier.state == "published"), None)
        lineage = executions.lineage(PipelinePaths.of(self._home, pipeline), identifier)
        return self._render(
            "run.html.j2",
            title=f"{pipeline} {identifier}",
            run=run,
            live=run.state == RUNNING,
            picture=picture(lineage, run),
            before=previous,
            board=board_link(self._board, run),
        )

    def report(self, pipeline: str, identifier: str) -> str:
        """Returns a run's report as it was written; rendered anew where it is missing, damaged or not written yet."""
        run, paths = self._run(pipeline, identifier), PipelinePaths.of(self._home, pipeline)
        try:
            text = (paths.reports / f"{run.run}.html").read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            text = ""
        if text.rstrip().endswith("</html>") and run.state != RUNNING:
            return text
        with self._plot_lock:
            return page.render(run, facts.gather(paths, run))

    def compare(self, identifiers: Sequence[str]) -> str:
        """Returns the comparison of runs, each as `pipeline/run` or `run`."""
        if not 2 <= len(identifiers) <= MAX_COMPARED:
            raise ConfigError(f"From 2 to {MAX_COMPARED} runs can be compared, {len(identifiers)} were chosen.")
        # The oldest first: later runs are compared with it.
        chosen = sorted(
            (runs.find(self._home, identifier.rsplit("/", 1)[-1]) for identifier in identifiers),
            key=lambda run: run.run,
        )
        with self._plot_lock:
            comparison = comparing.compare(self._home, chosen)
            charts = []
            for name, row in comparison.metrics.items():
                if any(difference.low is not None for difference in row[1:]):
                    points = zip(chosen[1:], row[1:], strict=True)
                    charts.append(plots.deltas(name, [[run.run, value.measured_difference] for run, value in points]))
            losses = {
                run: history["val_loss"] for run, history in comparison.histories.items() if history.get("val_loss")
            }
            charts.append(plots.histories("val_loss", losses))
        return self._render(
            "compare.html.j2",
            title="Comparison",
            comparison=comparison,
            charts=[chart for chart in charts if chart],
        )

    def log(self, pipeline: str, identifier: str) -> str:
        """Returns the end of a run's log."""
        return runs.log(self._home, self._run(pipeline, identifier))[-LOG_CHARACTERS:]

    def runs_json(self, filter_: Filter) -> list[dict[str, Any]]:
        """Returns the runs as JSON values."""
        return [run.as_json() for run in self._filtered(filter_)]

    def run_json(self, pipeline: str, identifier: str) -> dict[str, Any]:
        """Returns what changes of a run while it runs, as JSON values: state, seconds, stages."""
        run = self._run(pipeline, identifier)
        stages = [{name: getattr(stage, name) for name in ("name", "state", "detail")} for stage in run.stages]
        for stage, values in zip(run.stages, stages, strict=True):
            values["seconds"] = f"{stage.seconds:.1f}"
        return {"state": run.state, "seconds": formatting.duration(run.seconds), "stages": stages}

    def error(self, sentence: str) -> str:
        """Returns the page of an error."""
        return self._render("error.html.j2", title="Not found", sentence=sentence)

    def _filtered(self, filter_: Filter) -> list[RunRecord]:
        return runs.runs(
            self._home, _name(filter_.pipeline), state=filter_.state, since=filter_.since, until=filter_.until
        )

    def _runs_of(self, name: str) -> list[RunRecord]:
        records = runs.runs(self._home, _name(name))
        if not records:
            raise ConfigError(f"Pipeline {name} has not run below {self._home}.")
        return records

    def _run(self, pipeline: str, identifier: str) -> RunRecord:
        return _named(self._runs_of(pipeline), pipeline, identifier)

    def _render(self, template: str, **values: Any) -> str:
        return page.environment().get_template(template).render(home=str(self._home), tensorboard=self._board, **values)


def _name(pipeline: str | None) -> str | None:
    """Returns the name of a pipeline; raises ConfigError for a name that would lead out of the home folder."""
    if pipeline and (pipeline != Path(pipeline).name or pipeline in (".", "..")):
        raise ConfigError(f"{pipeline} is no name of a pipeline.")
    return pipeline


def _named(runs: Sequence[RunRecord], pipeline: str, identifier: str) -> RunRecord:
    """Returns the run with this identifier; raises ConfigError where there is none."""
    for run in runs:
        if run.run == identifier:
            return run
    raise ConfigError(f"Pipeline {pipeline} has no run {identifier}.")


def usual_metric(runs: Sequence[RunRecord]) -> str | None:
    """Returns the metric of a pipeline's chart: the first shown metric of the newest run that has any."""
    for run in runs:
        if run.shown_metrics:
            return run.shown_metrics[0]
    return None


def board_link(board: str, run: RunRecord) -> str:
    """Returns TensorBoard's URL with the run's curves selected, and those of the run whose training it reused."""
    names = {run.run, run.training or run.run}
    return f"{board}/?runFilter={quote('|'.join(sorted(names)))}#timeseries"
