import fcntl
import json
import os

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
    below = [[name, inner] for name, one in cli.commands.items() for inner in getattr(one, "commands", {})]
    for arguments in [[], *sorted([[name] for name in cli.commands] + below)]:
        result = runner.invoke(cli, [*arguments, "--help"], prog_name="headrace", terminal_width=100)
        assert result.exit_code == 0
        texts.append(f"$ {' '.join(['headrace', *arguments])} --help\n{result.output}")
    golden("help.txt", "\n".join(texts))


def test_the_help_lists_every_command_once_with_a_whole_line():
    text = CliRunner().invoke(cli, ["--help"], prog_name="headrace", terminal_width=80).stdout
    listed = [name for names in SECTIONS.values() for name in names]

    assert sorted(listed) == sorted(cli.commands)
    assert "..." not in text.partition("Run:")[2]
    assert "\x1b" not in text  # no colour where it is no terminal


def test_help_loads_nothing_heavy():
    import subprocess
    import sys

    heavy = {"tensorflow", "tfx", "apache_beam", "pydantic", "rich", "numpy", "platformdirs", "tempfile", "hashlib"}
    code = (
        "import sys, headrace\nsys.argv = ['headrace', '--help']\n"
        f"try:\n    headrace.main()\nfinally:\n    print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)

    assert done.stdout.splitlines()[-1] == "[]"


def _refused(code: int, *arguments) -> str:
    """Runs headrace, checks that it ends with `code` and one line on standard error, and returns that line."""
    done = headrace(*arguments)
    assert done.code == code, done.out + done.err
    assert done.err.startswith("headrace: ")
    assert done.err.count("\n") == 1
    return done.err.strip()


def test_an_unknown_pipeline():
    assert "Unknown pipeline 'digit'. Did you mean 'digits'? Pipelines: credit, digits" in _refused(2, "run", "digit")


def test_an_unwritable_home(tmp_path):
    (tmp_path / "file").write_text("")

    message = _refused(2, "run", "digits", "--home", tmp_path / "file" / "below")

    assert f"Home {tmp_path}/file/below cannot be written to (Not a directory); choose another with --home" in message


def test_a_file_that_this_user_may_not_write_is_told_with_the_remedy(tmp_path, capsys):
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


def test_an_error_comes_as_json_too():
    done = headrace("run", "digits", "--set", "train.epochs=0", "--json")

    assert done.code == 2
    assert json.loads(done.out) == {"error": "--set: train.epochs: expected greater than 0, found 0.", "exit_code": 2}


def test_a_traceback_is_shown_when_asked_for():
    done = headrace("run", "digit", "-v")

    assert "Traceback" in done.err


def test_a_pipeline_that_is_running_already(tmp_path):
    lock = tmp_path / "runs" / "digits" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps({"pid": 4242, "since": "2026-01-01 10:00:00"}))
        file.flush()

        message = _refused(6, "run", "digits", "--home", tmp_path)

    assert message.endswith(
        "Pipeline digits is already running (pid 4242 since 2026-01-01 10:00:00); --wait waits for it."
    )


def test_predict_without_a_published_version(tmp_path):
    picture = tmp_path / "a.png"
    Image.new("L", (8, 8)).save(picture)

    message = _refused(2, "predict", "digits", picture, "--home", tmp_path)

    assert f"no published version in {tmp_path}/serving/digits; run `" in message
    assert message.rstrip().endswith(f"headrace run digits --home {tmp_path}` first.")


def test_the_board_needs_a_run(tmp_path):
    assert "There is nothing to show below" in _refused(2, "board", "--home", tmp_path)


def test_list_shows_what_there_is():
    done = headrace("list", "--json")

    found = json.loads(done.out)
    assert set(found["pipelines"]) >= {"digits", "fashion_mnist"}
    assert set(found["tasks"]) >= {"image_classification"}
    assert set(found["data_sets"]) >= {"digits", "fashion_mnist"}
    assert all(text for rows in found.values() for text in rows.values())


def test_doctor_tells_the_state_of_each_thing(tmp_path):
    done = headrace("doctor", "--home", tmp_path, "--json")

    findings = {finding["name"]: finding for finding in json.loads(done.out)}
    assert set(findings) == {
        "python", "glibc", "packages", "accelerator", "disk", "memory", "home", "tf serving", "docker", "environment"
    }  # fmt: skip
    assert findings["python"]["state"] == "ok"
    assert findings["packages"]["state"] == "ok", findings["packages"]
    assert done.code == any(finding["state"] == "fix" for finding in findings.values())


def test_doctor_names_the_command_that_mends(tmp_path):
    done = headrace("doctor", "--home", tmp_path / "nowhere")

    assert done.code == 1
    (line,) = [line for line in done.out.splitlines() if line.startswith("home")]
    assert line.split()[-3:] == ["fix:", "export", "HEADRACE_HOME=FOLDER"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell):
    done = headrace("completion", shell)

    assert "_HEADRACE_COMPLETE" in done.out


def test_pipelines_are_completed():
    done = headrace(_HEADRACE_COMPLETE="bash_complete", COMP_WORDS="headrace run fash", COMP_CWORD="2")

    assert "plain,fashion_mnist" in done.out
