"""What ML Metadata knows of each finished execution, in a file of its own: the database can be built anew from these.

Rows are kept as SQLite has them, ids and times included: TFX's cache keys are made of ids.
"""

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from data import atomic
from pipeline.core.paths import PipelinePaths

UNFINISHED = (1, 2)  # ML Metadata's NEW and RUNNING
# Table -> which of its rows belong to execution :id. Types are few, and kept whole.
_ARTIFACTS = "select artifact_id from Event where execution_id = :id"
_CONTEXTS = "select context_id from Association where execution_id = :id"
_ROWS = {
    "Type": "true",
    "TypeProperty": "true",
    "ParentType": "true",
    "Execution": "id = :id",
    "ExecutionProperty": "execution_id = :id",
    "Artifact": f"id in ({_ARTIFACTS})",
    "ArtifactProperty": f"artifact_id in ({_ARTIFACTS})",
    "Event": "execution_id = :id",
    "EventPath": "event_id in (select id from Event where execution_id = :id)",
    "Context": f"id in ({_CONTEXTS})",
    "ContextProperty": f"context_id in ({_CONTEXTS})",
    "ParentContext": f"context_id in ({_CONTEXTS})",
    "Association": "execution_id = :id",
    "Attribution": f"artifact_id in ({_ARTIFACTS}) and context_id in ({_CONTEXTS})",
}


def write(paths: PipelinePaths) -> None:
    """Writes `<execution>.json` for each ended execution that has no record yet; a file appears whole or not at all."""
    if not paths.database.exists():
        return
    paths.records.mkdir(exist_ok=True)
    there = {path.stem for path in paths.records.iterdir()}
    with contextlib.closing(sqlite3.connect(paths.database)) as connection:
        connection.row_factory = sqlite3.Row
        ended = f"select id from Execution where last_known_state not in {UNFINISHED}"
        for (execution,) in connection.execute(ended).fetchall():
            if str(execution) not in there:
                _write_one(connection, paths.records, execution)


def _write_one(connection: sqlite3.Connection, folder: Path, execution: int) -> None:
    found = {}
    for table, rows in _ROWS.items():
        query = f"select * from {table} where {rows}"
        found[table] = [dict(row) for row in connection.execute(query, {"id": execution})]
    atomic.write(folder / f"{execution}.json", json.dumps(found, default=lambda value: {"hex": value.hex()}))


def restore(paths: PipelinePaths) -> int:
    """Puts back the executions that the database does not know, and returns how many; makes a database if need be."""
    files = sorted(paths.records.glob("*.json"), key=lambda path: int(path.stem))
    if not files:
        return 0
    _create(paths.database)
    with contextlib.closing(sqlite3.connect(paths.database)) as connection, connection:
        known = {execution for (execution,) in connection.execute("select id from Execution")}
        missing = [path for path in files if int(path.stem) not in known]
        for path in missing:
            for table, rows in json.loads(path.read_text()).items():
                for row in rows:
                    _insert(connection, table, row)
    return len(missing)


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    values = [bytes.fromhex(value["hex"]) if isinstance(value, dict) else value for value in row.values()]
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    connection.execute(f"insert or ignore into {table} ({names}) values ({marks})", values)


def _create(database: Path) -> None:
    """Makes the tables where there are none, as ML Metadata does it."""
    from tfx.orchestration import metadata

    with metadata.Metadata(metadata.sqlite_metadata_connection_config(str(database))):
        pass
