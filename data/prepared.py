"""Named data sets that are a table, built once from packages and kept as a CSV file in the user's cache."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data.columnar import columns
from data.columnar.batches import SPLIT_INDEX, Batch, Batches, encoded
from data.columnar.splitting import bucket
from data.config import DataConfig
from data.files.checksums import verify
from data.kinds.cell import ReadOptions
from data.sources.blocks import Block
from data.sources.packages import keep, kept_folder
from data.sources.tables import formats
from data.spec import READ_ORDER, Dataset, DatasetSpec

TABLE = "table.csv"
Split = Callable[[Mapping[str, Any]], str]
Groups = Callable[[Sequence[Mapping[str, Any]]], Iterable[str]]


def prepared(
    spec: DatasetSpec, *, sha256: str, make: Callable[[Path], None], split: Split, groups: Groups | None = None
) -> Dataset:
    """Returns a data set that is read from one CSV file.

    Args:
        spec: What is in it; columns that are not features are left out.
        sha256: SHA-256 of the file, in hexadecimal.
        make: Writes `table.csv` into a folder, out of packages; raises SourceUnavailable.
        split: Cells of a row -> its split.
        groups: Cells of all rows, in the order of the file -> the group of each; None where rows have no groups.
    """

    def open_table(folder: Path | None) -> Batches:
        table_folder = folder or kept_folder(spec.name)
        if folder is None:
            keep(table_folder, make)
        verify(table_folder, {TABLE: sha256}, fix=f"delete the folder {table_folder} and run again to make it anew")
        return _batches(table_folder / TABLE, spec, split, groups)

    return Dataset(spec, digest=lambda: f"sha256:{sha256}", sources={"package": open_table})


def by_content(*columns: str, validation: float = 0.1, test: float = 0.2) -> Split:
    """Returns a function that splits rows by the content of `columns`: equal values, same split."""
    cuts = round(test * 1000), round((test + validation) * 1000)

    def split(cells: Mapping[str, Any]) -> str:
        number = bucket("\0".join(str(cells[name]) for name in columns).encode())
        return "test" if number < cuts[0] else "validation" if number < cuts[1] else "train"

    return split


def write_table(folder: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes `table.csv` into a folder, the same bytes on every machine."""
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _batches(path: Path, spec: DatasetSpec, split: Split, groups: Groups | None) -> Iterator[Batch]:
    """Yields the rows split by split, in `READ_ORDER`; such a table fits into memory."""
    config = DataConfig(files=str(path), format="csv")
    blocks = list(formats.blocks(path, "csv", config))
    cells = [row for block in blocks for row in block.cells.to_pylist()]
    all_groups = pa.array(groups(cells), pa.string()) if groups else None
    splits = np.array([SPLIT_INDEX[split(row)] for row in cells], np.int8)
    for split_name in READ_ORDER:
        first_row = 0
        for block in blocks:
            rows = first_row + np.flatnonzero(splits[first_row : first_row + len(block)] == SPLIT_INDEX[split_name])
            if len(rows):
                yield _batch(replace(block.take(rows - first_row), file=spec.name), rows, split_name, spec, all_groups)
            first_row += len(block)


def _batch(block: Block, rows: np.ndarray, split: str, spec: DatasetSpec, groups: pa.Array | None) -> Batch:
    unused = set(block.columns) - spec.features.keys()
    stored = columns.store(block, spec, ReadOptions(True, frozenset({""})), unused=unused)
    return Batch(
        stored.columns,
        np.full(len(stored.kept), SPLIT_INDEX[split], np.int8),
        block.file,
        block.numbers[stored.kept],
        *encoded(stored.columns, spec),
        groups=None if groups is None else groups.take(pa.array(rows[stored.kept])),
        problems=tuple((split, problems) for problems in stored.problems.values()),
        distinct=stored.distinct,
    )
