import os
import sqlite3
import time

import platformdirs
import pytest

from data import loading
from data.config import DataConfig
from data.files import file_cache

HOUR_AGO = time.time() - 3600


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of the user's cache, empty."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(folder / name))
    return folder / "headrace"


@pytest.fixture
def table(tmp_path):
    """A table that was written an hour ago."""
    file = tmp_path / "rows.csv"
    _write(file, "x,y\n" + "".join(f"{index * 7 % 40},{index % 2}\n" for index in range(40)))
    return file


def _write(file, text: str) -> None:
    """Overwrites a file and sets its time to an hour ago: text of the same size changes the content only."""
    with file.open("r+" if file.exists() else "w") as target:
        target.write(text)
        target.truncate()
    os.utime(file, (HOUR_AGO, HOUR_AGO))


def _dataset(table, **settings):
    settings_of_table = {
        "files": table.name,
        "features": {"x": "number", "y": {"kind": "label", "classes": ["0", "1"]}},
    }
    return loading.load(DataConfig.model_validate({**settings_of_table, **settings}), "mine", table.parent)


def test_checks_trust_unchanged_files_and_a_run_reads_all(table):
    before = _dataset(table).last_digest()
    _write(table, table.read_text().replace("7,1", "7,0"))

    assert _dataset(table).last_digest() == before
    assert _dataset(table).digest() != before
    assert _dataset(table).last_digest() == _dataset(table).digest()  # the digest that the run computed is cached


@pytest.mark.parametrize("change", ["size", "time", "inode", "path"])
def test_a_file_that_changed_in_any_way_is_read_again(table, change):
    before = _dataset(table).last_digest()
    text = table.read_text().replace("7,1", "7,0")

    if change == "size":
        _write(table, text + "40,0\n")
    elif change == "time":
        table.write_text(text)
        os.utime(table, (HOUR_AGO + 1, HOUR_AGO + 1))
    elif change == "inode":
        _write(table.with_name("new.csv"), text)
        table.with_name("new.csv").replace(table)
    else:
        table = table.with_name("other.csv")
        _write(table, text)

    assert _dataset(table).last_digest() != before


def test_a_file_that_was_just_written_is_not_trusted(table):
    table.write_text(table.read_text())  # a second write within one tick of the clock does not change the time
    now = table.stat().st_mtime_ns
    before = _dataset(table).last_digest()

    table.write_text(table.read_text().replace("7,1", "7,0"))
    os.utime(table, ns=(now, now))

    assert _dataset(table).last_digest() != before


def test_the_label_of_an_unchanged_table_is_inferred_once(table, monkeypatch):
    from data.inference import facts

    surveys, survey = [], facts.survey
    monkeypatch.setattr(facts, "survey", lambda *given: surveys.append(1) or survey(*given))

    first = _dataset(table, features={}, label="y")
    second = _dataset(table, features={}, label="y")
    assert len(surveys) == 1
    assert (second.spec, second.inferred) == (first.spec, first.inferred)

    _dataset(table, features={}, label="x")
    assert len(surveys) == 2  # another setting
    _write(table, table.read_text() + "40,NA\n")
    changed = _dataset(table, features={}, label="y")
    assert len(surveys) == 3
    assert changed.inferred["missing_values"] != first.inferred["missing_values"]


@pytest.mark.parametrize("damage", ["read-only", "not a database"])
def test_an_unusable_cache_is_ignored(table, cache, damage):
    cache.parent.mkdir()
    if damage == "read-only":
        cache.write_text("a file where the folder should be")
    else:
        cache.mkdir()
        (cache / "files.db").write_text("no database" * 100)

    assert _dataset(table).last_digest() == _dataset(table).digest()
    assert _dataset(table, features={}, label="y").spec.features.keys() == {"x", "y"}


def test_old_values_are_deleted(table, cache, monkeypatch):
    file_cache.sha256s([table], trust=True)
    monkeypatch.setattr(file_cache, "KEPT_SECONDS", -10.0)

    file_cache.facts([table], "another question", lambda: 1)

    with sqlite3.connect(cache / "files.db") as database:
        assert database.execute("select count(*) from known").fetchone() == (0,)


def test_the_cache_holds_no_path(table, cache):
    file_cache.sha256s([table], trust=True)
    file_cache.facts([table], "a question", lambda: 1)

    assert b"rows.csv" not in (cache / "files.db").read_bytes()
