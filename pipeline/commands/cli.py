"""The `headrace` command, a function for each subcommand. Importing it loads no TensorFlow, TFX, Beam or pydantic."""

import contextlib
import os
import sys
from pathlib import Path

import click

from data.errors import ConfigError
from data.scripts import printable, printable_lines
from data.texts import to_json
from pipeline.commands import monitoring, new_task, predicting, runs, schedule, serving
from pipeline.commands.shared import (
    PipelineName,
    SectionedGroup,
    command_with,
    echo_error,
    home_option,
    json_option,
    reports_errors,
    set_option,
    split_lines,
    typed,
)
from pipeline.core import environment


def main() -> None:
    """Runs the command and ends the process with its exit code."""
    cli.main(prog_name="headrace")


@click.group(
    cls=SectionedGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="headrace")
@click.pass_context
def cli(context: click.Context) -> None:
    """Raw data to a served Keras model, in one gated TFX pipeline.

    \b
    headrace run digits                     from raw data to a published model
    headrace predict digits FILE.png        ask the published model
    headrace board                          watch the curves in TensorBoard

    Without a command it shows the pipelines of the current home, and what to do next.
    """
    # Before each subcommand, and not before the help.
    environment.isolate_keras(os.environ)
    if context.invoked_subcommand is None:
        context.invoke(overview, home=Path(os.environ.get("HEADRACE_HOME") or "."), verbose=False)


@click.command(hidden=True)
@home_option
@reports_errors
def overview(home: Path) -> None:
    """Show the pipelines of a home, and what to do next."""
    from pipeline.commands import overview as home_overview

    for line in home_overview.lines(home):
        click.echo(line)


@cli.command()
@click.argument("pipeline", type=PipelineName())
@set_option
@click.option("--allow-unblessed", is_flag=True, help="Go on with a model below its thresholds; it is not published.")
@click.option("--take-over", is_flag=True, help="Use the name for this run file, though another one had it so far.")
@click.option("--wait", is_flag=True, help="Wait for a run of this pipeline to end, instead of exit code 6.")
@home_option
@json_option
@reports_errors
def run(
    pipeline: str,
    overrides: tuple[str, ...],
    allow_unblessed: bool,
    take_over: bool,
    wait: bool,
    home: Path,
    as_json: bool,
) -> None:
    """Run a pipeline, from raw data to a published model.

    PIPELINE is a name or a run file.

    \b
    Examples:
      headrace run digits
      headrace run fashion_mnist --set train.epochs=3 --set seed=1
      headrace run ./my_run.yaml --home /data/headrace --json

    Exit codes: 0 published, 1 internal error, 2 settings or usage, 3 data refused, 4 model not good enough,
    5 serving check failed, 6 the pipeline is already running, 130 and 143 interrupted: the next run goes on from there.
    """
    from pipeline.core import config
    from pipeline.core.colors import STATE_COLORS
    from pipeline.core.screen import Screen
    from pipeline.core.signals import Stopped
    from pipeline.history import pipelines
    from pipeline.running import runner
    from pipeline.running.result import as_json as result_as_json
    from pipeline.running.result import closing_block

    named = config.load(str(pipelines.run_file(pipeline, home)), overrides)
    screen = Screen(quiet=as_json)
    try:
        result = runner.execute(named, home, screen, wait=wait, allow_unblessed=allow_unblessed, take_over=take_over)
    except Stopped as stopped:
        echo_error(f"Stopped by {stopped} before the first stage or after the last.")
        sys.exit(128 + stopped.number)
    if as_json:
        click.echo(to_json(result_as_json(result), indent=1))
    else:
        screen.say("")
        first, *others = closing_block(result)
        screen.say(typed(first), STATE_COLORS[result.record.state])
        for line in others:
            screen.say(typed(line))
    sys.stdout.flush()
    # Ends the process at once: the idle threads of gRPC and TensorFlow take seconds to stop.
    os._exit(result.exit_code)


