import sys
from pathlib import Path

import click
from click.testing import CliRunner

from pipeline.commands.shared import again


@click.command()
@click.argument("name")
@click.option("--data", "path")
@click.option("--names", multiple=True)
@click.option("--header/--no-header", default=True)
@click.option("--force", is_flag=True)
@click.option("--home", envvar="HEADRACE_HOME", default=".")
@click.option("--label", "-l")
def _new(**_):
    click.echo(again(label="-left us"))


def test_a_command_comes_again_as_it_was_given_but_for_what_changes(monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))  # where headrace is
    given = ["churn", "--data", "a b.csv", "--names", "x", "--names", "y", "--no-header", "-l", "z"]

    done = CliRunner().invoke(_new, given, prog_name="headrace new", env={"HEADRACE_HOME": "/elsewhere"})

    words = "churn --data 'a b.csv' --names x --names y --no-header"
    assert done.stdout == f"headrace new {words} '--label=-left us'\n"
