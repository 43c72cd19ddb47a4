"""A home that is somewhere else than where its runs were made: moved, copied, by a link, mounted, read-only.

The original is still there: nothing of it may be changed.
"""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from pipeline.history import runs
from tests.conftest import headrace
from tests.mounts import bound, read_only

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def copy(digits_copy, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("copy") / "home [1]"  # which TensorFlow would take for a pattern
    shutil.copytree(digits_copy.home, folder)
    return folder


def _state(home: Path) -> dict[str, tuple[int, int]]:
    """Returns file or folder -> time of the last change and size."""
    statuses = {str(path.relative_to(home)): path.stat() for path in home.rglob("*")}
    return {name: (status.st_mtime_ns, status.st_size) for name, status in statuses.items()}


def _ask(home: Path, *arguments) -> dict:
    done = headrace(*arguments, "--home", home, "--json")
    assert done.code == 0, done.out + done.err
    return json.loads(done.out)


def test_nothing_that_a_run_left_names_the_home_but_pages_and_logs(digits_run):
    home = str(digits_run.home).encode()
    may_name_it = (".log", ".html", "eval_config.json", ".config")  # the last but one is TFMA's, and read by nobody

    paths = [path for path in digits_run.home.rglob("*") if path.is_file() and home in path.read_bytes()]

    unexpected = [path for path in paths if not path.name.endswith(may_name_it) and "tfevents" not in path.name]
    records = {path for path in unexpected if path.parent.name == "reports"}  # the command, as it was typed
    assert set(unexpected) == records
    for path in records:
        assert str(home) not in json.dumps(json.loads(path.read_text())["stages"])


def test_a_copy_takes_every_stage_from_its_own_cache(digits_copy, copy):
    before = _state(digits_copy.home)

    done = headrace("run", "digits", "--home", copy, "--set", "evaluate.thresholds.accuracy.min=0.5")

    assert done.code == 0, done.out + done.err
    executed = {name for name, detail in done.stages().items() if detail != "cached"}
    assert executed == {"start", "data_gate", "model_gate", "publish", "report"}
    assert _state(digits_copy.home) == before


def test_a_copy_is_told_of_by_its_own_files(digits_copy, copy):
    newest, other = runs.runs(copy, "digits")[:2]

    compared = _ask(copy, "compare", newest.run, other.run)
    shown = _ask(copy, "show", newest.run)

    assert compared["notes"] == []
    folders = [folder for stage in shown["stages"] for folder in stage["outputs"].values()]
    assert folders
    assert all(Path(folder).is_relative_to(copy) and Path(folder).is_dir() for folder in folders)


def test_a_copy_is_tidied_up_and_the_original_left_alone(digits_copy, copy):
    before = _state(digits_copy.home)
    kept = {folder for stage in runs.runs(copy, "digits")[0].stages for folder in stage.outputs.values()}

    collected = _ask(copy, "gc", "digits", "--keep", "1")

    assert all(Path(item["path"]).is_relative_to(copy) for item in collected["items"])
    assert all(Path(folder).is_dir() for folder in kept)
    assert kept <= {item["path"] for item in collected["kept"]}
    assert _state(digits_copy.home) == before


def test_by_a_link_a_home_is_the_same(copy, tmp_path):
    (tmp_path / "link").symlink_to(copy)

    done = headrace("run", "digits", "--home", tmp_path / "link", "--set", "evaluate.thresholds.accuracy.min=0.5")

    assert done.code == 0, done.out + done.err
    assert "No change" in done.out


def test_mounted_at_another_path_a_home_is_the_same(copy, tmp_path):
    (tmp_path / "mounted").mkdir()

    with bound(copy, tmp_path / "mounted"):
        done = headrace(
            "run", "digits", "--home", tmp_path / "mounted", "--set", "evaluate.thresholds.accuracy.min=0.5"
        )
        planned = _ask(tmp_path / "mounted", "gc", "digits", "--keep", "1", "--dry-run")

    assert done.code == 0, done.out + done.err
    assert "No change" in done.out
    assert planned["items"] == []


@pytest.mark.parametrize(
    "arguments", [["runs"], ["show", "digits"], ["why", "digits"], ["logs", "digits"], ["versions", "digits"]]
)
def test_a_home_that_is_read_only_can_be_looked_at(copy, arguments):
    with read_only(copy):
        done = headrace(*arguments, "--home", copy)

    assert done.code == 0, done.out + done.err
    assert done.out


def test_a_home_that_is_read_only_answers(copy, tmp_path):
    Image.new("L", (8, 8), 120).save(tmp_path / "grey.png")

    with read_only(copy):
        (prediction,) = _ask(copy, "predict", "digits", tmp_path / "grey.png")

    assert len(prediction["top"]) > 1


@pytest.mark.parametrize(
    "arguments", [["run", "digits"], ["gc", "digits"], ["repair", "digits"], ["promote", "digits", "latest"]]
)
def test_what_writes_into_a_home_that_is_read_only_says_so_in_a_sentence(copy, arguments):
    with read_only(copy):
        done = headrace(*arguments, "--home", copy)

    assert done.code == 2, done.out + done.err
    assert done.err.count("\n") == 1
    assert "cannot be written to (Read-only file system)" in done.err
