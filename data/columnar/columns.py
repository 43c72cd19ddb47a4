"""Columns of a file -> stored columns of a data set, with what cannot be used named; and one row, by the same rules."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.config import DataConfig
from data.kinds import boolean, category, date, image, label, number, text
from data.kinds.cell import Cells, Column, Distinct, Reading, Unusable, plain
from data.sources.blocks import Block
from data.sources.records import Record
from data.spec import (
    BadRow,
    BooleanFeature,
    CategoryFeature,
    DatasetSpec,
    DateFeature,
    Feature,
    ImageFeature,
    LabelFeature,
    LocatedRow,
    NumberFeature,
    Problem,
    TargetFeature,
    TextFeature,
)

TYPES = {"bytes": pa.binary(), "float": pa.float32(), "int": pa.int64()}
"""How a feature is stored, see `data.spec` -> the Arrow type of its column."""
KINDS: Mapping[type, ModuleType] = {
    BooleanFeature: boolean,
    CategoryFeature: category,
    DateFeature: date,
    ImageFeature: image,
    LabelFeature: label,
    NumberFeature: number,
    TargetFeature: number,
    TextFeature: text,
}
UNKNOWN = ("no column of this name", "one")  # expected and found


@dataclass(frozen=True)
class Stored:
    """What became of a block.

    Attributes:
        columns: Feature -> stored values of the rows that can be used; see `data.columnar.batches.Batch`.
        kept: Which rows of the block those are, int64 `(kept,)`, in order.
        problems: Row of the block -> its problems, of those that cannot be used.
        files: Feature -> encoded pictures that pixels were made of, one for each kept row; binary.
        distinct: Number or target -> its different values among all rows of the block.
    """

    columns: pa.RecordBatch
    kept: np.ndarray
    problems: Mapping[int, tuple[Problem, ...]] = field(default_factory=dict)
    files: Mapping[str, pa.Array] = field(default_factory=dict)
    distinct: Mapping[str, Distinct] = field(default_factory=dict)


def reading(kind: str, config: DataConfig, folder: Path) -> Reading:
    """Returns how the cells of a file of this format are read; `folder` is where relative paths of images start."""
    return Reading(kind == "csv", frozenset(config.missing_values), folder, config.notation)


def store(block: Block, spec: DatasetSpec, how: Reading, *, unused: Collection[str] = ()) -> Stored:
    """Returns the stored columns of a block: of each row what `to_row` returns.

    A column that is no feature is a problem of the rows that have a cell in it.

    Args:
        block: Rows as they stand in a file.
        spec: What the rows must hold.
        how: How the cells of the file are read.
        unused: Columns that may be there and are left out.
    """
    nothing = [None] * len(block)
    found = {}
    for name, feature in spec.features.items():
        cells = block.column(name)
        found[name] = column(nothing if cells is None else cells, feature, how)
    wrong: dict[int, list[Problem]] = {}
    for name, stored in found.items():
        for row, error in stored.problems.items():
            wrong.setdefault(row, []).append(_problem(block, row, name, error.expected, error.found))
    for name in block.columns:
        if name not in spec.features and name not in unused:
            for row in _filled(block.column(name)):
                wrong.setdefault(row, []).append(_problem(block, row, name, *UNKNOWN))
    return _without(wrong, found, len(block))


def _problem(block: Block, row: int, name: str, expected: str, found: str) -> Problem:
    return Problem(block.where(row), name, expected, found, block.number(row))


def column(cells: Cells, feature: Feature, how: Reading) -> Column:
    """Returns what is stored of a column, and which cells cannot be used: see the module of its kind."""
    return KINDS[type(feature)].column(plain(cells), feature, reading_of(feature, how))


def reading_of(feature: Feature, how: Reading) -> Reading:
    """Returns how the cells of a feature are read; see `Reading.of`."""
    return how.of(optional=feature.optional)


def _filled(cells: Cells) -> list[int]:
    """Returns the rows that have a cell."""
    if isinstance(cells, list):
        return [row for row, cell in enumerate(cells) if cell is not None]
    return pc.indices_nonzero(cells.is_valid()).to_pylist()


def _without(wrong: Mapping[int, list[Problem]], found: Mapping[str, Column], rows: int) -> Stored:
    """Returns the columns without the rows in which something is wrong."""
    kept = np.setdiff1d(np.arange(rows), np.array(list(wrong), np.int64), assume_unique=True)
    columns = pa.RecordBatch.from_arrays([stored.values for stored in found.values()], names=list(found))
    files = {name: stored.files for name, stored in found.items() if stored.files is not None}
    if wrong:
        taken = pa.array(kept)
        columns, files = columns.take(taken), {name: file.take(taken) for name, file in files.items()}
    files = {name: file for name, file in files.items() if file.null_count < len(file)}
    distinct = {name: stored.distinct for name, stored in found.items() if stored.distinct}
    return Stored(columns, kept, {row: tuple(wrong[row]) for row in sorted(wrong)}, files, distinct)


def to_row(record: Record, spec: DatasetSpec, how: Reading, *, unused: Collection[str] = ()) -> LocatedRow | BadRow:
    """Returns a record as a row of a data set, or everything that is wrong with it.

    Args:
        record: The record.
        spec: What the row must hold.
        how: How the cells of the file are read.
        unused: Columns that may be there and are left out.
    """
    if record.problem:
        return BadRow((record.problem,))
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    files: dict[str, bytes] = {}
    for name, feature in spec.features.items():
        cell, as_read = record.cells.get(name), reading_of(feature, how)
        try:
            if isinstance(feature, ImageFeature):
                values[name], file = image.pixels(cell, feature, as_read)
                files |= {name: file} if file else {}
            else:
                value = KINDS[type(feature)].value(cell, feature, as_read)
                values |= {} if value is None else {name: value}
        except Unusable as error:
            problems.append(Problem(record.where, name, error.expected, error.found, record.number))
    for name in record.cells:
        if name not in spec.features and name not in unused:
            problems.append(Problem(record.where, name, *UNKNOWN, record.number))
    return BadRow(tuple(problems)) if problems else LocatedRow(values, record.where, record.group, files)


def of_rows(rows: Collection[Mapping], spec: DatasetSpec) -> pa.RecordBatch:
    """Returns rows, by feature name, as stored columns; see `data.columnar.batches.Batch`."""
    arrays = []
    for name, feature in spec.features.items():
        values = [row.get(name) for row in rows]
        if isinstance(feature, ImageFeature):
            values = [value if isinstance(value, bytes) else np.ascontiguousarray(value).tobytes() for value in values]
        elif feature.stored == "bytes":
            values = [value.encode() if isinstance(value, str) else value for value in values]
        array = pa.array(values, TYPES[feature.stored])
        arrays.append(
            pc.add(array, pa.scalar(0, pa.float32())) if feature.stored == "float" else array
        )  # with one zero
    return pa.RecordBatch.from_arrays(arrays, names=list(spec.features))
