"""Subcommands that monitor a model in use: drift, and quality by labels that came later."""

import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from data.files import atomic
from data.texts import significant, span, to_json
from pipeline.commands.shared import PipelineName, home_option, json_option, reports_errors, set_option
from pipeline.core.colors import BAD, colored

if TYPE_CHECKING:
    from pipeline.live.drift import Distance

DRIFTED = 3
_KINDS = {"served": "sampled requests", "spans": "newest span"}


@click.command()
@click.argument("pipeline", type=PipelineName())
@click.option(
    "--of",
    "source",
    type=click.Choice(["served", "spans", "all"]),
    default="all",
    show_default=True,
    help="Sampled requests, the newest span of the data, or both.",
)
@click.option(
    "--max-distance",
    type=click.FloatRange(0, 1),
    default=0.1,
    show_default=True,
    help="Distance above which a feature has drifted.",
)
@click.option("--since", type=float, default=0.0, help="Only samples after this time, in seconds since 1970.")
@set_option
@home_option
@json_option
@reports_errors
def drift(pipeline: str, source: str, max_distance: float, since: float, overrides: tuple[str, ...], home: Path,
          as_json: bool) -> None:  # fmt: skip
    """Measure drift of served and of new data.

    Compares the requests of PIPELINE, and the newest span of its data, with the training data by feature; ends with
    3 if one has drifted.

    The training data is that of the version that answered a request, and for spans that of the live version. Requests
    are sampled by `headrace serve` where the run file says `serving: {sample: {rate: 0.1}}`; those from before the live
    version was published do not count.

    \b
    Examples:
      headrace drift churn
      headrace drift ./churn.yaml --of served --max-distance 0.2 --json
    """
    from pipeline.core import config
    from pipeline.core.screen import redirected
    from pipeline.history import pipelines
    from pipeline.live import drift_sources

    kinds = ("served", "spans") if source == "all" else (source,)
    named = config.load(str(pipelines.run_file(pipeline, home)), overrides)
    drift_sources.check(named, home, kinds, since)
    with redirected(Path(os.devnull)):  # hides the messages of TensorFlow while it loads
        from pipeline.live import drift as drift_measurement

        by_kind = drift_measurement.measure(named, home, kinds=kinds, max_distance=max_distance, since=since)
    drifted = any(distance.drifted for distances in by_kind.values() for distance in distances)
    if as_json:
        click.echo(to_json({"drifted": drifted, **drift_measurement.as_json(by_kind)}, indent=1))
    else:
        click.echo("\n".join(_lines(by_kind)))
    sys.exit(DRIFTED if drifted else 0)


def _lines(by_kind: "dict[str, list[Distance]]") -> Iterator[str]:
    """Yields a heading for each kind of data, and a line for each feature with its distance."""
    for kind, distances in by_kind.items():
        references = ", ".join(sorted({distance.reference for distance in distances}))
        yield f"{_KINDS[kind]}, against {references}"
        for distance in distances:
            comparison = f"{distance.value:.3f} ({distance.measure}, at most {distance.limit:.3f})"
            yield f"  {distance.feature:<28}{comparison}{colored('  DRIFT', BAD) if distance.drifted else ''}"


@click.command()
@click.argument("pipeline", type=PipelineName())
@click.option("--labels", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Table: id,label[,row].")
@home_option
@json_option
@reports_errors
def quality(pipeline: str, labels: Path, home: Path, as_json: bool) -> None:
    """Measure quality by labels that came later.

    LABELS is a table with the columns `id`, `label`, and `row` where a request had several. The metrics are by day.

    The id is the request's: what the client sends as X-Request-Id (REST) or x-request-id (gRPC metadata).

    \b
    Example:
      headrace quality churn --labels labels.csv
    """
    from pipeline.core import config
    from pipeline.core.files import private_files
    from pipeline.core.paths import PipelinePaths
    from pipeline.history import pipelines
    from pipeline.live import samples

    named = config.load(str(pipelines.run_file(pipeline, home)))
    paths = PipelinePaths.of(home, named.name)
    true_labels = samples.read_labels(labels, named.dataset.spec, named.dataset.read_by(named.config.data))
    by_day = samples.quality(samples.read(paths.samples), true_labels, named.dataset.spec)
    with private_files():
        atomic.write(paths.quality, to_json([asdict(day) for day in by_day], indent=1))
    if as_json:
        click.echo(to_json([asdict(day) for day in by_day], indent=1))
        return
    for day in by_day:
        interval = day.low, day.high
        value = significant(day.value, interval=interval)
        click.echo(f"{day.day}  {day.rows:>8,} rows  {day.metric} {value}  95 % {span(interval)}")
