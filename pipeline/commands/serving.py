"""Subcommands that serve published models, and that promote and roll back versions."""

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from data.texts import significant, to_json
from pipeline.commands.shared import PipelineName, echo_error, home_option, json_option, reports_errors, typed

if TYPE_CHECKING:
    from models.serving.deployment.process import ServerProcess
    from pipeline.live.canaries import Verdict
    from pipeline.live.serving import RunningServer

_why = click.option("--why", default="", metavar="TEXT", help="Written into the audit log.")


@click.command()
@click.argument("pipelines", nargs=-1, type=PipelineName())
@click.option(
    "--engine",
    type=click.Choice(["auto", "embedded", "binary", "docker"]),
    default="auto",
    show_default=True,
    help="auto: TF Serving's binary or container where there is one, else the embedded server.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0: all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8500, show_default=True, help="gRPC; 0: a free one.")
@click.option(
    "--rest-port", type=click.IntRange(0, 65535), default=8501, show_default=True, help="REST; 0: a free one."
)
@click.option(
    "--no-input-validation", is_flag=True, help="Take values that the training schema rules out (embedded server)."
)
@click.option("--no-input-guard", is_flag=True, hidden=True)  # the old name of --no-input-validation
@click.option("--access-log", metavar="FILE", help="A JSON line a request, - for the log (embedded server).")
@click.option("-f", "--flag", "flags", multiple=True, metavar="NAME=VALUE", help="Any flag of TF Serving.")
@click.option("--print-config", is_flag=True, help="Write config files, Compose and Kubernetes manifests instead.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Their folder; serving/deploy by default."
)
@home_option
@json_option
@reports_errors
def serve(pipelines: tuple[str, ...], engine: str, host: str, port: int, rest_port: int, no_input_validation: bool,
          no_input_guard: bool, access_log: str | None, flags: tuple[str, ...], print_config: bool, out: Path | None,
          home: Path, as_json: bool) -> None:  # fmt: skip
    """Serve published models by gRPC and REST, until Ctrl-C.

    Those of PIPELINES, or of all.

    A version that is published, promoted or rolled back goes live within seconds; no request is lost.

    \b
    Examples:
      headrace serve digits
      headrace serve digits credit --port 0 --rest-port 0
      headrace serve digits -f enable_batching=true --access-log access.jsonl
      headrace serve digits --print-config --out deploy/
    """
    from pipeline.live import serving

    if print_config:
        paths = serving.write_deployment(home, pipelines, out)
        click.echo(to_json([str(path) for path in paths]) if as_json else "\n".join(map(str, paths)))
        return
    server_flags = [f"--{flag.lstrip('-')}" for flag in flags]
    server_flags += ["--input_validation=false"] * (no_input_validation or no_input_guard) + [
        f"--access_log={access_log}"
    ] * bool(access_log)
    options = serving.ServerOptions(engine, host, port, rest_port, server_flags)
    if not as_json:
        click.echo("starting the server ...", err=True)
    sys.exit(
        serving.serve(
            home,
            pipelines,
            options,
            on_ready=lambda running, server: _announce(home, running, server, as_json=as_json),
            on_verdict=lambda verdict: _report(home, verdict),
        )
    )


def _announce(home: Path, running: "RunningServer", server: "ServerProcess", *, as_json: bool) -> None:
    """Prints the addresses of a server that has started, and the command to type next."""
    from pipeline.core.paths import PipelinePaths
    from pipeline.history.pipelines import last_run
    from pipeline.live import rollout
    from pipeline.live.example_request import example_request
    from pipeline.running.result import home_option as in_home
    from pipeline.running.result import predict_arguments

    if as_json:
        click.echo(to_json({**vars(running), "engine": server.engine, "log": str(server.log)}))
    else:
        for name in running.models:
            click.echo(f"{name}: {running.rest}/v1/models/{name}:predict")
        click.echo(f"gRPC: {running.grpc}, {server.engine} server. Log: {server.log}. Ctrl-C stops it.")
        if server.engine != "embedded":
            click.echo("TensorFlow Serving's own: no input validation, no samples of requests, no judging of canaries.")
        if server.engine == "binary":
            click.echo("It listens on all addresses of this machine.")
        first = running.models[0]
        newest = rollout.newest(home, first)
        arguments, noun = predict_arguments(newest, last_run(PipelinePaths.of(home, first)))
        command = f"headrace predict {first} {arguments}{in_home(home)}"
        click.echo(typed(f"Next:\n  {command}   predict {noun}"))
        click.echo(f"  {example_request(running.rest, first, newest)}")
    sys.stdout.flush()


def _report(home: Path, verdict: "Verdict") -> None:
    """Prints the outcome of a canary, and notifies the channels of the run that published it."""
    from pipeline.scheduling import notifying

    pipeline, version, outcome, reason = verdict.pipeline, verdict.version, verdict.outcome, verdict.reason

    def notify() -> None:
        for problem in notifying.notify_canary_outcome(home, pipeline, version, outcome, reason):
            click.echo(f"headrace: {problem}", err=True)

    click.echo(f"headrace: Canary {version} of {pipeline} was {outcome}: {reason}.", err=True)
    # In a thread of its own: a mail server may take a minute, and the server must be supervised meanwhile.
    threading.Thread(target=notify, daemon=True).start()


@click.command()
@click.argument("pipeline", type=PipelineName())
@click.argument("version")
@_why
@home_option
@json_option
@reports_errors
def promote(pipeline: str, version: str, why: str, home: Path, as_json: bool) -> None:
    """Make a version live.

    VERSION is a number, `canary`, or `latest` for the newest from now on.

    \b
    Examples:
      headrace promote digits 1795600000 --why "better on sevens"
      headrace promote digits latest
    """
    from pipeline.live import rollout

    _print_live(rollout.promote(home, pipeline, version, why), pipeline, as_json)


@click.command()
@click.argument("pipeline", type=PipelineName())
@_why
@home_option
@json_option
@reports_errors
def rollback(pipeline: str, why: str, home: Path, as_json: bool) -> None:
    """End a canary, or go back to the version before.

    \b
    Example:
      headrace rollback digits --why "complaints about nines"
    """
    from pipeline.live import rollout

    _print_live(rollout.roll_back(home, pipeline, why), pipeline, as_json)


@click.command()
@click.argument("pipeline", type=PipelineName())
@click.argument("version", type=int)
@click.option(
    "--percent",
    type=click.FloatRange(0, 100, min_open=True),
    default=10.0,
    show_default=True,
    help="Its share of the requests.",
)
@click.option(
    "--max-error-rate",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Share of its requests that may fail.",
)
@click.option(
    "--p95-ms", type=click.FloatRange(0, min_open=True), help="Latency that 95 % of its requests must not exceed."
)
@click.option(
    "--promote-after",
    metavar="DURATION",
    help="Make it live after so long, such as 2h, when it has kept to its budget (embedded server).",
)
@click.option(
    "--watch",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Send it its share of the warm-up requests for so long; exit code 5 if it was taken back.",
)
@click.option("--server", metavar="HOST:PORT", help="gRPC; by default the server that runs on this home.")
@_why
@home_option
@json_option
@reports_errors
def canary(pipeline: str, version: int, percent: float, max_error_rate: float, p95_ms: float | None,
           promote_after: str | None, watch: float | None, server: str | None, why: str, home: Path,
           as_json: bool) -> None:  # fmt: skip
    """Give a version a share of the requests.

    The rest goes to the version that is live.

    Our client sends it its share; so does the proxy of `headrace serve --print-config`, for REST. When its errors or
    its latency exceed the budget it gets no more requests: our client ensures that, and so does `headrace serve` with
    the embedded server, for all clients. Errors that the live version makes, too, do not count.

    \b
    Examples:
      headrace canary digits 1795600000 --percent 10
      headrace canary digits 1795600000 --percent 25 --p95-ms 20 --watch 60
      headrace canary digits 1795600000 --p95-ms 20 --promote-after 2h
    """
    from models.serving.rollout.rollouts import Canary
    from pipeline.live import rollout
    from pipeline.scheduling import times

    wait = times.seconds(promote_after) if promote_after else None
    rollout_state = rollout.start_canary(home, pipeline, Canary(version, percent, max_error_rate, p95_ms, wait), why)
    if watch is None:
        _print_live(rollout_state, pipeline, as_json)
        return
    watched = rollout.watch(home, pipeline, server, watch)
    if as_json:
        click.echo(to_json(vars(watched)))
    elif watched.reason:
        echo_error(f"Version {version} was taken back: {watched.reason}.")
    else:
        click.echo(f"version {version} answered {watched.canary} of {watched.requests} requests and stays")
    sys.exit(5 if watched.reason else 0)


@click.command()
@click.argument("pipeline", type=PipelineName())
@home_option
@json_option
@reports_errors
def versions(pipeline: str, home: Path, as_json: bool) -> None:
    """List the published versions, and which is live.

    With who published each, when, why, and its metrics.

    "served" marks versions that the server on this home has loaded. The outcome of a former canary is shown below it.

    \b
    Example:
      headrace versions digits
    """
    from pipeline.live import rollout
    from pipeline.running.result import home_option as in_home

    rows = rollout.list_versions(home, pipeline)
    if as_json:
        click.echo(to_json(rows, indent=1))
        return
    for row in rows:
        metrics = ", ".join(
            f"{name} {significant(row['metrics'][name], interval=row['intervals'].get(name))}"
            for name in row["shown"][:3]
        )
        labels = ", ".join([*row["labels"], *["served"] * (row["state"] == "AVAILABLE")])
        click.echo(f"{row['version']}  {row['published']}  {row['by'] or '?':<10} {metrics}  {labels}".rstrip())
        change = row["change"]
        if change:
            why = f": {change['why']}" if change["why"] else ""
            click.echo(f"            {change['what']} by {change['who']} at {change['time']}{why}")
        ended = row["canary"]
        if ended:
            why = f": {ended['why']}" if ended["why"] else ""
            click.echo(f"            canary {ended['outcome']} by {ended['who']} at {ended['time']}{why}")
    if reason := rollout.why_not_live(home, pipeline):
        click.echo(typed(reason), err=True)
    if not any(row["state"] for row in rows):
        command = f"headrace serve {pipeline}{in_home(home)}"
        click.echo(typed(f"No server of {pipeline} runs on this home; start one: {command}"), err=True)


def _print_live(rollout_state, pipeline: str, as_json: bool) -> None:
    """Prints which version is live, and the canary, after a change."""
    from dataclasses import asdict

    if as_json:
        click.echo(to_json(asdict(rollout_state)))
        return
    live = f"version {rollout_state.stable}" if rollout_state.stable is not None else "the newest version"
    canary = (
        f", canary {rollout_state.canary.version} with {rollout_state.canary.percent:g} %"
        if rollout_state.canary
        else ""
    )
    click.echo(f"{pipeline} serves {live}{canary}")
