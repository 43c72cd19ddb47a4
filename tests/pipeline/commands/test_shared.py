import sys
from pathlib import Path

import click
from click.testing import CliRunner

from data.errors import ConfigError
from pipeline.commands.shared import command_with, reports_errors


@click.command()
@click.argument("name")
@click.option("--data", "path")
@click.option("--names", multiple=True)
@click.option("--header/--no-header", default=True)
@click.option("--force", is_flag=True)
@click.option("--home", envvar="HEADRACE_HOME", default=".")
@click.option("--label", "-l")
def _new(**_):
    click.echo(command_with(label="-left us"))


def test_a_command_comes_again_as_it_was_given_but_for_what_changes(monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))  # where headrace is
    given = ["churn", "--data", "a b.csv", "--names", "x", "--names", "y", "--no-header", "-l", "z"]

    done = CliRunner().invoke(_new, given, prog_name="headrace new", env={"HEADRACE_HOME": "/elsewhere"})

    words = "churn --data 'a b.csv' --names x --names y --no-header"
    assert done.stdout == f"headrace new {words} '--label=-left us'\n"


def test_an_error_names_commands_as_they_can_be_typed(monkeypatch):
    @click.group()
    def program() -> None:
        pass

    @program.command()
    @reports_errors
    def run() -> None:
        raise ConfigError("Nothing is published; `headrace run digits` first, see headrace.yaml.")

    monkeypatch.setattr(sys, "argv", [".venv/bin/headrace"])
    monkeypatch.setattr("shutil.which", lambda name: None)

    done = CliRunner().invoke(program, ["run"])

    assert done.exit_code == 2
    assert done.stderr == (
        "headrace: Nothing is published; `.venv/bin/headrace run digits` first, see headrace.yaml.\n"
    )
