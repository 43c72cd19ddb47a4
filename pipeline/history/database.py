"""ML Metadata's SQLite file: check before a run, backup after it, and repair."""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

from data.errors import ConfigError
from data.files import atomic
from pipeline.core.paths import PipelinePaths
from pipeline.history import execution_records, mlmd


def check(paths: PipelinePaths) -> None:
    """Raises ConfigError with the command that fixes it unless the database is usable, or there is no run yet."""
    path, pipeline = paths.database, paths.runs.name
    repair = f"run `headrace repair {pipeline}`"
    if not path.exists():
        if paths.artifact_folders():
            raise ConfigError(f"{path} is missing though {paths.artifacts} holds artifacts; {repair}.")
        return
    if not os.access(path, os.W_OK):  # SQLite would open it for reading and fail at the first write
        raise ConfigError(f"{path} is read-only; run `chmod u+w {path}`, or mount its file system for writing.")
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=5, isolation_level=None)) as database:
            verdict = _verdict(database)
            if verdict != "ok":
                raise ConfigError(f"{path} is corrupt ({verdict}); {repair}.")
            mlmd.executions(database)  # fails where tables are missing
            database.execute("begin immediate")  # fails where another program holds it
            database.execute("rollback")
    except sqlite3.DatabaseError as error:
        if "locked" in str(error):
            raise ConfigError(f"{path} is in use by another program; close it and run again.") from error
        raise ConfigError(f"{path} is corrupt ({error}); {repair}.") from error


def back_up(paths: PipelinePaths) -> None:
    """Copies the database atomically; a damaged database is not copied."""
    if not paths.database.exists():
        return
    with contextlib.closing(sqlite3.connect(paths.database)) as database:
        if _verdict(database) == "ok":
            with atomic.replacing(paths.backup) as staging, contextlib.closing(sqlite3.connect(staging)) as copy:
                database.backup(copy)


def _verdict(database: sqlite3.Connection) -> str:
    """Returns `ok`, or the first error that SQLite reports."""
    ((verdict,),) = database.execute("pragma quick_check(1)").fetchall()
    return verdict.splitlines()[-1]


def repair(paths: PipelinePaths) -> list[str]:
    """Repairs the database and returns a line for each step taken.

    The backup of the last run replaces it. Executions missing from the backup, or all if there is none, are restored
    from their records. Artifacts that the database still does not know are renamed, never overwritten.

    Raises:
        ConfigError: The database is read-only or in use by another program.
    """
    try:
        check(paths)
    except ConfigError as error:
        if "corrupt" not in str(error) and "missing" not in str(error):
            raise
    else:
        return [f"{paths.database} is fit; nothing to repair"]
    steps = []
    stamp = time.strftime("%Y%m%d-%H%M%S")
    if paths.database.exists():
        damaged = paths.database.with_name(f"metadata.db.damaged-{stamp}")
        paths.database.rename(damaged)
        steps.append(f"moved the damaged database to {damaged.name}")
    if paths.backup.exists():
        with (
            contextlib.closing(sqlite3.connect(paths.backup)) as backup,
            contextlib.closing(sqlite3.connect(paths.database)) as database,
        ):
            backup.backup(database)
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(paths.backup.stat().st_mtime))
        steps.append(f"restored the backup of {when}")
    restored = execution_records.restore(paths)
    if restored:
        steps.append(f"put back {restored} executions from their records")
    if not paths.database.exists():
        steps.append("there is no backup and no record: the next run begins anew")
    return steps + [f"renamed {path}: no run refers to it" for path in rename_unknown(paths)]


def make_relative(paths: PipelinePaths) -> None:
    """Makes absolute URIs of an earlier release relative to the home; TFX finds cached artifacts by their URI."""
    if paths.database.exists():
        with contextlib.closing(sqlite3.connect(paths.database)) as database, database:
            mlmd.rewrite_uris(database, lambda uri: paths.recorded(paths.artifact(uri)))


def rename_unknown(paths: PipelinePaths) -> list[Path]:
    """Renames artifacts whose number is above all executions in the database; returns their former paths.

    TFX numbers folders by execution; with a database older than the folders it would write into them.
    """
    last = 0
    if paths.database.exists():
        with mlmd.reading(paths.database) as database:
            last = max(mlmd.executions(database), default=0)
    unknown = [path for path in paths.artifact_folders() if int(path.name) > last]
    for path in unknown:
        path.rename(path.with_name(f"{path.name}.unknown-{time.time_ns()}"))
    return unknown
