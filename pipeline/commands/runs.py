"""Subcommands that show past runs, and clean up after them."""

import webbrowser
from datetime import datetime
from pathlib import Path

import click

from data.errors import ConfigError
from data.scripts import isolated
from data.texts import to_json
from pipeline.commands.shared import PipelineName, RunName, home_option, json_option, reports_errors
from pipeline.core.colors import colored_state
from pipeline.history.states import STATES

MAX_CLASS_METRICS = 90  # printed by `headrace show`: three for each of 30 classes
DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.argument("pipeline", required=False, type=PipelineName())
@click.option("--state", type=click.Choice(STATES), help="Only runs in this state.")
@click.option("--since", type=DAY, metavar="YYYY-MM-DD", help="Only runs that began on that day or later.")
@click.option("--until", type=DAY, metavar="YYYY-MM-DD", help="Only runs that began on that day or earlier.")
@click.option("-n", "count", default=20, show_default=True, help="Number of newest runs to show.")
@home_option
@json_option
@reports_errors
def runs(
    pipeline: str | None,
    state: str | None,
    since: datetime | None,
    until: datetime | None,
    count: int,
    home: Path,
    as_json: bool,
) -> None:
    """List the runs, the newest first.

    Of one PIPELINE, or of all.

    \b
    Examples:
      headrace runs
      headrace runs digits -n 3 --json
      headrace runs --state failed --since 2026-11-01
    """
    from pipeline.history import runs

    days = {"since": since.date() if since else None, "until": until.date() if until else None}
    records = runs.runs(home, pipeline, state=state, **days)[:count]
    if as_json:
        click.echo(to_json([run.as_json() for run in records], indent=1))
        return
    for run in records:
        click.echo(runs.line(run))


@click.command()
@click.argument("run", type=RunName())
@home_option
@json_option
@reports_errors
def show(run: str, home: Path, as_json: bool) -> None:
    """Show the stages, metrics and outputs of a run.

    RUN is its identifier, or a pipeline for its newest run.

    \b
    Examples:
      headrace show digits
      headrace show 20261123-105255-728 --json
    """
    from models.evaluation.names import is_of_class
    from pipeline.history import runs
    from pipeline.reporting.formatting import number, span

    record = runs.find(home, run)
    if as_json:
        click.echo(to_json(record.as_json(), indent=1))
        return
    click.echo(runs.line(record))
    for stage in record.stages:
        click.echo(f"  {stage.name:<15}{colored_state(stage.state, 9)}{stage.seconds:7.1f} s  {stage.detail}".rstrip())
        for folder in stage.outputs.values():
            click.echo(f"{'':<36}{folder}")
    class_metrics = [name for name in record.metrics if is_of_class(name) and name not in record.shown_metrics]
    for name in record.shown_metrics + (class_metrics if len(class_metrics) <= MAX_CLASS_METRICS else []):
        interval = record.intervals.get(name)
        click.echo(
            f"  {isolated(name):<32}{number(record.metrics[name], interval)}"
            + (f"  95 % {span(interval)}" if interval else "")
        )
    if record.num_test_rows is not None:
        click.echo(f"  {'test rows':<32}{number(record.num_test_rows)}")
    if len(class_metrics) > MAX_CLASS_METRICS:
        click.echo(f"  and {len(class_metrics):,} of single classes, in --json and on the page")
    for verdict in record.verdicts:
        click.echo(f"  {verdict['sentence']}")
    if record.version:
        click.echo(f"  version {record.version}")
    if record.error:
        click.echo(record.error)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=RunName())
@home_option
@json_option
@reports_errors
def compare(runs: tuple[str, ...], home: Path, as_json: bool) -> None:
    """Compare runs: settings, data, metrics, slices, cost.

    Shows how RUNS differ from the first, metrics with intervals. A single name of a pipeline stands for its last two
    runs.

    \b
    Examples:
      headrace compare digits
      headrace compare 20261123-105255-728 20261124-090011-004
      headrace compare digits 20261123-105255-728 --json
    """
    from pipeline.history import runs as history
    from pipeline.reporting import compare as comparing
    from pipeline.reporting import compare_text

    records = [history.find(home, run) for run in runs]
    if len(records) == 1:
        pipeline = records[0].pipeline
        records = history.runs(home, pipeline)[1::-1]
        if len(records) == 1:
            raise ConfigError(f"{pipeline} has one run; run it again, or name a run of another pipeline beside it.")
    compared = comparing.compare(home, records)
    if as_json:
        click.echo(to_json(compare_text.as_json(compared), indent=1))
        return
    for line in compare_text.lines(compared):
        click.echo(line)


