"""Converts columns of a file, or single rows, to stored columns of a data set, with the problems of unusable cells."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.config import DataConfig
from data.kinds import image
from data.kinds.cell import Cells, Column, Distinct, ReadOptions, Unusable, as_plain_types
from data.kinds.registry import kind_of
from data.sources.blocks import Block
from data.sources.records import Record
from data.spec import (
    BadRow,
    DatasetSpec,
    Feature,
    ImageFeature,
    LocatedRow,
    Problem,
)

TYPES = {"bytes": pa.binary(), "float": pa.float32(), "int": pa.int64()}
"""How a feature is stored, see `data.spec` -> the Arrow type of its column."""
UNKNOWN_COLUMN = ("no column of this name", "one")  # `expected` and `found` of the problem


def stored_type(feature: Feature) -> pa.DataType:
    """Returns the Arrow type of a feature's stored column."""
    of_values = TYPES[feature.stored]
    return pa.list_(of_values) if feature.is_list else of_values


@dataclass(frozen=True)
class Stored:
    """The stored columns of a block.

    Attributes:
        columns: Feature -> stored values of the rows that can be used; see `data.columnar.batches.Batch`.
        kept: Indices of these rows in the block, int64 `(kept,)`, ascending.
        problems: Unusable row of the block -> its problems.
        files: Feature -> encoded pictures that pixels were decoded from, one for each kept row; binary.
        distinct: Number or target -> its distinct values among all rows of the block.
    """

    columns: pa.RecordBatch
    kept: np.ndarray
    problems: Mapping[int, tuple[Problem, ...]] = field(default_factory=dict)
    files: Mapping[str, pa.Array] = field(default_factory=dict)
    distinct: Mapping[str, Distinct] = field(default_factory=dict)


def read_options(kind: str, config: DataConfig, folder: Path) -> ReadOptions:
    """Returns the options for the cells of a file of this format; relative paths of images start from `folder`."""
    return ReadOptions(kind == "csv", frozenset(config.missing_values), folder, config.notation)


def store(block: Block, spec: DatasetSpec, options: ReadOptions, *, unused: Collection[str] = ()) -> Stored:
    """Returns the stored columns of a block, equal to `to_row` of each row.

    A column that is not a feature is a problem of each row that has a value in it.

    Args:
        block: Rows of a file, not converted.
        spec: What the rows must hold.
        options: How the cells of the file are read.
        unused: Columns that are allowed and not stored.
    """
    nulls = [None] * len(block)
    stored_columns = {}
    for name, feature in spec.features.items():
        cells = block.column(name)
        stored_columns[name] = column(nulls if cells is None else cells, feature, options)
    problems: dict[int, list[Problem]] = {}
    for name, column_of_feature in stored_columns.items():
        for row, error in column_of_feature.problems.items():
            problems.setdefault(row, []).append(_problem(block, row, name, error.expected, error.found))
    for name in block.columns:
        if name not in spec.features and name not in unused:
            for row in _rows_with_value(block.column(name)):
                problems.setdefault(row, []).append(_problem(block, row, name, *UNKNOWN_COLUMN))
    return _without_problems(problems, stored_columns, len(block))


def _problem(block: Block, row: int, name: str, expected: str, found: str) -> Problem:
    return Problem(block.where(row), name, expected, found, block.number(row))


def column(cells: Cells, feature: Feature, options: ReadOptions) -> Column:
    """Returns the stored column, with the problems of unusable cells; see the module of its kind."""
    return kind_of(feature).column(as_plain_types(cells), feature, feature_options(feature, options))


def feature_options(feature: Feature, options: ReadOptions) -> ReadOptions:
    """Returns the options for the cells of a feature; see `ReadOptions.of`."""
    return options.of(optional=feature.optional)


def _rows_with_value(cells: Cells) -> list[int]:
    """Returns the rows in which a cell is not null."""
    if isinstance(cells, list):
        return [row for row, cell in enumerate(cells) if cell is not None]
    return pc.indices_nonzero(cells.is_valid()).to_pylist()


def _without_problems(problems: Mapping[int, list[Problem]], stored_columns: Mapping[str, Column], rows: int) -> Stored:
    """Returns the columns without the rows that have problems."""
    kept = np.setdiff1d(np.arange(rows), np.array(list(problems), np.int64), assume_unique=True)
    columns = pa.RecordBatch.from_arrays(
        [stored.values for stored in stored_columns.values()], names=list(stored_columns)
    )
    files = {name: stored.files for name, stored in stored_columns.items() if stored.files is not None}
    if problems:
        kept_rows = pa.array(kept)
        columns, files = columns.take(kept_rows), {name: file.take(kept_rows) for name, file in files.items()}
    files = {name: file for name, file in files.items() if file.null_count < len(file)}
    distinct = {name: stored.distinct for name, stored in stored_columns.items() if stored.distinct}
    return Stored(columns, kept, {row: tuple(problems[row]) for row in sorted(problems)}, files, distinct)


def to_row(
    record: Record, spec: DatasetSpec, options: ReadOptions, *, unused: Collection[str] = ()
) -> LocatedRow | BadRow:
    """Returns a record as a row of a data set, or all its problems.

    Args:
        record: The record.
        spec: What the row must hold.
        options: How the cells of the file are read.
        unused: Columns that are allowed and not stored.
    """
    if record.problem:
        return BadRow((record.problem,))
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    files: dict[str, bytes] = {}
    for name, feature in spec.features.items():
        cell, column_options = record.cells.get(name), feature_options(feature, options)
        try:
            if isinstance(feature, ImageFeature):
                values[name], file = image.pixels(cell, feature, column_options)
                files |= {name: file} if file else {}
            else:
                value = kind_of(feature).value(cell, feature, column_options)
                values |= {} if value is None else {name: value}
        except Unusable as error:
            problems.append(Problem(record.where, name, error.expected, error.found, record.number))
    for name in record.cells:
        if name not in spec.features and name not in unused:
            problems.append(Problem(record.where, name, *UNKNOWN_COLUMN, record.number))
    return BadRow(tuple(problems)) if problems else LocatedRow(values, record.where, record.group, files)


def of_rows(rows: Collection[Mapping], spec: DatasetSpec) -> pa.RecordBatch:
    """Returns rows, by feature name, as stored columns; see `data.columnar.batches.Batch`."""
    arrays = []
    for name, feature in spec.features.items():
        values = [row.get(name) for row in rows]
        if feature.stored == "bytes":
            values = [_in_bytes(value) for value in values]
        array = pa.array(values, stored_type(feature))
        is_number = feature.stored == "float" and not feature.is_list
        arrays.append(pc.add(array, pa.scalar(0, pa.float32())) if is_number else array)  # no negative zero
    return pa.RecordBatch.from_arrays(arrays, names=list(spec.features))


def _in_bytes(value: Any) -> Any:
    """Returns a text, an array, or a list of texts as bytes."""
    if isinstance(value, list):
        return [_in_bytes(item) for item in value]
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value).tobytes()
    return value.encode() if isinstance(value, str) else value
