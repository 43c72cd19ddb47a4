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


def test_command_with_returns_the_current_command_line_with_changes(monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))  # where headrace is
    arguments = ["churn", "--data", "a b.csv", "--names", "x", "--names", "y", "--no-header", "-l", "z"]

    result = CliRunner().invoke(_new, arguments, prog_name="headrace new", env={"HEADRACE_HOME": "/elsewhere"})

    expected = "churn --data 'a b.csv' --names x --names y --no-header"
    assert result.stdout == f"headrace new {expected} '--label=-left us'\n"


def test_commands_in_an_error_name_the_program_as_it_was_typed(monkeypatch):
    @click.group()
    def program() -> None:
        pass

    @program.command()
    @reports_errors
    def run() -> None:
        raise ConfigError("Nothing is published; `headrace run digits` first, see headrace.yaml.")

    monkeypatch.setattr(sys, "argv", [".venv/bin/headrace"])
    monkeypatch.setattr("shutil.which", lambda name: None)

    result = CliRunner().invoke(program, ["run"])

    assert result.exit_code == 2
    assert result.stderr == (
        "headrace: Nothing is published; `.venv/bin/headrace run digits` first, see headrace.yaml.\n"
    )
