"""Real damage to real SQLite files that have a table of ML Metadata."""

import sqlite3
from contextlib import closing

import pytest

from data.errors import ConfigError
from pipeline.core.paths import PipelinePaths
from pipeline.history import database
from tests.mounts import read_only


@pytest.fixture
def paths(tmp_path) -> PipelinePaths:
    """A pipeline with two finished executions and their artifacts, and a backup."""
    paths = PipelinePaths.of(tmp_path, "digits")
    for number in (1, 2):
        (paths.artifacts / "train" / "model" / str(number)).mkdir(parents=True)
    with closing(sqlite3.connect(paths.database)) as file:
        file.execute("create table Execution (id integer primary key, name text)")
        file.executemany("insert into Execution (name) values (?)", [("x" * 2000,)] * 2)
        file.commit()
    database.back_up(paths)
    return paths


def _executions(paths: PipelinePaths) -> int:
    with closing(sqlite3.connect(paths.database)) as file:
        return file.execute("select count(*) from Execution").fetchone()[0]


def test_a_valid_database_passes_and_needs_no_repair(paths):
    database.check(paths)

    assert database.repair(paths) == [f"{paths.database} is fit; nothing to repair"]


def test_before_the_first_run_there_is_nothing_to_check(tmp_path):
    database.check(PipelinePaths.of(tmp_path, "digits"))


def test_a_deleted_database_is_reported_and_restored_and_overwrites_nothing(paths):
    paths.database.unlink()

    with pytest.raises(
        ConfigError, match=r"metadata.db is missing though .* holds artifacts; run `headrace repair digits`"
    ):
        database.check(paths)
    (line,) = database.repair(paths)

    assert line.startswith("restored the backup of 20")
    assert _executions(paths) == 2
    database.check(paths)
    assert (paths.artifacts / "train" / "model" / "2").is_dir()


def test_a_deleted_database_without_a_backup_renames_the_artifacts(paths):
    paths.database.unlink()
    paths.backup.unlink()

    lines = database.repair(paths)

    assert lines[0] == "there is no backup and no record: the next run begins anew"
    assert len(lines) == 3
    assert not (paths.artifacts / "train" / "model" / "1").exists()
    assert len(list((paths.artifacts / "train" / "model").glob("*.unknown-*"))) == 2


@pytest.mark.parametrize("content", [b"this is not a database" * 100, None])
def test_a_corrupt_database_is_reported_in_one_line_and_restored(paths, content):
    if content is None:  # the middle of the file is overwritten
        size = paths.database.stat().st_size
        with paths.database.open("r+b") as file:
            file.seek(size // 2)
            file.write(b"\xff" * (size // 2))
    else:
        paths.database.write_bytes(content)

    with pytest.raises(ConfigError, match=r"metadata.db is corrupt .*; run `headrace repair digits`") as caught:
        database.check(paths)
    lines = database.repair(paths)

    assert "\n" not in str(caught.value)
    assert lines[0].startswith("moved the damaged database to metadata.db.damaged-")
    assert _executions(paths) == 2


def test_a_read_only_database_is_reported(paths):
    with (
        read_only(paths.database),
        pytest.raises(ConfigError, match=r"metadata.db is read-only; run `chmod u\+w .*`, or mount its file system"),
    ):
        database.check(paths)


def test_a_database_in_use_is_reported(paths):
    with closing(sqlite3.connect(paths.database)) as other:
        other.execute("begin exclusive")

        with pytest.raises(ConfigError, match="is in use by another program; close it and run again"):
            database.check(paths)


def test_artifacts_newer_than_a_restored_backup_are_not_written_into(paths):
    newer = paths.artifacts / "train" / "model" / "3"
    newer.mkdir()

    assert database.rename_unknown(paths) == [newer]
    assert not newer.exists()
    assert (paths.artifacts / "train" / "model" / "2").is_dir()


def test_a_backup_is_replaced_and_leaves_no_other_file(paths):
    with closing(sqlite3.connect(paths.database)) as file:
        file.execute("insert into Execution (name) values ('third')")
        file.commit()
    files = set(paths.runs.iterdir())

    database.back_up(paths)

    with closing(sqlite3.connect(paths.backup)) as file:
        assert file.execute("select count(*) from Execution").fetchone()[0] == 3
    assert set(paths.runs.iterdir()) == files


def test_a_damaged_database_does_not_replace_the_backup(paths):
    with closing(sqlite3.connect(paths.database)) as file:  # a row that violates the schema of its table
        file.execute("insert into Execution (name) values (null)")
        file.execute("pragma writable_schema = on")
        table = "create table Execution (id integer primary key, name text not null)"
        file.execute("update sqlite_master set sql = ?", (table,))
        file.commit()
    before = paths.backup.read_bytes()

    database.back_up(paths)

    assert paths.backup.read_bytes() == before
    assert [path.name for path in paths.runs.iterdir() if path.name.startswith(".")] == []
