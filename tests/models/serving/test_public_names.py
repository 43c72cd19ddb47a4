"""The names that programs, scripts and unit files outside this project use."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow


def python(*arguments: str) -> str:
    """Returns what a Python of its own prints."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=True
    ).stdout


def test_the_client_is_imported_by_its_package_without_the_server():
    loaded = python(
        "-c",
        "import sys; from models.serving.client import Client; print(Client.__module__);"
        "print(*sorted(name for name in sys.modules if name.startswith('models.serving.')))",
    ).splitlines()

    assert loaded[0] == "models.serving.client.client"
    assert not [name for name in loaded[1].split() if name.startswith("models.serving.server")]


def test_the_server_is_started_by_its_package():
    assert python("-m", "models.serving.server", "--version").startswith("Headrace embedded model server\n")
