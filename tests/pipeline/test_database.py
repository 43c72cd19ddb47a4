"""Real damage to real SQLite files; the whole pipeline adds nothing here but ML Metadata's tables."""

import sqlite3
from contextlib import closing

import pytest

from data.errors import ConfigError
from pipeline import database
from pipeline.places import Places
from tests.mounts import read_only


@pytest.fixture
def places(tmp_path) -> Places:
    """A pipeline with two finished executions and their artifacts, and a backup."""
    made = Places.of(tmp_path, "digits")
    for number in (1, 2):
        (made.artifacts / "train" / "model" / str(number)).mkdir(parents=True)
    with closing(sqlite3.connect(made.database)) as file:
        file.execute("create table Execution (id integer primary key, name text)")
        file.executemany("insert into Execution (name) values (?)", [("x" * 2000,)] * 2)
        file.commit()
    database.back_up(made)
    return made


def _executions(places: Places) -> int:
    with closing(sqlite3.connect(places.database)) as file:
        return file.execute("select count(*) from Execution").fetchone()[0]


def test_a_fit_database_passes_and_needs_no_repair(places):
    database.check(places)

    assert database.repair(places) == [f"{places.database} is fit; nothing to repair"]


def test_before_the_first_run_there_is_nothing_to_check(tmp_path):
    database.check(Places.of(tmp_path, "digits"))


def test_a_deleted_database_is_told_restored_and_overwrites_nothing(places):
    places.database.unlink()

    with pytest.raises(
        ConfigError, match=r"metadata.db is missing though .* holds artifacts; run `headrace repair digits`"
    ):
        database.check(places)
    (line,) = database.repair(places)

    assert line.startswith("restored the backup of 20")
    assert _executions(places) == 2
    database.check(places)
    assert (places.artifacts / "train" / "model" / "2").is_dir()


def test_a_deleted_database_without_a_backup_moves_the_artifacts_aside(places):
    places.database.unlink()
    places.backup.unlink()

    lines = database.repair(places)

    assert lines[0] == "there is no backup and no record: the next run begins anew"
    assert len(lines) == 3
    assert not (places.artifacts / "train" / "model" / "1").exists()
    assert len(list((places.artifacts / "train" / "model").glob("*.unknown-*"))) == 2


@pytest.mark.parametrize("content", [b"this is not a database" * 100, None])
def test_a_corrupt_database_is_told_in_one_line_and_restored(places, content):
    if content is None:  # the middle of the file is overwritten
        size = places.database.stat().st_size
        with places.database.open("r+b") as file:
            file.seek(size // 2)
            file.write(b"\xff" * (size // 2))
    else:
        places.database.write_bytes(content)

    with pytest.raises(ConfigError, match=r"metadata.db is corrupt .*; run `headrace repair digits`") as caught:
        database.check(places)
    lines = database.repair(places)

    assert "\n" not in str(caught.value)
    assert lines[0].startswith("moved the damaged database to metadata.db.damaged-")
    assert _executions(places) == 2


def test_a_read_only_database_is_told(places):
    with (
        read_only(places.database),
        pytest.raises(ConfigError, match=r"metadata.db is read-only; run `chmod u\+w .*`, or mount its file system"),
    ):
        database.check(places)


def test_a_database_in_use_is_told(places):
    with closing(sqlite3.connect(places.database)) as other:
        other.execute("begin exclusive")

        with pytest.raises(ConfigError, match="is in use by another program; close it and run again"):
            database.check(places)


def test_artifacts_newer_than_a_restored_backup_are_not_written_into(places):
    newer = places.artifacts / "train" / "model" / "3"
    newer.mkdir()

    assert database.set_aside_unknown(places) == [newer]
    assert not newer.exists()
    assert (places.artifacts / "train" / "model" / "2").is_dir()
