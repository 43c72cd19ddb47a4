"""Variables that a person has set for other programs, one by one."""

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


def _clean(tmp_path, **settings) -> dict[str, str]:
    variables = {"HOME": str(tmp_path), **settings}
    environment.clean_variables(variables)
    environment.isolate_keras(variables)
    return variables


@pytest.mark.parametrize("name", environment.UNUSED)
def test_variables_that_would_change_or_end_a_run_are_removed_and_named(tmp_path, name):
    cleaned = _clean(tmp_path, **{name: "jax"})

    assert name not in cleaned
    assert cleaned[environment.NOTES].startswith(f"{name}=jax is not used: ")


@pytest.mark.parametrize("name", ["TF_ENABLE_ONEDNN_OPTS", "TF_DETERMINISTIC_OPS", "XLA_FLAGS", "NVIDIA_TF32_OVERRIDE"])
def test_variables_of_tensorflow_are_passed_on_and_named(tmp_path, name):
    cleaned = _clean(tmp_path, **{name: "0"})

    assert cleaned[name] == "0"
    assert cleaned[environment.NOTES] == f"TensorFlow heeds {name}=0: results may differ"


@pytest.mark.parametrize("name", ["TF_CPP_MIN_LOG_LEVEL", "TF_CLI_CONFIG_FILE", "TF_CONFIG", "PYTHONHASHSEED"])
def test_variables_that_change_no_result_stay(tmp_path, name):
    cleaned = _clean(tmp_path, **{name: "1"})

    assert cleaned[name] == "1"
    assert environment.NOTES not in cleaned


@pytest.mark.parametrize(
    "settings", [{"backend": "jax"}, {"floatx": "float64"}, {"image_data_format": "channels_first"}]
)
def test_settings_of_keras_are_read_from_a_folder_of_ours(tmp_path, settings):
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(json.dumps(settings))

    cleaned = _clean(tmp_path)

    assert Path(cleaned["KERAS_HOME"]).name == "keras"
    assert cleaned["KERAS_HOME"] != str(tmp_path / ".keras")
    assert cleaned[environment.NOTES] == (
        f"{tmp_path}/.keras/keras.json is not used ({', '.join(settings)}): the run file says all of it"
    )


@pytest.mark.parametrize("content", ["{}", "no json", '{"floatx": "float32"}', "[]"])
def test_default_settings_of_keras_are_not_named(tmp_path, content):
    (tmp_path / ".keras").mkdir()
    (tmp_path / ".keras" / "keras.json").write_text(content)

    assert environment.NOTES not in _clean(tmp_path)


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ("error", ""),
        ("e", ""),
        ("ignore,error::DeprecationWarning", "ignore"),
        ("default", "default"),
        ("", ""),
    ],
)
def test_error_filters_are_removed_and_other_filters_stay(tmp_path, filters, kept):
    cleaned = {"HOME": str(tmp_path), "PYTHONWARNINGS": filters}

    assert environment.clean_variables(cleaned) == (filters != kept)
    assert cleaned["PYTHONWARNINGS"] == kept


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {"no_proxy": "localhost,127.0.0.1,::1"}),
        ({"no_proxy": "intern.example"}, {"no_proxy": "intern.example,localhost,127.0.0.1,::1"}),
        ({"NO_PROXY": "127.0.0.1, a"}, {"NO_PROXY": "127.0.0.1,a,localhost,::1"}),
        ({"no_proxy": "*"}, {"no_proxy": "*"}),
    ],
)
def test_this_machine_is_excluded_from_proxies(variables, expected):
    cleaned = dict(variables)

    environment.bypass_proxies(cleaned)

    assert cleaned == expected


