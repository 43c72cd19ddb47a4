"""ML Metadata's SQLite file: is it fit for a run, a backup after each run, and repair."""

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
    """Raises ConfigError, with the command that mends it, unless the database can be used or there is nothing yet."""
    path, pipeline = paths.database, paths.runs.name
    repair = f"run `headrace repair {pipeline}`"
    if not path.exists():
        if paths.artifact_folders():
            raise ConfigError(f"{path} is missing though {paths.artifacts} holds artifacts; {repair}.")
        return
    if not os.access(path, os.W_OK):  # SQLite would open it for reading, and say so at the first write
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
    """Copies the database beside itself; the copy appears whole or not at all, and never one of a damaged database."""
    if not paths.database.exists():
        return
    with contextlib.closing(sqlite3.connect(paths.database)) as database:
        if _verdict(database) == "ok":
            with atomic.replacing(paths.backup) as staging, contextlib.closing(sqlite3.connect(staging)) as copy:
                database.backup(copy)


def _verdict(database: sqlite3.Connection) -> str:
    """Returns `ok`, or what SQLite finds wrong first."""
    ((verdict,),) = database.execute("pragma quick_check(1)").fetchall()
    return verdict.splitlines()[-1]


def repair(paths: PipelinePaths) -> list[str]:
    """Makes the database fit for a run and returns what was done, a line each.

    The backup of the last run takes its place; executions that it does not know, or all without a backup, are put back
    from their records. Artifacts that it then does not know are moved aside, never overwritten.
    """
    try:
        check(paths)
    except ConfigError as error:
        if "corrupt" not in str(error) and "missing" not in str(error):
            raise
    else:
        return [f"{paths.database} is fit; nothing to repair"]
    done = []
    stamp = time.strftime("%Y%m%d-%H%M%S")
    if paths.database.exists():
        damaged = paths.database.with_name(f"metadata.db.damaged-{stamp}")
        paths.database.rename(damaged)
        done.append(f"moved the damaged database to {damaged.name}")
    if paths.backup.exists():
        with (
            contextlib.closing(sqlite3.connect(paths.backup)) as backup,
            contextlib.closing(sqlite3.connect(paths.database)) as database,
        ):
            backup.backup(database)
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(paths.backup.stat().st_mtime))
        done.append(f"restored the backup of {when}")
    restored = execution_records.restore(paths)
    if restored:
        done.append(f"put back {restored} executions from their records")
    if not paths.database.exists():
        done.append("there is no backup and no record: the next run begins anew")
    return done + [f"moved {path} aside: no run knows of it" for path in set_aside_unknown(paths)]


def make_relative(paths: PipelinePaths) -> None:
    """Makes URIs that an earlier release recorded relative to the home: TFX looks for cached artifacts by them."""
    if paths.database.exists():
        with contextlib.closing(sqlite3.connect(paths.database)) as database, database:
            mlmd.rewrite_uris(database, lambda uri: paths.recorded(paths.artifact(uri)))


def set_aside_unknown(paths: PipelinePaths) -> list[Path]:
    """Moves artifacts with a number that the database has still to give out, and returns where they were.

    TFX numbers folders by execution; with a database older than the folders it would write into them.
    """
    last = 0
    if paths.database.exists():
        with mlmd.reading(paths.database) as database:
            last = max(mlmd.executions(database), default=0)
    found = [path for path in paths.artifact_folders() if int(path.name) > last]
    for path in found:
        path.rename(path.with_name(f"{path.name}.unknown-{time.time_ns()}"))
    return found
