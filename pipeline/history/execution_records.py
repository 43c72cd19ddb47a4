"""What ML Metadata knows of each finished execution, in a file of its own: the database can be built anew from these.

Rows are kept as SQLite has them, ids and times included: TFX's cache keys are made of ids.
"""

import contextlib
import json
import sqlite3
from typing import Any

from data.files import atomic
from pipeline.core.paths import PipelinePaths
from pipeline.history import mlmd


def write(paths: PipelinePaths) -> None:
    """Writes `<execution>.json` for each ended execution that has no record yet; a file appears whole or not at all."""
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
    """Returns whether the database knows the execution of the newest file under its number; so without a file.

    It does not where it is of another home, or older than the files.
    """
    newest = max(paths.execution_records.glob("*.json"), key=lambda path: int(path.stem), default=None)
    if newest is None or not paths.database.exists():
        return True
    (written,) = json.loads(newest.read_text())["Execution"]
    with mlmd.reading(paths.database) as database:
        return mlmd.execution_name(database, int(newest.stem)) == written["name"]


def restore(paths: PipelinePaths) -> int:
    """Puts back the executions that the database does not know, and returns how many; makes a database if need be."""
    files = sorted(paths.execution_records.glob("*.json"), key=lambda path: int(path.stem))
    if not files:
        return 0
    mlmd.open_store(paths.database, read_only=False)  # makes the tables
    with contextlib.closing(sqlite3.connect(paths.database)) as database, database:
        known = mlmd.executions(database)
        missing = [path for path in files if int(path.stem) not in known]
        for path in missing:
            mlmd.insert(database, json.loads(path.read_text(), object_hook=_with_bytes))
    return len(missing)


def _with_bytes(values: dict[str, Any]) -> Any:
    """Returns a JSON object as it is; where it stands for bytes, those."""
    return bytes.fromhex(values["hex"]) if values.keys() == {"hex"} else values
