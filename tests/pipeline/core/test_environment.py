"""What a person has set for other programs, variable by variable."""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from data import loading
from data.config import DataConfig
from pipeline.core import environment
from tests.conftest import ROOT, headrace
from tests.waiting import PATIENCE_S

PYTHON = [sys.executable, "-c"]
HEADRACE = str(Path(sys.executable).with_name("headrace"))


def _put_right(tmp_path, **variables) -> dict[str, str]:
    found = {"HOME": str(tmp_path), **variables}
    environment.put_variables_right(found)
    environment.put_keras_right(found)
    return found


@pytest.mark.parametrize("name", environment.UNUSED)
def test_what_would_change_or_end_a_run_is_not_used_and_named(tmp_path, name):
    found = _put_right(tmp_path, **{name: "jax"})

    assert name not in found
    assert found[environment.NOTES].startswith(f"{name}=jax is not used: ")


@pytest.mark.parametrize("name", ["TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS", "XLA_FLAGS", "NVIDIA_TF32_OVERRIDE"])
def test_what_tensorflow_heeds_is_passed_on_and_named(tmp_path, name):
    found = _put_right(tmp_path, **{name: "0"})

    assert found[name] == "0"
    assert found[environment.NOTES] == f"TensorFlow heeds {name}=0: results may differ"


@pytest.mark.parametrize("name", ["TF_CPP_MIN_LOG_LEVEL", "TF_CLI_CONFIG_FILE", "TF_CONFIG", "PYTHONHASHSEED"])
def test_what_changes_no_result_is_left_alone(tmp_path, name):
    found = _put_right(tmp_path, **{name: "1"})

    assert found[name] == "1"
    assert environment.NOTES not in found


@pytest.mark.parametrize(
    "settings", [{"backend": "jax"}, {"floatx": "float64"}, {"image_data_format": "channels_first"}]
)
def test_settings_of_keras_are_read_from_a_folder_of_ours(tmp_path, settings):
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(settings))

    found = _put_right(tmp_path)

    assert Path(found["KERAS_HOME"]).name == "keras"
    assert found["KERAS_HOME"] != str(tmp_path / ".keras")
    assert found[environment.NOTES] == (
        f"{tmp_path}/.keras/keras.json is not used ({', '.join(settings)}): the run file says all of it"
    )


@pytest.mark.parametrize("content", ["{}", "no json", '{"floatx": "float32"}', "[]"])
def test_settings_of_keras_that_say_nothing_else_are_not_named(tmp_path, content):
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(content)

    assert environment.NOTES not in _put_right(tmp_path)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("error", ""),
        ("e", ""),
        ("ignore,error::DeprecationWarning", "ignore"),
        ("default", "default"),
        ("", ""),
    ],
)
def test_warnings_are_no_errors_and_other_filters_stay(tmp_path, given, kept):
    found = {"HOME": str(tmp_path), "PYTHONWARNINGS": given}

    assert environment.put_variables_right(found) == (given != kept)
    assert found["PYTHONWARNINGS"] == kept


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"no_proxy": "localhost,127.0.0.1,::1"}),
        ({"no_proxy": "intern.example"}, {"no_proxy": "intern.example,localhost,127.0.0.1,::1"}),
        ({"NO_PROXY": "127.0.0.1, a"}, {"NO_PROXY": "127.0.0.1,a,localhost,::1"}),
        ({"no_proxy": "*"}, {"no_proxy": "*"}),
    ],
)
def test_this_machine_is_asked_without_a_proxy(given, expected):
    found = dict(given)

    environment.bypass_proxies(found)

    assert found == expected


