"""Commands of schedules, the scheduler and notifications."""

import json
import time
from pathlib import Path

import click

from data.errors import ConfigError
from pipeline.commands.shared import PipelineName, home_option, json_option, reports_errors, set_option, typed


class ScheduleName(click.ParamType):
    """The name of a schedule, with shell completion."""

    name = "schedule"

    def shell_complete(self, ctx, param, incomplete):
        from click.shell_completion import CompletionItem

        from pipeline.scheduling.store import Store

        states = Store.of(Path(ctx.params.get("home") or ".")).states()
        names = [state.schedule.name for state in states]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.group()
def schedule() -> None:
    """Schedule runs by the clock, on new data, or on drift.

    \b
    headrace schedule add digits --cron "0 3 * * *" --tz Europe/Berlin
    headrace schedule list
    headrace scheduler                      the daemon that runs what is due
    """


@schedule.command()
@click.argument("pipeline", type=PipelineName())
@click.option("--cron", metavar="FIELDS", help="Minute, hour, day, month, weekday, such as '0 3 * * *'.")
@click.option("--tz", "zone", default="UTC", show_default=True, help="Time zone of --cron, such as Europe/Berlin.")
@click.option("--on-new-data", is_flag=True, help="Also run when the data differs from that of the last run.")
@click.option(
    "--on-drift",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="DISTANCE",
    help="Also run when requests, or the newest span, have drifted this far from the training data.",
)
@click.option("--jitter", default="0s", show_default=True, help="Delay each start by up to this much.")
@click.option(
    "--max-failures",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="Consecutive failures after which it pauses.",
)
@click.option(
    "--catch-up",
    type=click.Choice(["once", "skip", "all"]),
    default="once",
    show_default=True,
    help="Which missed runs to make up for.",
)
@click.option(
    "--canary",
    type=click.FloatRange(0, 100, min_open=True),
    metavar="PERCENT",
    help="Publish a version as a canary with this share of requests, until `headrace promote NAME canary`.",
)
@click.option(
    "--promote-after", metavar="DURATION", help="Promote that canary automatically after this time, such as 2h."
)
@click.option("--time-limit", default="1d", show_default=True, help="Stop a run that takes longer.")
@set_option
@home_option
@reports_errors
def add(pipeline: str, cron: str | None, zone: str, on_new_data: bool, on_drift: float | None, jitter: str,
        max_failures: int, catch_up: str, canary: float | None, promote_after: str | None, time_limit: str,
        overrides: tuple[str, ...], home: Path) -> None:  # fmt: skip
    """Add a schedule, or replace it.

    PIPELINE is a name or a run file.

    \b
    Examples:
      headrace schedule add digits --cron "0 3 * * *" --tz Europe/Berlin
      headrace schedule add ./churn.yaml --cron "*/30 8-18 * * mon-fri" --jitter 5m --catch-up skip
      headrace schedule add ./churn.yaml --on-new-data --time-limit 2h
      headrace schedule add ./churn.yaml --on-drift 0.2 --set data.checks.drift.policy=warn
    """
    from pipeline.core import config
    from pipeline.history import pipelines
    from pipeline.scheduling import planning, times
    from pipeline.scheduling.store import Schedule

    requested = Schedule(
        name=Path(pipeline).stem,
        target=pipeline if pipeline in config.names() else str(pipelines.run_file(pipeline, home)),
        overrides=overrides,
        cron=cron,
        zone=zone,
        on_new_data=on_new_data,
        on_drift=on_drift,
        jitter=times.seconds(jitter),
        max_failures=max_failures,
        catch_up=catch_up,
        time_limit=times.seconds(time_limit),
        canary=canary,
        promote_after=times.seconds(promote_after) if promote_after else None,
    )
    due = planning.add(home, requested, time.time())
    when = f"next {_moment(due, zone)}" if due else "on new data or drift"
    click.echo(typed(f"{requested.name}: {when}; `headrace scheduler` has to run"))


@schedule.command(name="list")
@home_option
@json_option
@reports_errors
def list_(home: Path, as_json: bool) -> None:
    """Show the schedules, each with its next and last run.

    \b
    Example:
      headrace schedule list --json
    """
    from pipeline.scheduling import listing

    rows = listing.rows(home, time.time())
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        zone = row["zone"]
        following = f"paused: {row['paused']}" if row["paused"] else "on new data or drift"
        if row["next"] and not row["paused"]:
            following = f"next {_moment(row['next'], zone)}"
        last = f"last {_moment(row['last'], zone)} {row['state']}" if row["last"] else "never ran"
        click.echo(f"{row['name']:<20}{row['cron'] or '':<16}{zone:<18}{following}; {last}")
    if not rows:
        click.echo(typed("no schedules; `headrace schedule add` makes one"))


@schedule.command()
@click.argument("name", type=ScheduleName())
@click.option("--why", default="by hand", show_default=True, help="Shown by `list`.")
@home_option
@reports_errors
def pause(name: str, why: str, home: Path) -> None:
    """Pause a schedule.

    None of its runs starts until `resume`.

    \b
    Example:
      headrace schedule pause digits --why "new labels on Monday"
    """
    from pipeline.scheduling.store import Store

    Store.of(home).pause(name, why)
    click.echo(f"{name}: paused ({why})")


@schedule.command()
@click.argument("name", type=ScheduleName())
@home_option
@reports_errors
def resume(name: str, home: Path) -> None:
    """Resume a paused schedule.

    Runs that were due during the pause are skipped.

    \b
    Example:
      headrace schedule resume digits
    """
    from pipeline.scheduling.store import Store

    Store.of(home).resume(name, time.time())
    click.echo(f"{name}: goes on")


