import fcntl
import json
import os

import click
import pytest
from click.testing import CliRunner
from PIL import Image

from pipeline.commands import shared
from pipeline.commands.cli import cli
from pipeline.commands.shared import SECTIONS
from tests.conftest import headrace
from tests.waiting import PATIENCE_S


def test_help_of_every_command(golden):
    runner, texts = CliRunner(), []
    subcommands = [
        [name, subcommand] for name, command in cli.commands.items() for subcommand in getattr(command, "commands", {})
    ]
    for arguments in [[], *sorted([[name] for name in cli.commands] + subcommands)]:
        result = runner.invoke(cli, [*arguments, "--help"], prog_name="headrace", terminal_width=100)
        assert result.exit_code == 0
        texts.append(f"$ {' '.join(['headrace', *arguments])} --help\n{result.output}")
    golden("help.txt", "\n".join(texts))


def test_the_help_lists_every_command_once_without_truncation():
    text = CliRunner().invoke(cli, ["--help"], prog_name="headrace", terminal_width=80).stdout
    listed = [name for names in SECTIONS.values() for name in names]

    assert sorted(listed) == sorted(cli.commands)
    assert "..." not in text.partition("Run:")[2]
    assert "\x1b" not in text  # no colour where it is no terminal


def test_no_command_of_a_group_has_its_description_cut_off():
    groups = {name: command for name, command in cli.commands.items() if isinstance(command, click.Group)}
    assert "schedule" in groups

    for name in groups:
        text = CliRunner().invoke(cli, [name, "--help"], prog_name="headrace", terminal_width=80).stdout
        commands = text.partition("Commands:\n")[2].splitlines()
        assert len(commands) == len(groups[name].commands)
        assert [line for line in commands if line.endswith("...")] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--home", "/tmp", "new", "x"], "Option '--home' follows the command: headrace new --home\n"),
        (["--json"], "Option '--json' follows the command: headrace COMMAND --json\n"),
        (["--nothing", "new"], "No such option '--nothing'.\n"),
    ],
)
def test_a_commands_option_before_the_command_is_said_to_follow_it(arguments, message):
    result = CliRunner().invoke(cli, arguments, prog_name="headrace")

    assert result.exit_code == 2
    assert result.stderr.endswith(f"Error: {message}")


def test_help_loads_nothing_heavy():
    import subprocess
    import sys

    heavy = {"tensorflow", "tfx", "apache_beam", "pydantic", "rich", "numpy", "platformdirs", "tempfile", "hashlib"}
    code = (
        "import sys, headrace\nsys.argv = ['headrace', '--help']\n"
        f"try:\n    headrace.main()\nfinally:\n    print(sorted({heavy} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)

    assert result.stdout.splitlines()[-1] == "[]"


def _error_line(code: int, *arguments) -> str:
    """Runs headrace, checks that it ends with `code` and one line on standard error, and returns that line."""
    result = headrace(*arguments)
    assert result.code == code, result.out + result.err
    assert result.err.startswith("headrace: ")
    assert result.err.count("\n") == 1
    return result.err.strip()


def test_an_unknown_pipeline_is_refused_with_the_closest_name():
    assert "Unknown pipeline 'digit'. Did you mean 'digits'? Pipelines: " in _error_line(2, "run", "digit")


def test_an_unwritable_home_is_refused(tmp_path):
    (tmp_path / "file").write_text("")

    message = _error_line(2, "run", "digits", "--home", tmp_path / "file" / "below")

    assert f"Home {tmp_path}/file/below cannot be written to (Not a directory); choose another with --home" in message


def test_missing_write_permission_is_reported_with_the_remedy(tmp_path, capsys):
    @shared.reports_errors
    def write() -> None:
        (tmp_path / "scheduler").mkdir()

    tmp_path.chmod(0o555)
    user = os.geteuid()
    try:
        os.seteuid(65534) if user == 0 else None  # root may write anywhere
        with pytest.raises(SystemExit) as caught:
            write(verbose=False)
    finally:
        os.seteuid(user)

    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        f"headrace: {tmp_path}/scheduler cannot be read or written (Permission denied); give this user the right with "
        "chmod or chown, or choose another home with --home or HEADRACE_HOME.\n"
    )


def test_an_error_is_printed_as_json_with_the_option_json():
    result = headrace("run", "digits", "--set", "train.epochs=0", "--json")

    assert result.code == 2
    assert json.loads(result.out) == {"error": "--set: train.epochs: expected greater than 0, found 0.", "exit_code": 2}


def test_verbose_shows_the_traceback():
    result = headrace("run", "digit", "-v")

    assert "Traceback" in result.err


def test_a_pipeline_that_is_already_running_is_refused(tmp_path):
    lock = tmp_path / "runs" / "digits" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps({"pid": 4242, "since": "2026-01-01 10:00:00"}))
        file.flush()

        message = _error_line(6, "run", "digits", "--home", tmp_path)

    assert message.endswith(
        "Pipeline digits is already running (pid 4242 since 2026-01-01 10:00:00); --wait waits for it."
    )


def test_predict_without_a_published_version_is_refused(tmp_path):
    picture = tmp_path / "a.png"
    Image.new("L", (8, 8)).save(picture)

    message = _error_line(2, "predict", "digits", picture, "--home", tmp_path)

    assert f"no published version in {tmp_path}/serving/digits; run `" in message
    assert message.rstrip().endswith(f"headrace run digits --home {tmp_path}` first.")


def test_the_board_needs_a_run(tmp_path):
    assert "There is nothing to show below" in _error_line(2, "board", "--home", tmp_path)


def test_list_shows_pipelines_tasks_and_data_sets():
    result = headrace("list", "--json")

    entries = json.loads(result.out)
    assert set(entries["pipelines"]) >= {"digits", "fashion_mnist"}
    assert set(entries["tasks"]) >= {"image_classification"}
    assert set(entries["data_sets"]) >= {"digits", "fashion_mnist"}
    assert all(text for rows in entries.values() for text in rows.values())


def test_doctor_reports_a_state_for_each_check(tmp_path):
    result = headrace("doctor", "--home", tmp_path, "--json")

    findings = {finding["name"]: finding for finding in json.loads(result.out)}
    assert set(findings) == {
        "python", "glibc", "packages", "accelerator", "disk", "memory", "home", "tf serving", "docker", "environment"
    }  # fmt: skip
    assert findings["python"]["state"] == "ok"
    assert findings["packages"]["state"] == "ok", findings["packages"]
    assert result.code == any(finding["state"] == "fix" for finding in findings.values())


def test_doctor_prints_the_command_that_fixes_a_problem(tmp_path):
    result = headrace("doctor", "--home", tmp_path / "nowhere")

    assert result.code == 1
    (line,) = [line for line in result.out.splitlines() if line.startswith("home")]
    assert line.split()[-3:] == ["fix:", "export", "HEADRACE_HOME=FOLDER"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell):
    result = headrace("completion", shell)

    assert "_HEADRACE_COMPLETE" in result.out


def test_names_of_pipelines_are_completed():
    result = headrace(_HEADRACE_COMPLETE="bash_complete", COMP_WORDS="headrace run fash", COMP_CWORD="2")

    assert "plain,fashion_mnist" in result.out
