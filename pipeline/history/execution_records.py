"""A JSON file for each finished execution in ML Metadata, from which the database can be rebuilt.

Rows are stored unchanged, ids and times included, since TFX's cache keys contain ids.
"""

import contextlib
import json
import sqlite3
from typing import Any

from data.files import atomic
from pipeline.core.paths import PipelinePaths
from pipeline.history import mlmd


def write(paths: PipelinePaths) -> None:
    """Writes `<execution>.json`, atomically, for each ended execution without a record."""
    if not paths.database.exists():
        return
    paths.execution_records.mkdir(exist_ok=True)
    written = {path.stem for path in paths.execution_records.iterdir()}
    with mlmd.reading(paths.database) as database:
        for execution in sorted(mlmd.executions(database) - mlmd.unfinished(database)):
            if str(execution) not in written:
                text = json.dumps(mlmd.rows(database, execution), default=lambda value: {"hex": value.hex()})
                atomic.write(paths.execution_records / f"{execution}.json", text)


def match(paths: PipelinePaths) -> bool:
    """Returns whether the database has the execution of the newest record, or there is no record.

    It has not if the database belongs to another home, or is older than the records.
    """
    newest = max(paths.execution_records.glob("*.json"), key=lambda path: int(path.stem), default=None)
    if newest is None or not paths.database.exists():
        return True
    (recorded,) = json.loads(newest.read_text())["Execution"]
    with mlmd.reading(paths.database) as database:
        return mlmd.execution_name(database, int(newest.stem)) == recorded["name"]


def restore(paths: PipelinePaths) -> int:
    """Restores the executions missing from the database and returns their number; creates the database if needed."""
    files = sorted(paths.execution_records.glob("*.json"), key=lambda path: int(path.stem))
    if not files:
        return 0
    mlmd.open_store(paths.database, read_only=False)  # creates the tables
    with contextlib.closing(sqlite3.connect(paths.database)) as database, database:
        existing = mlmd.executions(database)
        missing = [path for path in files if int(path.stem) not in existing]
        for path in missing:
            mlmd.insert(database, json.loads(path.read_text(), object_hook=_with_bytes))
    return len(missing)


def _with_bytes(values: dict[str, Any]) -> Any:
    """Returns a JSON object unchanged, or the bytes that `{"hex": ...}` encodes."""
    return bytes.fromhex(values["hex"]) if values.keys() == {"hex"} else values
