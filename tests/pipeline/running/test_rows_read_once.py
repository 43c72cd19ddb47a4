"""`headrace new` and `check --rows` read all rows once, and again only if something has changed."""

import os
import random
import sys
import time
from pathlib import Path

import platformdirs
import pytest
from click.testing import CliRunner

from data import loading
from data.errors import DataError
from data.sources.tables import formats
from pipeline.commands.cli import cli
from pipeline.core import config
from pipeline.running import preflight
from tests.data.made_pictures import photo, saved

HOUR_AGO = time.time() - 3600
FEATURES = "{size: number, kind: {kind: label, classes: [a, b]}}"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, empty, beside an empty cache of the user's."""
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))  # where headrace is
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def readings(monkeypatch):
    """The data sets whose rows were read, in order."""
    datasets, read = [], loading.open_batches
    monkeypatch.setattr(
        loading, "open_batches", lambda dataset, *arguments: datasets.append(dataset) or read(dataset, *arguments)
    )
    return datasets


def _rows(count=60, seed=1):
    draw = random.Random(seed)
    return "size,kind\n" + "".join(f"{draw.random():.4f},{draw.choice('ab')}\n" for _ in range(count))


def _write(name: str, text: str | bytes, age: float = 3600) -> None:
    """Writes a file with a modification time of `age` seconds ago."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    os.utime(path, (HOUR_AGO + 3600 - age,) * 2)


def _read(*overrides: str) -> dict:
    if not Path("mine.yaml").exists():
        Path("mine.yaml").write_text(
            f"task: tabular_classification\ndata:\n  files: rows.csv\n  features: {FEATURES}\n"
            "  checks: {min_rows: 1, duplicates: {policy: warn}}\n"
        )
    return preflight.read_everything(config.load("mine.yaml", overrides))


def test_check_after_new_prints_the_same_without_reading_the_rows_again(monkeypatch):
    _write("../elsewhere/rows.csv", _rows(2000) + "0.5,a\n0.5,a\n")
    opened_files, read = [], formats.blocks
    monkeypatch.setattr(formats, "blocks", lambda path, *arguments: opened_files.append(path) or read(path, *arguments))

    new = CliRunner().invoke(cli, ["new", "mine", "--data", "../elsewhere/rows.csv", "--label", "kind"])
    assert (new.exit_code, len(opened_files)) == (0, 1)
    check = CliRunner().invoke(cli, ["check", "./mine.yaml", "--rows"])

    assert (check.exit_code, len(opened_files)) == (0, 1)
    lines = new.stdout.splitlines()
    assert check.stdout.splitlines()[:-1] == lines[1 : lines.index("ok: mine can be run")]
    assert any("are duplicates" in line or "is a duplicate" in line for line in lines)


@pytest.mark.parametrize("change", ["content", "time", "another file", "setting", "name"])
def test_rows_are_read_again_if_a_file_or_a_setting_has_changed(readings, change):
    _write("rows.csv", _rows())
    before = _read()
    assert _read() == before
    assert len(readings) == 1
    overrides = ()

    if change == "content":
        _write("rows.csv", _rows(seed=2), age=1800)  # as long
    elif change == "time":
        _write("rows.csv", _rows(), age=1800)
    elif change == "another file":
        _write("new.csv", _rows(seed=2))
        Path("new.csv").replace("rows.csv")
    elif change == "setting":
        overrides = ("data.splits.test=0.3",)
    else:
        _write("other.csv", _rows(seed=2))
        overrides = ("data.files=other.csv",)
    after = _read(*overrides)

    assert len(readings) == 2
    assert (after == before) == (change == "time")


def test_a_folder_of_classes_is_read_again_after_a_file_was_added(readings):
    Path("mine.yaml").write_text(
        "task: text_classification\ndata: {files: notes, checks: {min_rows: 1, min_classes: 1}, "
        "features: {text: text, label: {kind: label, classes: [a, b]}}}\n"
    )
    for number in range(40):
        _write(f"notes/{'ab'[number % 2]}/{number}.txt", f"note {number} of many")

    before = _read()
    assert _read() == before
    assert len(readings) == 1
    _write("notes/a/more.txt", "one more")
    _read()

    assert len(readings) == 2


def test_refused_data_and_tables_with_image_files_are_read_each_time(readings):
    _write("rows.csv", _rows(10) + "wide,a\n")
    for _ in range(2):
        with pytest.raises(DataError, match=r"rows\.csv:12:size"):
            _read()
    assert len(readings) == 2

    for number in range(60):
        _write(f"{number}.png", saved(photo(8, 8, seed=number), "PNG"))
    _write("rows.csv", "photo,kind\n" + "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(60)))
    photos = "photo: {kind: image, height: 8, width: 8, channels: 3}"
    Path("mine.yaml").write_text(
        "task: image_classification\ndata:\n  files: rows.csv\n  checks: {min_rows: 1, min_classes: 1}\n"
        f"  features: {{{photos}, kind: {{kind: label, classes: [a, b]}}}}\n"
    )
    assert _read() == _read()
    assert len(readings) == 4
