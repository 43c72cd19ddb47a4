"""What all verbs of the `headrace` command share: options, completion, errors in one line."""

import contextlib
import errno
import functools
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from data.errors import ConfigError, HeadraceError
from data.secrets import hide

CONFIGS = Path(__file__).parents[1] / "configs"


class PipelineName(click.ParamType):
    """The name of a pipeline or the path of a run file; completes both."""

    name = "pipeline"

    def shell_complete(self, ctx, param, incomplete):
        home = Path(ctx.params.get("home") or os.environ.get("HEADRACE_HOME", "."))
        here = [path.stem for folder in (CONFIGS, Path()) for path in folder.glob("*.yaml")]
        known = {*here, *(path.name for path in (home / "runs").glob("*") if path.is_dir())}
        found = sorted(name for name in known if name.startswith(incomplete))
        return [*map(CompletionItem, found), CompletionItem(incomplete, type="file")]


class RunName(click.ParamType):
    """The identifier of a run, or the name of a pipeline for its newest; completes both."""

    name = "run"

    def shell_complete(self, ctx, param, incomplete):
        home = Path(ctx.params.get("home") or os.environ.get("HEADRACE_HOME", "."))
        pipelines = [path.name for path in sorted((home / "runs").glob("*")) if path.is_dir()]
        logs = sorted((home / "runs").glob("*/logs/*.log"), reverse=True)
        names = [*pipelines, *(path.stem for path in logs)]
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@contextlib.contextmanager
def _written_to() -> Iterator[None]:
    """Raises ConfigError where this block writes to a file system that is mounted read-only, as a backup may be."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        folder = Path(error.filename).parent if error.filename else "A folder"
        raise ConfigError(
            f"{folder} cannot be written to ({error.strerror}); mount it for writing, or copy the home and choose the "
            "copy with --home."
        ) from error


def reports_errors(function):
    """Turns an error into one line on standard error and the exit code that belongs to it."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        verbose = kwargs.pop("verbose")
        try:
            with _written_to():
                return function(*args, **kwargs)
        except HeadraceError as error:
            if verbose:
                raise
            text = hide(str(error))
            if kwargs.get("as_json"):
                click.echo(json.dumps({"error": text, "exit_code": error.exit_code}))
            click.echo(f"headrace: {text}", err=True)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            # The reader, such as `head`, has seen enough; closing standard output would complain once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        except Exception as error:  # whatever it is, a person gets one line; -v shows the rest
            if verbose:
                raise
            text = (hide(str(error)).splitlines() or [""])[0][:300]
            click.echo(f"headrace: {type(error).__name__}: {text} (a fault of ours; -v shows the traceback)", err=True)
            sys.exit(1)

    return click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an error.")(wrapper)


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