@schedule.command()
@click.argument("name", type=ScheduleName())
@home_option
@reports_errors
def remove(name: str, home: Path) -> None:
    """Remove a schedule, and keep its history.

    A run in progress goes on.

    \b
    Example:
      headrace schedule remove digits
    """
    from pipeline.scheduling.store import Store

    Store.of(home).remove(name)
    click.echo(f"{name}: removed")


@schedule.command()
@click.argument("name", required=False, type=ScheduleName())
@click.option("-n", "count", default=20, show_default=True, help="Number of newest runs to show.")
@home_option
@json_option
@reports_errors
def history(name: str | None, count: int, home: Path, as_json: bool) -> None:
    """Show scheduled runs and their results, newest first.

    \b
    Examples:
      headrace schedule history
      headrace schedule history digits -n 5 --json
    """
    from dataclasses import asdict

    from pipeline.scheduling.store import Store

    store = Store.of(home)
    scheduled_runs = store.scheduled_runs(name, limit=count)
    if name and not scheduled_runs:  # a removed schedule may still have a history
        store.state(name)
    if as_json:
        click.echo(json.dumps([asdict(run) for run in scheduled_runs], indent=1))
        return
    for run in scheduled_runs:
        seconds = f"{run.ended - run.started:8.1f} s" if run.ended and run.started else f"{'':10}"
        columns = f"{_moment(run.due, 'UTC')}  {run.schedule:<16}{run.reason:<10}{run.state:<11}{seconds}"
        click.echo(f"{columns}  {run.run or '':<22}{run.message or ''}".rstrip())
    if not scheduled_runs:
        click.echo("nothing has run yet")


@schedule.command()
@click.argument("name", type=ScheduleName())
@home_option
@reports_errors
def run_now(name: str, home: Path) -> None:
    """Have the scheduler run a schedule now.

    A paused one has to be resumed first.

    \b
    Example:
      headrace schedule run-now digits
    """
    from pipeline.scheduling.store import Store

    store, now = Store.of(home), time.time()
    state = store.state(name)
    if state.paused is not None:
        raise ConfigError(f"Schedule {name} is paused ({state.paused}); `headrace schedule resume {name}` first.")
    store.enqueue(name, [(now, "by hand", now)])
    click.echo(f"{name}: the scheduler runs it next")


@schedule.command()
@click.argument("name", type=ScheduleName())
@click.option("--to", type=click.Choice(["systemd", "cron", "kubernetes", "airflow"]), required=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the files to this folder instead of the screen.",
)
@home_option
@reports_errors
def export(name: str, to: str, out: Path | None, home: Path) -> None:
    """Export a schedule to another scheduler.

    Writes a systemd unit, a crontab, a CronJob of Kubernetes or a DAG of Airflow.

    \b
    Examples:
      headrace schedule export digits --to systemd --out ~/.config/systemd/user
      (crontab -l; headrace schedule export digits --to cron) | crontab -
    """
    from pipeline.scheduling import exports
    from pipeline.scheduling.store import Store

    files = exports.export(Store.of(home).state(name).schedule, to, home.resolve())
    for file, text in files.items():
        if out:
            out.mkdir(parents=True, exist_ok=True)
            (out / file).write_text(text, encoding="utf-8")
            click.echo(str(out / file))
        else:
            click.echo(f"# {file}\n{text}" if len(files) > 1 else text, nl=len(files) > 1)


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8700, show_default=True, help="Port of /healthz and /metrics."
)
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Pipelines that run at a time.")
@click.option("--poll", default="60s", show_default=True, help="Time between two checks for new data and drift.")
@home_option
@reports_errors
def scheduler(port: int, workers: int, poll: str, home: Path) -> None:
    """Start the scheduler, until Ctrl-C.

    Runs in progress go on after it stops.

    Each pipeline runs in a process of its own, never twice at a time. Runs that were missed while the scheduler was
    down are handled by each schedule's --catch-up. Health and Prometheus metrics are on 127.0.0.1.

    \b
    Examples:
      headrace scheduler
      headrace scheduler --home /data/headrace --workers 2 --port 9100
    """
    from pipeline.core import logs
    from pipeline.scheduling import daemon, times

    logs.start("%(asctime)s %(levelname)s %(message)s")
    daemon.serve(
        daemon.Scheduler(home.resolve(), workers, poll_seconds=times.seconds(poll)),
        port,
        lambda line: click.echo(line),
    )


@click.command(name="notify-test")
@click.argument("pipeline", type=PipelineName())
@set_option
@home_option
@reports_errors
def notify_test(pipeline: str, overrides: tuple[str, ...], home: Path) -> None:
    """Send a test message to the channels of a run.

    They are listed under `notify` in the run file of PIPELINE.

    \b
    Example:
      headrace notify-test ./churn.yaml
    """
    from pipeline.core import config
    from pipeline.history import pipelines
    from pipeline.scheduling import notifying

    named = config.load(str(pipelines.run_file(pipeline, home)), overrides)
    if not named.config.notify:
        raise ConfigError(f"{pipeline} has no channel under notify.")
    message = {"text": f"A test of {named.name}'s notifications.", "event": "test", "pipeline": named.name}
    problems = []
    for channel in named.config.notify:
        failures = notifying.send([channel], message, home.resolve(), waits=())
        click.echo(failures[0] if failures else f"{channel.name()}: notified")
        problems += failures
    if problems:
        raise ConfigError(f"{len(problems)} of {len(named.config.notify)} could not be notified.")


def _moment(seconds: float, zone: str) -> str:
    from datetime import datetime
    from zoneinfo import ZoneInfo

    return datetime.fromtimestamp(seconds, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M %Z")
