"""`headrace new` if the label is not clear: it asks on a terminal, else it refuses with the commands."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.commands.cli import cli
from tests.conftest import ROOT, Finished, inherited
from tests.waiting import PATIENCE_S, until

QUESTION = "Its number, the name of another column, or Enter to stop: "


@pytest.fixture
def diamonds(tmp_path):
    """A table of stones: x, y and z are sizes in mm."""
    cuts, colors = ("Fair", "Good", "Ideal", "Premium", "Very Good"), "DEFGHIJ"
    rows = [
        f"{i % 50 / 20},{cuts[i % 5]},{colors[i % 7]},{i % 9}.5,{300 + i * 7},{i % 40 / 9},{i % 41 / 9},{i % 37 / 9}"
        for i in range(300)
    ]
    path = tmp_path / "round diamonds.csv"
    path.write_text("carat,cut,color,depth,price,x,y,z\n" + "\n".join(rows) + "\n")
    return path


def _new(data, *options: str, monkeypatch) -> Finished:
    """Returns the result of `headrace new stones` in the folder of the data, without a terminal."""
    monkeypatch.chdir(data.parent)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))  # where headrace is
    result = CliRunner().invoke(cli, ["new", "stones", "--data", data.name, *options], prog_name="headrace")
    return Finished(result.exit_code, result.stdout, result.stderr)


def test_without_a_terminal_it_refuses_with_a_command_for_each_of_the_likeliest_columns(diamonds, monkeypatch):
    result = _new(diamonds, "--force", monkeypatch=monkeypatch)

    assert result.code == 2
    first, *commands = result.err.splitlines()
    reason = "which column is to be predicted is not clear; name it with --label. The likeliest:"
    assert first == f"headrace: round diamonds.csv: {reason}"
    assert len(commands) == 3
    command, _, description = commands[0].strip().partition("   ")
    assert command == "headrace new stones --data 'round diamonds.csv' --label price --force"
    assert description == "tabular_regression, a number from 300 to 2393"
    assert not list(diamonds.parent.glob("*.yaml"))


def test_with_json_it_refuses_as_without_a_terminal(diamonds, monkeypatch):
    result = _new(diamonds, "--json", monkeypatch=monkeypatch)

    assert result.code == 2
    error = json.loads(result.out)
    assert error["exit_code"] == 2
    assert "headrace new stones --data 'round diamonds.csv' --label price --json" in error["error"]


def test_only_columns_that_the_given_task_can_predict_are_offered(diamonds, monkeypatch):
    result = _new(diamonds, "--task", "tabular_regression", monkeypatch=monkeypatch)

    offered = [line.partition("--label ")[2].split()[0] for line in result.err.splitlines()[1:]]
    assert offered[0] == "price"
    assert not {"cut", "color"} & set(offered)


@pytest.mark.parametrize(("answer", "code", "label"), [("1", 0, "price"), ("cut", 0, "cut"), ("", 2, None)])
def test_on_a_terminal_it_asks(diamonds, answer, code, label):
    output, exit_code = _on_terminal(diamonds, answer)

    assert "  1  price   tabular_regression, a number from 300 to 2393\r\n" in output
    assert exit_code == code
    file = diamonds.parent / "stones.yaml"
    assert file.exists() == (label is not None)
    if label:
        assert f"    {label}: " in file.read_text().splitlines()[-7]
    else:
        assert "--label price   tabular_regression" in output


def test_on_a_terminal_it_asks_again_after_an_invalid_answer(diamonds):
    output, exit_code = _on_terminal(diamonds, "9\ncolour\ncut")

    assert "Error: '9' is neither a number from 1 to 3 nor a column; the columns are carat, cut, color" in output
    assert "did you mean 'color'?" in output
    assert "name it with --label" not in output
    assert exit_code == 0
    assert (diamonds.parent / "stones.yaml").exists()


def _on_terminal(data: Path, answer: str) -> tuple[str, int]:
    """Returns the output of `headrace new` on a terminal where `answer` is typed, and its exit code."""
    terminal, process_end = pty.openpty()
    command = [str(Path(sys.executable).with_name("headrace")), "new", "stones", "--data", data.name]
    env = {**inherited(), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command,
        cwd=data.parent,
        env=env,
        stdin=process_end,
        stderr=process_end,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(process_end)
    output = []

    def reads(expected: str) -> bool:
        try:
            output.append(os.read(terminal, 65536).decode())
        except OSError:  # the other end is closed: the process has ended
            return True
        return expected in "".join(output)

    until(lambda: reads(QUESTION))
    os.write(terminal, f"{answer}\n".encode())
    until(lambda: reads("\0 never"))
    os.close(terminal)
    return "".join(output), process.wait(timeout=PATIENCE_S)
