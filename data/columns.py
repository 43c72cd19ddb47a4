"""Columns of a file -> stored columns of a data set, with what cannot be used named."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from data.blocks import Block
from data.cells import to_row
from data.sources.records import Record
from data.spec import BadRow, DatasetSpec, ImageFeature, Problem

TYPES = {"bytes": pa.binary(), "float": pa.float32(), "int": pa.int64()}
"""How a feature is stored, see `data.spec` -> the Arrow type of its column."""


@dataclass(frozen=True)
class Stored:
    """What became of a block.

    Attributes:
        columns: Feature -> stored values of the rows that can be used; see `data.batches.Batch`.
        kept: Which rows of the block those are, int64 `(kept,)`, in order.
        problems: Row of the block -> its problems, of those that cannot be used.
        files: Feature -> encoded pictures that pixels were made of, one for each kept row; binary.
    """

    columns: pa.RecordBatch
    kept: np.ndarray
    problems: Mapping[int, tuple[Problem, ...]] = field(default_factory=dict)
    files: Mapping[str, pa.Array] = field(default_factory=dict)


def store(
    block: Block,
    spec: DatasetSpec,
    folder: Path,
    *,
    textual: bool,
    unused: Collection[str] = (),
    missing: Collection[str] = (),
) -> Stored:
    """Returns the stored columns of a block.

    Args:
        block: Rows as they stand in a file.
        spec: What the rows must hold.
        folder: Where relative paths of images start.
        textual: Whether all cells are text, as in CSV, so that numbers are too.
        unused: Columns that may be there and are left out.
        missing: Texts that stand for nothing, where all cells are text.
    """
    cells = {name: block.column(name) for name in block.columns}
    lists = {name: column if isinstance(column, list) else column.to_pylist() for name, column in cells.items()}
    rows, kept, problems = [], [], {}
    for index in range(len(block)):
        record = Record(block.where(index), {name: column[index] for name, column in lists.items()})
        row = to_row(record, spec, folder, textual=textual, unused=unused, missing=missing)
        if isinstance(row, BadRow):
            problems[index] = row.problems
        else:
            rows.append(row)
            kept.append(index)
    pictures = {
        name: pa.array([row.files.get(name) for row in rows], pa.binary()) for name in spec.of(ImageFeature) if rows
    }
    files = {name: column for name, column in pictures.items() if column.null_count < len(column)}
    return Stored(of_rows(rows, spec), np.array(kept, np.int64), problems, files)


def of_rows(rows: Collection[Mapping], spec: DatasetSpec) -> pa.RecordBatch:
    """Returns rows, by feature name, as stored columns; see `data.batches.Batch`."""
    arrays = []
    for name, feature in spec.features.items():
        values = [row.get(name) for row in rows]
        if isinstance(feature, ImageFeature):
            values = [value if isinstance(value, bytes) else np.ascontiguousarray(value).tobytes() for value in values]
        elif feature.stored == "bytes":
            values = [value.encode() if isinstance(value, str) else value for value in values]
        arrays.append(pa.array(values, TYPES[feature.stored]))
    return pa.RecordBatch.from_arrays(arrays, names=list(spec.features))
