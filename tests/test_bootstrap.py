"""Error messages of set-up: the real script, run in a copy of the files that it needs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.waiting import PATIENCE_S

BASE = Path(sys.base_prefix) / "bin" / "python3"
# glibc of the host: the interpreter that runs these tests may use the private C library.
HOST_GLIBC = subprocess.run(
    [str(BASE), "-c", "import os; print(os.confstr('CS_GNU_LIBC_VERSION').split()[1])"], capture_output=True, text=True
).stdout.strip()
OLD_GLIBC = tuple(map(int, HOST_GLIBC.split("."))) < (2, 38)


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of the files that set-up needs."""
    for name in ("bootstrap.py", "setup.py", "pyproject.toml", "requirements.lock", "data/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "data" / "sources", tmp_path / "data" / "sources")
    return tmp_path


def _setup(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Runs bootstrap.py with the Python that made our venv."""
    variables = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}
    return subprocess.run(
        [str(BASE), "bootstrap.py", *arguments],
        cwd=checkout,
        env={**variables, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def _refused(done: subprocess.CompletedProcess) -> str:
    """Returns the one sentence on standard error of a set-up that could not go on."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    return line


def test_no_suitable_python(checkout, tmp_path):
    fake = tmp_path / "python3.9"
    fake.write_text(
        '#!/bin/sh\necho \'{"path": "x", "version": [3, 9, 18], "venv": true, "ensurepip": true, "glibc": [2, 41]}\'\n'
    )
    fake.chmod(0o755)

    message = _refused(_setup(checkout, HEADRACE_PYTHON=str(fake)))

    assert message == (
        f"setup: no Python 3.11 or 3.12 found ({fake} is 3.9.18); install one (Debian/Ubuntu: apt install python3 "
        "python3-venv) or set HEADRACE_PYTHON to its path."
    )


def test_too_little_disk(checkout):
    message = _refused(_setup(checkout, "--min-free-gib", "1000000"))

    assert message.startswith(f"setup: {checkout} has ")
    assert message.endswith(" GiB free, set-up needs 1000000.0; free some or clone onto a larger disk.")
    assert not (checkout / ".venv").exists()


def test_a_lock_for_another_platform(checkout):
    lock = checkout / "requirements.lock"
    lock.write_text(lock.read_text().replace("# platform: linux-x86_64;", "# platform: darwin-arm64;"))

    message = _refused(_setup(checkout))

    assert message.startswith(
        "setup: requirements.lock is for darwin-arm64, this machine is linux-x86_64; use a darwin"
    )


def test_a_missing_lock(checkout):
    (checkout / "requirements.lock").unlink()

    assert _refused(_setup(checkout)) == (
        "setup: requirements.lock is missing; restore it with `git checkout requirements.lock`."
    )


@pytest.mark.slow
def test_an_unreachable_mirror_names_the_package(checkout):
    # A port where nothing listens. pip fails at its first download, the pinned uv.
    nowhere = "http://127.0.0.1:9/simple"
    done = _setup(
        checkout, PIP_INDEX_URL=nowhere, PIP_EXTRA_INDEX_URL="", PIP_FIND_LINKS="", PIP_CONFIG_FILE="/dev/null",
        PIP_RETRIES="0", PIP_NO_CACHE_DIR="1",
    )  # fmt: skip

    assert "the package mirror is unreachable (asked for uv==" in _refused(done)


@pytest.mark.slow
def test_an_unreachable_mirror_names_the_package_of_the_lock(checkout):
    nowhere = "http://127.0.0.1:9/simple"
    done = _setup(checkout, UV_DEFAULT_INDEX=nowhere, UV_NO_CACHE="1", UV_HTTP_RETRIES="0")

    message = _refused(done)
    assert "the package mirror is unreachable (asked for " in message
    package = message.split("asked for ")[1].split(")")[0]
    assert f"\n{package}==" in (checkout / "requirements.lock").read_text()


@pytest.mark.skipif(not OLD_GLIBC, reason="this host's C library is new enough")
def test_an_old_c_library_and_no_apt(checkout, tmp_path):
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()

    message = _refused(_setup(checkout, PATH=str(bin_folder)))

    assert message == (
        f"setup: this host has glibc {HOST_GLIBC}, TFX's wheels need 2.38, and there is no apt of Debian or Ubuntu to "
        "fetch it with; use Ubuntu 24.04, Debian 13, Fedora 40 or newer."
    )
    assert not (checkout / ".venv").exists()


def test_set_up_that_is_up_to_date_prints_and_changes_nothing():
    if not (ROOT / ".venv" / "headrace-setup.json").exists():
        pytest.skip("these tests run from an environment that set-up did not make")
    before = (ROOT / ".venv" / "headrace-setup.json").stat().st_mtime_ns

    done = _setup(ROOT)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (ROOT / ".venv" / "headrace-setup.json").stat().st_mtime_ns == before


def test_requirements_of_setup_py_are_in_the_lock():
    import re

    locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    wanted = re.findall(r'^    "([a-z][\w-]*)', (ROOT / "setup.py").read_text(), re.MULTILINE)

    assert len(wanted) > 15
    assert not set(wanted) - locked
