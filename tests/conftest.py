"""Fixtures that several tests share; the pipeline `digits` is run once a session."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from data import secrets
from pipeline.core import environment
from tests import parallel
from tests.waiting import PATIENCE_S

# Tests connect to servers on this machine, whatever proxy is set.
environment.bypass_proxies(os.environ)
# A shell's background job ignores it, and so would all that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests" / "golden"


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden from the current output")


def pytest_collection_modifyitems(config, items):
    if not any(Path("/dev").glob("nvidia[0-9]*")):
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no GPU on this machine"))
    if parallel.is_worker(config):
        parallel.sort(items)


@pytest.fixture
def golden(request):
    """Returns a function that compares a text with a golden file, or rewrites it with --update-golden."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.write_text(text)
        assert text == path.read_text(), f"{path} differs; read the difference, then `pytest --update-golden`"

    return compare


@dataclass(frozen=True)
class Finished:
    """Result of a command that has ended: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    def stages(self) -> dict[str, str]:
        """Returns stage -> its detail, from the lines that a run printed."""
        lines = [line.split(maxsplit=4) for line in self.out.splitlines() if line.startswith(("✓", "✗"))]
        return {line[1]: line[4] if len(line) > 4 else "" for line in lines}


_AT_START = frozenset(os.environ)


def inherited() -> dict[str, str]:
    """Returns the environment of this process without variables that imported libraries have set, as TFT does."""
    return {name: value for name, value in os.environ.items() if name in _AT_START or name not in environment.UNUSED}


def headrace(*arguments, cwd: Path = ROOT, timeout: float = PATIENCE_S, **variables) -> Finished:
    """Runs the installed command in a separate process; `variables` are added to its environment."""
    command = [str(Path(sys.executable).with_name("headrace")), *map(str, arguments)]
    env = {**inherited(), "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout)
    return Finished(done.returncode, done.stdout, done.stderr)


def namesakes(folder: Path) -> Path:
    """Writes modules with the names of our packages into a folder; importing one ends the process."""
    for name in ("pipeline.py", "data/__init__.py", "models/__init__.py", "components/__init__.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("raise SystemExit('not the package of Headrace')\n")
    (folder / "own_module.py").write_text("")
    return folder


@dataclass(frozen=True)
class DigitsRun:
    """The run of `digits` that tests share.

    Attributes:
        home: Home folder of the run.
        finished: Result of the command.
        temporary: TMPDIR of the run.
    """

    home: Path
    finished: Finished
    temporary: Path

    @property
    def version(self) -> Path:
        """The folder of the published version."""
        return next((self.home / "serving" / "digits").glob("[0-9]*"))

    def output(self, stage: str, name: str) -> Path:
        """Returns the newest artifact folder of a stage's output."""
        folders = (self.home / "runs" / "digits" / "artifacts" / stage / name).glob("*")
        return max((path for path in folders if path.name.isdecimal()), key=lambda path: int(path.name))


@pytest.fixture(scope="session")
def digits_run(request) -> DigitsRun:
    """Runs `digits` in a folder whose modules have the names of our packages; once for all workers of pytest-xdist.

    No test changes it, since other workers read it at the same time; see `digits_copy`.
    """

    def make(folder: Path) -> None:
        person, temporary = namesakes(folder / "person"), folder / "tmp"
        temporary.mkdir()
        variables = {"PYTHONPATH": str(person), "TMPDIR": str(temporary)}
        finished = headrace("run", "digits", "--home", folder / "home", cwd=person, **variables)
        (folder / "finished.json").write_text(json.dumps(asdict(finished)))

    folder = parallel.made_once(request, "digits", make)
    finished = Finished(**json.loads((folder / "finished.json").read_text()))
    assert finished.code == 0, finished.out + finished.err
    return DigitsRun(folder / "home", finished, folder / "tmp")


@pytest.fixture(scope="module")
def digits_copy(digits_run, tmp_path_factory) -> DigitsRun:
    """Copies the shared run into a home that the tests of a module may change."""
    home = tmp_path_factory.mktemp("copy") / "home"
    shutil.copytree(digits_run.home, home)
    return replace(digits_run, home=home)


@pytest.fixture(scope="session")
def digits_manifest(digits_run) -> dict:
    """The manifest of the version that `digits_run` published."""
    return json.loads((digits_run.version / "assets.extra" / "headrace.json").read_text())


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests(monkeypatch):
    """Clears the values of `${ENV:NAME}` that earlier tests resolved, which would be hidden in output."""
    monkeypatch.setattr(secrets, "_values", {})
