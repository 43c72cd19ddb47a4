"""All queries on ML Metadata's SQLite file, whose schema is private to ML Metadata.

Functions take a connection and return plain values. Only `open_store` loads ML Metadata; nothing loads TFX.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipeline.history.record import StageRecord

# ML Metadata's Execution.State and Event.Type.
STATES = {1: "new", 2: "running", 3: "done", 4: "failed", 5: "cached", 6: "stopped"}
UNFINISHED = (1, 2)
INPUT, OUTPUT = 3, 4

# Table -> condition on the rows that belong to execution :id. The few types are kept completely.
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


@contextlib.contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    """Opens a pipeline's database read-only within the block.

    Raises:
        sqlite3.Error: The file is missing; for a damaged file the first query raises it.
    """
    with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        yield connection


# --- runs and their stages --------------------------------------------------------------------------------------------


def runs(database: sqlite3.Connection) -> dict[str, float]:
    """Returns run -> start in seconds since 1970, in order of the start."""
    query = (
        "select c.name, c.create_time_since_epoch from Context c join Type t on t.id = c.type_id "
        "where t.name = 'pipeline_run' order by c.id"
    )
    return {run: milliseconds / 1000 for run, milliseconds in database.execute(query)}


def stages(database: sqlite3.Connection, run: str) -> list[StageRecord]:
    """Returns the stages of a run in order of their start, with their artifacts; empty for an unknown run.

    Folders of outputs are as recorded; see `PipelinePaths.artifact`.
    """
    query = (
        "select e.id, n.name, e.last_known_state, e.create_time_since_epoch, e.last_update_time_since_epoch "
        "from Context r join Type rt on rt.id = r.type_id and rt.name = 'pipeline_run' "
        "join Association ra on ra.context_id = r.id join Execution e on e.id = ra.execution_id "
        "join Association na on na.execution_id = e.id join Context n on n.id = na.context_id "
        "join Type nt on nt.id = n.type_id and nt.name = 'node' where r.name = :run order by e.id"
    )
    stages = []
    for execution, node, state_number, started, ended in database.execute(query, {"run": run}).fetchall():
        state = STATES.get(state_number, "unknown")
        # A node's name begins with the pipeline's.
        stage = StageRecord(node.rsplit(".", 1)[-1], state, started=started / 1000, execution=execution)
        stage.seconds = 0.0 if state == "cached" else (ended - started) / 1000
        for artifact, event_type, name, folder in _events(database, execution):
            if event_type == INPUT:
                stage.consumed[artifact] = name
            elif event_type == OUTPUT:
                stage.produced[artifact] = name
                stage.outputs[name] = folder
        stages.append(stage)
    return stages


def inputs(database: sqlite3.Connection, execution: int) -> dict[str, str]:
    """Returns input name -> folder of the artifact, as recorded, of an execution."""
    return {name: folder for _, event_type, name, folder in _events(database, execution) if event_type == INPUT}


def _events(database: sqlite3.Connection, execution: int) -> list[tuple[int, int, str, str]]:
    """Returns tuples (artifact id, Event.Type, name of the input or output, folder of the artifact)."""
    query = (
        "select v.artifact_id, v.type, coalesce((select step_key from EventPath p where p.event_id = v.id and "
        "step_key is not null limit 1), ''), a.uri from Event v join Artifact a on a.id = v.artifact_id "
        "where v.execution_id = :id order by v.id"
    )
    return database.execute(query, {"id": execution}).fetchall()


def properties(database: Path, execution: int) -> dict[str, Any]:
    """Returns name -> value of an execution's properties, from which TFX derives its cache key."""
    (stored_execution,) = open_store(database, read_only=True).get_executions_by_id([execution])
    items = (*stored_execution.properties.items(), *stored_execution.custom_properties.items())
    return {name: getattr(value, value.WhichOneof("value")) for name, value in items}


def uris(database: sqlite3.Connection) -> list[str]:
    """Returns the URIs of all artifacts, as recorded."""
    return [uri for (uri,) in database.execute("select uri from Artifact")]


def rewrite_uris(database: sqlite3.Connection, rewrite: Callable[[str], str]) -> None:
    """Replaces each absolute URI of an artifact by `rewrite(uri)`."""
    for artifact, uri in database.execute("select id, uri from Artifact where uri like '/%'").fetchall():
        database.execute("update Artifact set uri = ? where id = ?", (rewrite(uri), artifact))


def execution_name(database: sqlite3.Connection, execution: int) -> str | None:
    """Returns the unique name that TFX gave to an execution; None if it does not exist."""
    return next((name for (name,) in database.execute("select name from Execution where id = ?", (execution,))), None)


# --- executions as rows -----------------------------------------------------------------------------------------------


def executions(database: sqlite3.Connection) -> set[int]:
    """Returns the ids of all executions."""
    return {execution for (execution,) in database.execute("select id from Execution")}


def unfinished(database: sqlite3.Connection) -> set[int]:
    """Returns the ids of executions that have not ended; those of a killed run remain until it is cleaned up."""
    query = f"select id from Execution where last_known_state in {UNFINISHED}"
    return {execution for (execution,) in database.execute(query)}


def rows(database: sqlite3.Connection, execution: int) -> dict[str, list[dict[str, Any]]]:
    """Returns table -> rows of an execution; each row is column -> SQLite value."""
    tables = {}
    for table, condition in _ROWS.items():
        cursor = database.execute(f"select * from {table} where {condition}", {"id": execution})
        columns = [column for column, *_ in cursor.description]
        tables[table] = [dict(zip(columns, row, strict=True)) for row in cursor]
    return tables


def insert(database: sqlite3.Connection, tables: dict[str, list[dict[str, Any]]]) -> None:
    """Inserts the result of `rows`; existing rows stay unchanged."""
    for table, table_rows in tables.items():
        for row in table_rows:
            columns, placeholders = ", ".join(row), ", ".join("?" * len(row))
            statement = f"insert or ignore into {table} ({columns}) values ({placeholders})"
            database.execute(statement, list(row.values()))


def open_store(database: Path, *, read_only: bool) -> Any:
    """Returns ML Metadata's store over the file; creates the file if missing, unless `read_only`."""
    from ml_metadata import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    source = metadata_store_pb2.SqliteMetadataSourceConfig
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(database)
    config.sqlite.connection_mode = source.READONLY if read_only else source.READWRITE_OPENCREATE
    return metadata_store.MetadataStore(config)
