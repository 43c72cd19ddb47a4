"""Verbs that look at runs there were, and tidy up after them."""

import json
from pathlib import Path

import click

from data.errors import ConfigError
from pipeline.cli_shared import PipelineName, home_option, json_option, reports_errors


@click.command()
@click.argument("pipeline", required=False, type=PipelineName())
@click.option("-n", "count", default=20, show_default=True, help="How many, the newest.")
@home_option
@json_option
@reports_errors
def runs(pipeline: str | None, count: int, home: Path, as_json: bool) -> None:
    """Show the runs there were, the newest first; of one PIPELINE or of all.

    \b
    Examples:
      headrace runs
      headrace runs digits -n 3 --json
    """
    from pipeline import history

    found = history.runs(home, pipeline)[:count]
    if as_json:
        click.echo(json.dumps([_run_json(run) for run in found], indent=1))
        return
    for run in found:
        click.echo(run.line())


@click.command()
@click.argument("run")
@home_option
@json_option
@reports_errors
def show(run: str, home: Path, as_json: bool) -> None:
    """Show one RUN, or the newest of a pipeline: its stages, metrics and outputs.

    \b
    Examples:
      headrace show digits
      headrace show 20261123-105255-728 --json
    """
    from pipeline import history

    found = history.find(home, run)
    if as_json:
        click.echo(json.dumps(_run_json(found), indent=1))
        return
    click.echo(f"{found.pipeline} {found.run}, started {found.started}: {found.state}")
    for stage in found.stages:
        click.echo(f"  {stage.name:<15}{stage.state:<9}{stage.seconds:7.1f} s  {', '.join(stage.outputs.values())}")
    for name, value in found.metrics.items():
        click.echo(f"  {name:<32}{value:.4f}")
    if found.version:
        click.echo(f"  version {found.version}")


@click.command()
@click.argument("run")
@click.argument("stage", required=False)
@home_option
@reports_errors
def logs(run: str, stage: str | None, home: Path) -> None:
    """Print the log of a RUN, or the part of it that one STAGE wrote.

    \b
    Examples:
      headrace logs digits
      headrace logs 20261123-105255-728 train
    """
    from pipeline import history

    click.echo(history.log(home, history.find(home, run), stage), nl=False)


@click.command()
@click.argument("run")
@click.argument("stage", required=False)
@home_option
@json_option
@reports_errors
def why(run: str, stage: str | None, home: Path, as_json: bool) -> None:
    """Say why each stage of a RUN, or one STAGE, ran or was taken from the cache.

    \b
    Examples:
      headrace why digits
      headrace why 20261123-105255-728 train
    """
    from pipeline import history
    from pipeline import why as reasons

    found = reasons.explain(home, history.find(home, run), stage)
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for name, sentences in found.items():
        for sentence in sentences:
            click.echo(f"{name:<15}{sentence}")


@click.command()
@click.argument("pipeline", type=PipelineName())
@home_option
@reports_errors
def repair(pipeline: str, home: Path) -> None:
    """Mend the metadata database of PIPELINE: restore the last run's backup, move what it does not know aside.

    \b
    Example:
      headrace repair digits
    """
    from pipeline import config, database
    from pipeline.lock import hold
    from pipeline.places import Places

    places = Places.of(home, config.find(pipeline).stem)
    if not places.runs.is_dir():
        raise ConfigError(
            f"Pipeline {places.runs.name} has not run below {home.resolve()}; there is nothing to repair."
        )
    with hold(places.lock, places.runs.name):
        for line in database.repair(places):
            click.echo(line)


@click.command()
@click.argument("pipeline", type=PipelineName())
@click.option("--keep", type=click.IntRange(1), default=5, show_default=True, help="Newest runs whose files stay.")
@click.option("--dry-run", is_flag=True, help="Only print what would be removed.")
@home_option
@json_option
@reports_errors
def gc(pipeline: str, keep: int, dry_run: bool, home: Path, as_json: bool) -> None:
    """Remove artifacts, logs and versions that none of the newest runs of PIPELINE refers to.

    \b
    Examples:
      headrace gc digits --dry-run
      headrace gc digits --keep 3
    """
    from pipeline import cleaning, config

    found = cleaning.collect(home, config.find(pipeline).stem, keep, dry_run=dry_run)
    size = sum(removed.size for removed in found)
    if as_json:
        items = [{"path": str(removed.path), "bytes": removed.size} for removed in found]
        click.echo(json.dumps({"removed": not dry_run, "bytes": size, "items": items}, indent=1))
        return
    for removed in found:
        click.echo(f"{removed.size / 2**20:9.1f} MiB  {removed.path}")
    click.echo(f"{size / 2**20:9.1f} MiB  {'would be removed' if dry_run else 'removed'}: {len(found)} items")


def _run_json(run) -> dict:
    from dataclasses import asdict

    return {"state": run.state, **asdict(run)}