def test_urllib_goes_to_this_machine_without_a_proxy(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert not urllib.request.proxy_bypass("127.0.0.1:8501")

    environment.bypass_proxies(os.environ)

    assert urllib.request.proxy_bypass("127.0.0.1:8501")
    assert not urllib.request.proxy_bypass("hooks.example.org")


def test_child_processes_inherit_the_notes(tmp_path):
    first = _clean(tmp_path, KERAS_BACKEND="jax")

    second = _clean(tmp_path, **first, TF_ENABLE_ONEDNN_OPTS="0")

    assert second[environment.NOTES].splitlines() == [
        "KERAS_BACKEND=jax is not used: models are trained and served by TensorFlow",
        "TensorFlow heeds TF_ENABLE_ONEDNN_OPTS=0: results may differ",
    ]


VARIABLES = {
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


@pytest.mark.parametrize("name", VARIABLES)
def test_the_command_works_with_any_of_these_variables(tmp_path, name):
    result = headrace("check", "digits", "--home", tmp_path, **{name: VARIABLES[name]})

    assert result.code == 0, result.err
    assert "ok: digits can be run" in result.out


def test_the_preflight_and_doctor_name_ignored_variables_in_one_line(tmp_path):
    (tmp_path / "keras.json").write_text('{"floatx": "float64"}')
    variables = {"KERAS_BACKEND": "jax", "TF_USE_LEGACY_KERAS": "1", "KERAS_HOME": str(tmp_path)}

    check = headrace("check", "digits", "--home", tmp_path, **variables)
    doctor = headrace("doctor", "--home", tmp_path, **variables)

    (line,) = [line for line in check.out.splitlines() if line.startswith("environment: ")]
    (finding,) = [line for line in doctor.out.splitlines() if line.startswith("environment")]
    for text in (line, finding):
        assert "KERAS_BACKEND=jax is not used" in text
        assert "TF_USE_LEGACY_KERAS=1 is not used" in text
        assert f"{tmp_path / 'keras.json'} is not used (floatx)" in text


# Prints the line of a stage as a run does, without UTF-8 by the locale or by a variable of Python.
STAGE = """
from pipeline.core import environment
environment.clean()
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
def test_a_terminal_without_utf8_shows_stages_in_its_own_encoding(variables, line):
    result = subprocess.run(
        [*PYTHON, STAGE], cwd=ROOT, capture_output=True, timeout=PATIENCE_S, env={**os.environ, **variables}
    )

    assert result.returncode == 0, result.stderr
    lines = result.stdout.decode("latin-1").splitlines()
    assert lines[0].startswith("+ train")
    assert lines[0].endswith(line)
    assert lines[1].lower().endswith("utf-8")  # the encoding of files, whatever the locale


@pytest.mark.skipif(not shutil.which("setpriv") or os.getuid(), reason="needs root and setpriv")
@pytest.mark.parametrize("has_home", [True, False])
def test_a_user_id_without_an_entry_in_passwd_has_a_name_and_a_home(tmp_path, has_home):
    statement = "import os, getpass; print(getpass.getuser(), os.environ['HOME'], os.path.expanduser('~'))"
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom pipeline.core import environment\n"
    code += f"environment.clean()\n{statement}"
    variables = {name: value for name, value in os.environ.items() if name not in (*environment.USER_VARIABLES, "HOME")}

    result = subprocess.run(
        ["setpriv", "--reuid", "12345", "--clear-groups", *PYTHON, code], cwd="/", capture_output=True, text=True,
        timeout=PATIENCE_S, env=variables | ({"HOME": "/somewhere"} if has_home else {}),
    )  # fmt: skip

    home = "/somewhere" if has_home else result.stdout.split()[1]
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["12345", home, home]
    assert home.endswith("" if has_home else "headrace-12345")


def test_no_character_of_the_run_files_folder_is_a_glob_pattern(tmp_path):
    folder = tmp_path / "data [1]"
    folder.mkdir()
    for name in ("1.csv", "2.csv"):
        (folder / name).write_text("x,y\n1,0\n2,1\n")
    settings = {"features": {"x": "number", "y": {"kind": "label", "classes": ["0", "1"]}}}

    for files in ("*.csv", "{SPAN}.csv"):
        config = DataConfig.model_validate({"files": files, **settings})
        assert len(list(loading.open_rows(loading.load(config, "mine", folder), config))) == 4


@pytest.mark.parametrize(
    ("command", "on_path", "expected"),
    [
        (".venv/bin/headrace", None, "run `.venv/bin/headrace run a`; headrace: .venv/headrace run headrace.yaml"),
        (".venv/bin/headrace", "/bin/headrace", "run `headrace run a`; headrace: .venv/headrace run headrace.yaml"),
        ("/somewhere/pytest", None, "run `headrace run a`; headrace: .venv/headrace run headrace.yaml"),
    ],
)
def test_commands_are_named_as_they_can_be_typed(monkeypatch, command, on_path, expected):
    monkeypatch.setattr(sys, "argv", [command])
    monkeypatch.setattr(shutil, "which", lambda name: on_path)

    text = "run `headrace run a`; headrace: .venv/headrace run headrace.yaml"

    assert environment.typed(text, ("run", "serve")) == expected
