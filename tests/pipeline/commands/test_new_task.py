import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from data.errors import ConfigError
from pipeline.commands import new_task
from tests.conftest import ROOT, inherited
from tests.waiting import PATIENCE_S

FOLDERS = ("components", "data", "models", "pipeline", "tests")


@pytest.fixture
def clone(tmp_path) -> Path:
    """A copy of the sources."""
    ignored = shutil.ignore_patterns("__pycache__", "old_home", "golden")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    for name in ("pyproject.toml", "headrace.py", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_a_task_is_copied_registered_and_added_to_the_import_contracts(clone):
    paths = new_task.write(clone, "mood", "sequence_classification")

    assert Path("models/tasks/mood/task.py") in paths
    assert "class MoodConfig(ClassificationConfig):" in (clone / "models/tasks/mood/config.py").read_text()
    assert '    "mood": "models.tasks.mood",\n' in (clone / "models/registry.py").read_text()
    contracts = tomllib.loads((clone / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert any("models.tasks.mood" in contract.get("modules", ()) for contract in contracts)
    assert not [path for path in (clone / "models/tasks/mood").glob("*.py") if "sequence_cl" in path.read_text()]


# In short without the test that starts a server: what it runs is code of the copied task.
@pytest.mark.slow
@pytest.mark.parametrize("tests", ["mood and not server", pytest.param("mood", marks=pytest.mark.long)])
def test_a_copied_task_passes_the_contract_test(clone, tests):
    new_task.write(clone, "mood", "text_classification")

    command = [sys.executable, "-m", "pytest", "-q", "-m", "slow", "tests/models/test_contract.py", "-k", tests]
    result = subprocess.run(
        command,
        cwd=clone,
        env={**inherited(), "PYTHONPATH": str(clone)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout


@pytest.mark.parametrize("name", ["Mood", "class", "a-b", "../up", "", "text_classification"])
def test_an_invalid_or_taken_name_is_refused_and_nothing_is_written(clone, name):
    before = {path: path.read_bytes() for path in clone.rglob("*") if path.is_file()}

    with pytest.raises(ConfigError, match=r"cannot name a task|exists already"):
        new_task.write(clone, name, "text_classification")

    assert {path: path.read_bytes() for path in clone.rglob("*") if path.is_file()} == before


def test_new_task_is_refused_outside_of_a_clone(clone):
    (clone / "pyproject.toml").unlink()

    with pytest.raises(ConfigError, match="run it in a clone of Headrace"):
        new_task.write(clone, "mood", "text_classification")
