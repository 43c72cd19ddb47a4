"""Shared by all subcommands of `headrace`: options, help sections, shell completion, errors in one line."""

import contextlib
import errno
import functools
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from data.errors import ConfigError, HeadraceError
from data.scripts import isolated, printable, printable_lines
from data.secrets import hide
from pipeline.core import environment
from pipeline.core.colors import BAD, colored

CONFIGS = Path(__file__).parents[1] / "configs"
# Section of `headrace --help` -> its subcommands, in order.
SECTIONS = {
    "Run": ("run", "new", "check", "list", "compare-classical", "schema", "new-task"),
    "Look": ("runs", "show", "report", "compare", "why", "logs", "board", "ui"),
    "Serve": ("predict", "serve", "versions", "promote", "canary", "rollback"),
    "Data": ("drift", "quality"),
    "Schedule": ("schedule", "scheduler", "notify-test"),
    "Machine": ("doctor", "gc", "repair", "completion"),
}


class SectionedGroup(click.Group):
    """A group of commands whose help lists them by section, each with the first sentence of its description."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parses the options before the command; says of a command's option that it follows the command."""
        command = next((word for word in args if word in self.commands), "COMMAND")
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            option = error.option_name
            if any(option in parameter.opts for one in self.commands.values() for parameter in one.params):
                place = f"{ctx.command_path} {command} {option}"
                raise click.UsageError(f"Option '{option}' follows the command: {place}", ctx) from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the sections; headings are bold on a terminal."""
        width = max(map(len, self.commands))
        for heading, names in SECTIONS.items():
            with formatter.section(colored(heading, bold=True)):
                limit = formatter.width - width - 6  # indents and the gap between the columns
                rows = [(name.ljust(width), self.commands[name].get_short_help_str(limit)) for name in names]
                formatter.write_dl(rows)


class PipelineName(click.ParamType):
    """The name of a pipeline or the path of a run file, with shell completion."""

    name = "pipeline"

    def shell_complete(self, ctx, param, incomplete):
        home = Path(ctx.params.get("home") or os.environ.get("HEADRACE_HOME", "."))
        run_files = [path.stem for folder in (CONFIGS, Path()) for path in folder.glob("*.yaml")]
        names = {*run_files, *(path.name for path in (home / "runs").glob("*") if path.is_dir())}
        matches = sorted(name for name in names if name.startswith(incomplete))
        return [*map(CompletionItem, matches), CompletionItem(incomplete, type="file")]


class RunName(click.ParamType):
    """The identifier of a run, or the name of a pipeline for its newest run, with shell completion."""

    name = "run"

    def shell_complete(self, ctx, param, incomplete):
        home = Path(ctx.params.get("home") or os.environ.get("HEADRACE_HOME", "."))
        pipelines = [path.name for path in sorted((home / "runs").glob("*")) if path.is_dir()]
        logs = sorted((home / "runs").glob("*/logs/*.log"), reverse=True)
        names = [*pipelines, *(path.stem for path in logs)]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@contextlib.contextmanager
def _explained_write_errors() -> Iterator[None]:
    """Raises ConfigError if a write in this block fails for lack of permission, or on a read-only file system."""
    try:
        yield
    except PermissionError as error:
        raise ConfigError(
            f"{error.filename or 'A file'} cannot be read or written ({error.strerror}); give this user the right with "
            "chmod or chown, or choose another home with --home or HEADRACE_HOME."
        ) from error
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        folder = Path(error.filename).parent if error.filename else "A folder"
        raise ConfigError(
            f"{folder} cannot be written to ({error.strerror}); mount it for writing, or copy the home and choose the "
            "copy with --home."
        ) from error


def reports_errors(function):
    """Returns a command that prints an error in one line on standard error and ends with the error's exit code.

    Adds the option `--verbose`, with which the command raises the error. With `as_json` the error is printed as JSON on
    standard output, too.
    """

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        verbose = kwargs.pop("verbose")
        try:
            with _explained_write_errors():
                return function(*args, **kwargs)
        except HeadraceError as error:
            if verbose:
                raise
            text = hide(typed(str(error)))
            if kwargs.get("as_json"):
                click.echo(json.dumps({"error": text, "exit_code": error.exit_code}))
            echo_error(printable_lines(text))
            sys.exit(error.exit_code)
        except BrokenPipeError:
            # The reader, such as `head`, has ended; without this, closing standard output would fail, too.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        except Exception as error:  # an internal error is printed in one line, too; -v shows the traceback
            if verbose:
                raise
            text = (hide(str(error)).splitlines() or [""])[0][:300]
            echo_error(f"{type(error).__name__}: {printable(text)} (an internal error; -v shows the traceback)")
            sys.exit(1)

    return click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an error.")(wrapper)


def echo_error(text: str) -> None:
    """Prints an error on standard error, after the name of the program."""
    click.echo(f"{colored('headrace:', BAD, stream=sys.stderr)} {text}", err=True)


def typed(text: str) -> str:
    """Returns a text whose commands, such as `headrace run digits`, name the program as it was typed now."""
    context = click.get_current_context(silent=True)
    subcommands = getattr(context.find_root().command, "commands", {}) if context else {}
    return environment.typed(text, subcommands) if subcommands else text


def command_with(**changes: Any) -> str:
    """Returns the current command line, quoted for a shell, with some parameters changed.

    Args:
        changes: Name of a parameter of the command -> its new value.
    """
    context, arguments = click.get_current_context(), []
    for parameter in context.command.params:
        name = str(parameter.name)
        if name not in changes and context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        value = changes.get(name, context.params.get(name))
        option = max(parameter.opts, key=len)
        for item in value if isinstance(value, tuple) else [value]:
            if isinstance(parameter, click.Argument):
                arguments.append(str(item))
            elif isinstance(item, bool):
                arguments += [option] if item else parameter.secondary_opts[:1]
            else:
                arguments += [f"{option}={item}"] if str(item).startswith("-") else [option, str(item)]
    subcommand = context.command_path.partition(" ")[2]
    return f"{environment.program()} {subcommand} {shlex.join(arguments)}"


def split_lines(splits: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns a line for each split with its numbers of rows and of each class.

    Args:
        splits: Split -> `rows` and `classes`, as `preflight.read_everything` returns them.
    """
    lines = []
    for split, facts in splits.items():
        shares = ", ".join(f"{isolated(name)} {count:,}" for name, count in facts["classes"].items())
        lines.append(f"{split:<12}{facts['rows']:>9,} rows" + (f"  ({shares})" if shares else ""))
    return lines


home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="HEADRACE_HOME",
    default=".",
    show_default="current folder",
    show_envvar=True,
    help="Folder of runs/ and serving/.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
set_option = click.option(
    "--set", "overrides", metavar="KEY=VALUE", multiple=True, help="Override a setting, as a.b=3."
)