@cli.command()
@click.argument("name")
@click.option("--data", "path", required=True, type=click.Path(path_type=Path), help="File, or folder of classes.")
@click.option("--task", help="What to learn; inferred by default. `headrace list` shows the tasks.")
@click.option(
    "--label", metavar="COLUMN", help="The column to be predicted; by default one called label, target and the like."
)
@click.option(
    "--format", "format_", type=click.Choice(["csv", "jsonl", "parquet", "xlsx"]), help="By the ending by default."
)
@click.option("--delimiter", metavar="CHARACTER", help="Delimiter of a CSV file, tab for a tab.")
@click.option("--header/--no-header", default=None, help="Whether its first row holds the names of the columns.")
@click.option("--names", metavar="A,B,C", help="The names of its columns, where it has no header.")
@click.option("--sheet", help="The worksheet of an Excel workbook; by default the first.")
@click.option("--force", is_flag=True, help="Write over NAME.yaml.")
@home_option
@json_option
@reports_errors
def new(
    name: str,
    path: Path,
    task: str | None,
    label: str | None,
    format_: str | None,
    delimiter: str | None,
    header: bool | None,
    names: str | None,
    sheet: str | None,
    force: bool,
    home: Path,
    as_json: bool,
) -> None:
    """Write a run file for your own data.

    Reads all of it, infers the task and what each column holds, and writes NAME.yaml. Takes CSV, TSV, JSON, JSON Lines
    (also .gz), Parquet and Excel (.xlsx) files, a zip file that holds one of these, folders of Parquet files, and
    folders of images or texts, a folder a class. Where it is not clear what is to be predicted, or whether a table has
    a header, it asks, or stops without a terminal. Ends with what `headrace check --rows` says: exit code 3 where a run
    would refuse the data; the file is kept.

    \b
    Examples:
      headrace new churn --data customers.csv
      headrace new churn --data customers.csv --label "left us" --force
      headrace new iris --data iris.data --format csv --names length,width,species --label species
      headrace new pets --data photos/
    """
    from data.sources.tables import block_cache
    from pipeline.commands import new as drafts
    from pipeline.commands.drafting import layouts, output, prompts, verdict
    from pipeline.commands.drafting.progress import Progress

    target = drafts.target_path(name, force=force)
    on_terminal = prompts.is_terminal() and not as_json
    progress = Progress()
    choose = progress.pausing(prompts.label_chooser(lambda column: command_with(label=column), on_terminal=on_terminal))
    confirm = progress.pausing(prompts.confirm) if on_terminal else None
    options = layouts.table_options(format_, delimiter, header, names, confirm, command_with, sheet)
    with progress.shown(), block_cache.caching():
        progress.begin(f"reading {path}", at_once=path.is_dir())
        draft = drafts.draft(path, task, label, choose, options)
        progress.begin(f"reading {draft.rows:,} rows again, as a run does")
        check_result = verdict.write(draft, target, home)
    if as_json:
        click.echo(to_json(output.as_json(draft, target, check_result), indent=1))
    else:
        click.echo("\n".join(map(printable, output.lines(draft, target, check_result))))
    if check_result.error:
        echo_error(printable_lines(check_result.error))
    if not as_json:
        click.echo("\n".join(map(printable, output.next_lines(target, check_result, home))))
    sys.exit(check_result.exit_code)


@cli.command()
@click.argument("pipeline", type=PipelineName())
@click.option("--rows", is_flag=True, help="Read all of the data as well, as a run does.")
@set_option
@home_option
@json_option
@reports_errors
def check(pipeline: str, rows: bool, overrides: tuple[str, ...], home: Path, as_json: bool) -> None:
    """Check that a pipeline can run, without training.

    Checks the settings, the columns, disk space, memory and the destination of PIPELINE; writes nothing.

    \b
    Examples:
      headrace check ./my_run.yaml
      headrace check ./my_run.yaml --rows
      headrace check digits --rows --set data.checks.duplicates.max_rate=0 --json
    """
    from pipeline.commands.drafting.progress import Progress
    from pipeline.core import config
    from pipeline.core.paths import PipelinePaths
    from pipeline.history import pipelines
    from pipeline.running import preflight

    row_cache: contextlib.AbstractContextManager = contextlib.nullcontext()
    if rows:  # config.load reads them, too, if the run file has data.label; they are kept for the checks
        from data.sources.tables import block_cache

        row_cache = block_cache.caching()
    progress = Progress()
    with row_cache, progress.shown():
        progress.begin(f"reading {pipeline}")
        named = config.load(str(pipelines.run_file(pipeline, home)), overrides)
        paths = PipelinePaths.of(home, named.name)
        preflight.check(named, paths)
        data_summary = preflight.read_everything(named) if rows else {"splits": {}, "notes": []}
    data_summary["notes"] += preflight.renamed_inputs(named)
    if as_json:
        click.echo(to_json(data_summary, indent=1))
        return
    for note in (*split_lines(data_summary["splits"]), *preflight.notes(), *data_summary["notes"]):
        click.echo(printable(note))
    click.echo(f"ok: {named.name} can be run")


