"""Reads folders of Parquet files as one table; folders named `column=value` (Hive's layout) add columns."""

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from data.errors import DataError
from data.sources.blocks import Block
from data.sources.folders.listing import is_hidden, listing
from data.sources.records import Record
from data.sources.tables import headers, parquet

ENDING = ".parquet"
PARTITION = re.compile(r"([^=]+)=(.*)")
INTEGER = re.compile(r"-?(0|[1-9]\d{0,17})")  # an int64
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"  # what Hive and Spark write for null


def is_table(folder: Path) -> bool:
    """Returns whether a folder holds Parquet files, and only folders that are named `column=value`.

    A folder with a log of changes is a table, too, which `files` refuses.
    """
    if parquet.has_log(folder):
        return True
    try:
        with os.scandir(folder) as entries:
            children = [(entry.name, entry.is_dir()) for entry in entries if not _is_ignored(entry.name)]
    except OSError:
        return False
    folders = [name for name, is_folder in children if is_folder]
    if not all(map(PARTITION.fullmatch, folders)):
        return False
    return any(name.lower().endswith(ENDING) for name, is_folder in children if not is_folder) or bool(
        folders and _parquet_files(folder)
    )


def is_partitioned(folder: Path) -> bool:
    """Returns whether a folder is a table with columns of its folders' names."""
    return is_table(folder) and any(_partition_values(folder, path) for path in _parquet_files(folder))


def files(folder: Path) -> list[Path]:
    """Returns the Parquet files in a folder, at any depth, sorted; names that begin with `.` or `_` are ignored.

    Raises:
        DataError: There are none, a folder cannot be read, or it is a table with a log of its changes, some of whose
            rows may be deleted.
    """
    parquet.refuse_part_of_log(folder)
    paths = _parquet_files(folder)
    if not paths:
        raise DataError(f"{folder} has no {ENDING} files.")
    return paths


def columns(folder: Path) -> list[str]:
    """Returns the names of the columns, those from folder names last.

    Raises:
        DataError: A file is not a valid Parquet file, or has other columns than the first one.
    """
    first, *others = files(folder)
    names = _columns(folder, first)
    for path in others:
        names_of_file = _columns(folder, path)
        extra = [name for name in names_of_file if name not in names]
        problems = headers.missing([name for name in names if name not in names_of_file], extra)
        problems += [f"column {name!r} is none of {first}" for name in extra]
        if problems:
            raise DataError(f"{path}: {'; '.join(problems[:5])}; all files of a folder need the same columns.")
    return names


def read(folder: Path) -> Iterator[Record]:
    """Yields the rows of all files; a column from folder names replaces a column of the same name in the files.

    Raises:
        DataError: A file is not a valid Parquet file, or none has a row.
    """
    for path, values in _files_with_rows(folder):
        for record in parquet.read(path):
            yield replace(record, cells={**record.cells, **values})


def blocks(folder: Path) -> Iterator[Block]:
    """Yields the rows that `read` yields, in blocks of single files; raises DataError as `read` does."""
    files_with_rows = [(path, values, path.stat().st_size) for path, values in _files_with_rows(folder)]
    total, bytes_before = sum(size for *_, size in files_with_rows), 0
    for path, values, size in files_with_rows:
        for block in parquet.blocks(path):
            yield replace(_with_values(block, values), share=min((bytes_before + block.share * size) / total, 1.0))
        bytes_before += size


def _with_values(block: Block, values: dict[str, Any]) -> Block:
    cells = {name: block.cells.column(name) for name in block.cells.schema.names if name not in values}
    cells |= {name: pa.repeat(_scalar(value), len(block)) for name, value in values.items()}
    mixed = {name: column for name, column in block.mixed.items() if name not in values}
    return replace(block, cells=pa.RecordBatch.from_pydict(cells), mixed=mixed)


def _scalar(value: str | int | None) -> pa.Scalar:
    return pa.scalar(value, pa.int64() if isinstance(value, int) else pa.string())


def _files_with_rows(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yields the files with rows, each with the value of each partition column: text, or int where all are integers."""
    values_by_path = {path: _partition_values(folder, path) for path in files(folder)}
    texts = {(name, value) for values in values_by_path.values() for name, value in values.items() if value is not None}
    text_columns = {name for name, value in texts if not INTEGER.fullmatch(value)}
    with_rows = [path for path in values_by_path if parquet.num_rows(path)]
    if not with_rows:
        raise DataError(f"{folder} has columns and no rows.")
    for path in with_rows:
        yield (
            path,
            {
                name: value if value is None or name in text_columns else int(value)
                for name, value in values_by_path[path].items()
            },
        )


def _columns(folder: Path, path: Path) -> list[str]:
    return list(dict.fromkeys([*parquet.columns(path), *_partition_values(folder, path)]))


def _partition_values(folder: Path, path: Path) -> dict[str, str | None]:
    """Returns partition column -> text, from the names of the folders between a folder and its file; None for null."""
    parts = path.relative_to(folder).parts[:-1]
    pairs = [match.groups() for part in parts if (match := PARTITION.fullmatch(part))]
    return {unquote(name): None if value == HIVE_NULL else unquote(value) for name, value in pairs}


def _parquet_files(folder: Path) -> list[Path]:
    listed = listing(folder)
    paths = sorted([*listed.beside, *listed.files], key=lambda path: path.parts)
    return [
        path
        for path in paths
        if path.suffix.lower() == ENDING and not any(map(_is_ignored, path.relative_to(folder).parts))
    ]


def _is_ignored(name: str) -> bool:
    """Returns whether a name is hidden, or of a writer's own file such as `_SUCCESS` and `_temporary`."""
    return is_hidden(name) or name.startswith("_")