@click.command()
@click.argument("run", type=RunName())
@click.argument("stage", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@home_option
@reports_errors
def logs(run: str, stage: str | None, follow: bool, home: Path) -> None:
    """Print the log of a run, or of one of its stages.

    \b
    Examples:
      headrace logs digits
      headrace logs -f digits
      headrace logs 20261123-105255-728 train
    """
    from pipeline.history import runs

    if follow and stage:
        raise ConfigError("--follow goes on to the end of the run; leave out --follow or the stage.")
    record = runs.find(home, run)
    for text in runs.follow(home, record) if follow else [runs.log(home, record, stage)]:
        click.echo(text, nl=False)


@click.command()
@click.argument("run", type=RunName())
@click.argument("stage", required=False)
@home_option
@json_option
@reports_errors
def why(run: str, stage: str | None, home: Path, as_json: bool) -> None:
    """Say why each stage ran, or was taken from the cache.

    Of all stages of RUN, or of one STAGE.

    \b
    Examples:
      headrace why digits
      headrace why 20261123-105255-728 train
    """
    from pipeline.history import runs
    from pipeline.history import why as reasons

    record = runs.find(home, run)
    explanation = reasons.explain(home, record.pipeline, record.run, stage)
    if as_json:
        click.echo(to_json(explanation, indent=1))
        return
    for name, sentences in explanation.items():
        for sentence in sentences:
            click.echo(f"{name:<15}{sentence}")


@click.command()
@click.argument("run", type=RunName())
@click.option("--open", "in_browser", is_flag=True, help="Open it in the browser.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a copy to this file.")
@click.option("--force", is_flag=True, help="Replace the page even if it shows outputs that were removed since.")
@home_option
@reports_errors
def report(run: str, in_browser: bool, out: Path | None, force: bool, home: Path) -> None:
    """Write the page of a run, and print its path.

    RUN is its identifier, or a pipeline for its newest run. Every run that ends writes it; use this for runs that were
    stopped, or to update a page. A page with outputs that were removed since, as by `headrace gc`, stays as it is.

    \b
    Examples:
      headrace report digits --open
      headrace report 20261123-105255-728 --out report.html
    """
    from pipeline.core.paths import PipelinePaths
    from pipeline.history import runs
    from pipeline.reporting import facts, page

    record = runs.find(home, run)
    paths = PipelinePaths.of(home, record.pipeline)
    page_facts = facts.gather(paths, record)
    missing = [] if force else page.lost(paths, record, page_facts)
    path = paths.reports / f"{record.run}.html"
    if out:
        text = path.read_text(encoding="utf-8") if missing else page.render(record, page_facts)
        out.write_text(text, encoding="utf-8")
        path = out
    elif not missing:
        path = page.write(paths, record, page_facts)
    click.echo(str(path))
    if missing:
        reason = f"{missing[0]}{f' (and {len(missing) - 1} more)' if len(missing) > 1 else ''}"
        click.echo(
            f"The page stays as it is, since it shows outputs that were removed: {reason}; --force replaces it.",
            err=True,
        )
    if in_browser and not webbrowser.open(path.resolve().as_uri()):
        raise ConfigError(f"There is no browser here; open {path} yourself.")


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8600, show_default=True, help="0 picks a free port.")
@click.option(
    "--board", metavar="URL", default="http://127.0.0.1:6006", show_default=True, help="TensorBoard to link to."
)
@click.option("--open", "in_browser", is_flag=True, help="Open it in the browser.")
@home_option
@reports_errors
def ui(port: int, board: str, in_browser: bool, home: Path) -> None:
    """Serve a site of all pipelines and runs, until Ctrl-C.

    It listens on 127.0.0.1 only.

    It is read-only. Runs in progress are updated; pages link to reports and to TensorBoard (`headrace board`).

    \b
    Examples:
      headrace ui --open
      headrace ui --port 0 --home /data/headrace
    """
    from pipeline.ui import server

    def announce(url: str) -> None:
        click.echo(url)
        if in_browser:
            webbrowser.open(url)

    server.serve(home, port, board, announce)


@click.command()
@click.argument("pipeline", type=PipelineName())
@home_option
@reports_errors
def repair(pipeline: str, home: Path) -> None:
    """Mend the metadata database of a pipeline.

    Restores the last run's backup, and renames artifacts that are not in it.

    \b
    Example:
      headrace repair digits
    """
    from pipeline.core.lock import hold
    from pipeline.core.paths import PipelinePaths
    from pipeline.history import database, pipelines

    paths = PipelinePaths.of(home, pipelines.name_of(pipeline, home))
    if not paths.runs.is_dir():
        raise ConfigError(f"Pipeline {paths.runs.name} has not run below {home.resolve()}; there is nothing to repair.")
    with hold(paths.lock, paths.runs.name):
        for line in database.repair(paths):
            click.echo(line)


@click.command()
@click.argument("pipeline", type=PipelineName())
@click.option("--keep", type=click.IntRange(1), default=5, show_default=True, help="Newest runs whose files stay.")
@click.option("--dry-run", is_flag=True, help="Only print what would be removed.")
@home_option
@json_option
@reports_errors
def gc(pipeline: str, keep: int, dry_run: bool, home: Path, as_json: bool) -> None:
    """Remove what the newest runs do not refer to.

    Removes artifacts, logs and versions of PIPELINE.

    Prints what stays and why; files of unknown origin stay.

    \b
    Examples:
      headrace gc digits --dry-run
      headrace gc digits --keep 3
    """
    from pipeline.history import cleaning, pipelines

    collection = cleaning.collect(home, pipelines.name_of(pipeline, home), keep, dry_run=dry_run)
    size = sum(removed.size for removed in collection.removed)
    if as_json:
        items = [{"path": str(removed.path), "bytes": removed.size} for removed in collection.removed]
        kept = [{"path": str(kept.path), "reason": kept.reason} for kept in collection.kept]
        click.echo(to_json({"removed": not dry_run, "bytes": size, "items": items, "kept": kept}, indent=1))
        return
    for removed in collection.removed:
        click.echo(f"{removed.size / 2**20:9.1f} MiB  {removed.path}")
    click.echo(
        f"{size / 2**20:9.1f} MiB  {'would be removed' if dry_run else 'removed'}: {len(collection.removed)} items"
    )
    for line in collection.lines():
        click.echo(line)