@cli.command()
@click.argument("pipeline", type=PipelineName())
@click.option("--shares", default="0.01,0.03,0.1,0.3,1", show_default=True, help="Shares of the training split.")
@set_option
@home_option
@json_option
@reports_errors
def compare_classical(pipeline: str, shares: str, overrides: tuple[str, ...], home: Path, as_json: bool) -> None:
    """Compare network and classical models on fewer rows.

    Trains both on 1, 3, 10, 30 and 100 % of the training rows of PIPELINE. Runs all stages for each share, in a home of
    its own; nothing is published. Writes a table and a plot.

    \b
    Examples:
      headrace compare-classical credit
      headrace compare-classical sentiment --shares 0.1,1 --json
    """
    from pipeline.commands import compare_classical
    from pipeline.core import config
    from pipeline.core.paths import PipelinePaths
    from pipeline.core.screen import Screen
    from pipeline.history import pipelines
    from pipeline.running import runner
    from pipeline.running.result import comparison

    try:
        fractions = [float(fraction) for fraction in shares.split(",")]
    except ValueError:
        fractions = [0.0]
    if not all(0 < fraction <= 1 for fraction in fractions):
        raise ConfigError(
            f"--shares {shares}: expected numbers above 0 and up to 1 with commas between, such as 0.1,1."
        )
    named = config.load(str(pipelines.run_file(pipeline, home)), overrides)
    screen = Screen(quiet=as_json)

    def run(variant, run_home: Path) -> dict | str:
        screen.say(f"{variant.config.data.train_share:.0%} of the training rows")
        return comparison(runner.execute(variant, run_home, screen))

    results = compare_classical.learning_curves(named, home, fractions, run)
    if as_json:
        click.echo(to_json(results, indent=1))
    else:
        folder = PipelinePaths.of(home, named.name).runs / compare_classical.COMPARISON
        for line in ["", *compare_classical.table(results), "", f"Written: {folder}/curves.png, table.md, curves.json"]:
            screen.say(typed(line))
    sys.stdout.flush()
    os._exit(0)


@cli.command()
@home_option
@click.option("--port", type=click.IntRange(0, 65535), default=6006, show_default=True, help="0 picks a free port.")
@reports_errors
def board(home: Path, port: int) -> None:
    """Start TensorBoard on all runs, until Ctrl-C.

    It listens on 127.0.0.1 only.

    \b
    Example:
      headrace board --port 0
    """
    from pipeline.commands import board as tensorboard

    tensorboard.serve(home, port)


@cli.command(name="list")
@json_option
@reports_errors
def list_(as_json: bool) -> None:
    """List pipelines, tasks and data sets.

    \b
    Example:
      headrace list --json
    """
    from pipeline.commands import listing

    entries = listing.everything()
    if as_json:
        click.echo(to_json(entries, indent=1))
        return
    for title, rows in entries.items():
        click.echo(title.replace("_", " "))
        for name, text in rows.items():
            click.echo(f"  {name:<25}{text}")


@cli.command()
@home_option
@json_option
@reports_errors
def doctor(home: Path, as_json: bool) -> None:
    """Check this machine, and say how to mend it.

    Checks Python, C library, packages, accelerator, disk, memory, home and TF Serving. Ends with 1 when something must
    be mended.
    """
    from pipeline.commands import doctor as machine_checks

    findings = machine_checks.examine(home)
    if as_json:
        click.echo(to_json([vars(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            click.echo(finding.line())
    sys.exit(any(finding.state == "fix" for finding in findings))


@cli.command()
def schema() -> None:
    """Print the JSON Schema of run files, for editors.

    \b
    Example, for VS Code and others with yaml-language-server:
      headrace schema > headrace.schema.json
      # first line of a run file:  # yaml-language-server: $schema=headrace.schema.json
    """
    from pipeline.core import config

    click.echo(to_json(config.json_schema(), indent=1))


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the tab completion script of a shell.

    \b
    Examples:
      headrace completion bash >> ~/.bashrc
      headrace completion fish > ~/.config/fish/completions/headrace.fish
    """
    from click.shell_completion import shell_complete

    shell_complete(cli, {}, "headrace", "_HEADRACE_COMPLETE", f"{shell}_source")


for _module in (predicting, runs, serving, monitoring, new_task):  # each click.Command in them is a subcommand
    for _command in vars(_module).values():
        if isinstance(_command, click.Command):
            cli.add_command(_command)
for _command in (schedule.schedule, schedule.scheduler, schedule.notify_test):
    cli.add_command(_command)