def test_urllib_goes_to_this_machine_without_a_proxy(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert not urllib.request.proxy_bypass("127.0.0.1:8501")

    environment.bypass_proxies(os.environ)

    assert urllib.request.proxy_bypass("127.0.0.1:8501")
    assert not urllib.request.proxy_bypass("hooks.example.org")


def test_what_was_noted_is_handed_on_to_what_is_started_from_here(tmp_path):
    first = _put_right(tmp_path, KERAS_BACKEND="jax")

    second = _put_right(tmp_path, **first, TF_ENABLE_ONEDNN_OPTS="0")

    assert second[environment.NOTES].splitlines() == [
        "KERAS_BACKEND=jax is not used: models are trained and served by TensorFlow",
        "TensorFlow heeds TF_ENABLE_ONEDNN_OPTS=0: results may differ",
    ]


SET = {
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "PYTHONIOENCODING": "ascii",
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "KERAS_BACKEND": "no-such-backend",
    "TF2_BEHAVIOR": "0",
    "HOME": "",
    "http_proxy": "http://127.0.0.1:9",
}


@pytest.mark.parametrize("name", SET)
def test_the_command_works_whatever_is_set(tmp_path, name):
    done = headrace("check", "digits", "--home", tmp_path, **{name: SET[name]})

    assert done.code == 0, done.err
    assert "ok: digits can be run" in done.out


def test_the_preflight_and_doctor_name_it_in_one_line(tmp_path):
    (tmp_path / "keras.json").write_text('{"floatx": "float64"}')
    given = {"KERAS_BACKEND": "jax", "TF_USE_LEGACY_KERAS": "1", "KERAS_HOME": str(tmp_path)}

    checked = headrace("check", "digits", "--home", tmp_path, **given)
    examined = headrace("doctor", "--home", tmp_path, **given)

    (line,) = [line for line in checked.out.splitlines() if line.startswith("environment: ")]
    (finding,) = [line for line in examined.out.splitlines() if line.startswith("environment")]
    for text in (line, finding):
        assert "KERAS_BACKEND=jax is not used" in text
        assert "TF_USE_LEGACY_KERAS=1 is not used" in text
        assert f"{tmp_path / 'keras.json'} is not used (floatx)" in text


# Prints a stage's line as a run does; Python is told of no UTF-8 by the locale, or by its own variable.
STAGE = """
from pipeline.core import environment
environment.put_right()
from pipeline.core.screen import Screen
screen = Screen()
screen.begin("train")
screen.update({"summary": "0.9 \\u00b1 0.1 f\\u00fcr \\u9752"})
screen.end("done")
import sys
print(sys.flags.utf8_mode, open("/dev/null").encoding)
"""


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"PYTHONIOENCODING": "ascii"}, "0.9 +- 0.1 f?r ?"),
        ({"PYTHONIOENCODING": "latin-1"}, "0.9 ± 0.1 für ?"),
        ({"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, "0.9 +- 0.1 f?r ?"),
    ],
)
def test_a_terminal_without_utf8_shows_stages_in_its_own_signs(variables, line):
    done = subprocess.run(
        [*PYTHON, STAGE], cwd=ROOT, capture_output=True, timeout=PATIENCE_S, env={**os.environ, **variables}
    )

    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode("latin-1").splitlines()
    assert shown[0].startswith("+ train")
    assert shown[0].endswith(line)
    assert shown[1].lower().endswith("utf-8")  # files are, whatever the locale


@pytest.mark.skipif(not shutil.which("setpriv") or os.getuid(), reason="needs root and setpriv")
@pytest.mark.parametrize("has_home", [True, False])
def test_a_user_id_without_an_entry_in_passwd_has_a_name_and_a_home(tmp_path, has_home):
    shown = "import os, getpass; print(getpass.getuser(), os.environ['HOME'], os.path.expanduser('~'))"
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom pipeline.core import environment\n"
    code += f"environment.put_right()\n{shown}"
    variables = {name: value for name, value in os.environ.items() if name not in (*environment.NAMES_OF_USER, "HOME")}

    done = subprocess.run(
        ["setpriv", "--reuid", "12345", "--clear-groups", *PYTHON, code], cwd="/", capture_output=True, text=True,
        timeout=PATIENCE_S, env=variables | ({"HOME": "/somewhere"} if has_home else {}),
    )  # fmt: skip

    home = "/somewhere" if has_home else done.stdout.split()[1]
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["12345", home, home]
    assert home.endswith("" if has_home else "headrace-12345")


def test_no_sign_of_the_run_files_folder_is_a_pattern(tmp_path):
    folder = tmp_path / "data [1]"
    folder.mkdir()
    for name in ("1.csv", "2.csv"):
        (folder / name).write_text("x,y\n1,0\n2,1\n")
    given = {"features": {"x": "number", "y": {"kind": "label", "classes": ["0", "1"]}}}

    for files in ("*.csv", "{SPAN}.csv"):
        config = DataConfig.model_validate({"files": files, **given})
        assert len(list(loading.open_rows(loading.load(config, "mine", folder), config))) == 4


@pytest.mark.parametrize(
    ("called", "on_path", "expected"),
    [
        (".venv/bin/headrace", None, "run `.venv/bin/headrace run a`; headrace: .venv/headrace run headrace.yaml"),
        (".venv/bin/headrace", "/bin/headrace", "run `headrace run a`; headrace: .venv/headrace run headrace.yaml"),
        ("/somewhere/pytest", None, "run `headrace run a`; headrace: .venv/headrace run headrace.yaml"),
    ],
)
def test_commands_are_named_as_they_can_be_typed(monkeypatch, called, on_path, expected):
    monkeypatch.setattr(sys, "argv", [called])
    monkeypatch.setattr(shutil, "which", lambda name: on_path)

    text = "run `headrace run a`; headrace: .venv/headrace run headrace.yaml"

    assert environment.typed(text, ("run", "serve")) == expected
