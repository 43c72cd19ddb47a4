"""Batches of rows, as columns of stored values: every source yields them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from data.columnar import columns as stored_columns
from data.columnar import encoding
from data.errors import DataError
from data.kinds.cell import Distinct
from data.kinds.registry import kind_of
from data.sources.folders.listing import readable
from data.spec import (
    SPLITS,
    BadRow,
    DatasetSpec,
    ImageFeature,
    LabelFeature,
    LocatedRow,
    Problem,
    Row,
    Stream,
)

SPLIT_INDEX = {split: index for index, split in enumerate(SPLITS)}
"""Split -> its number in `Batch.splits`."""
MAX_ROWS, MAX_BYTES = 16_384, 16 * 2**20  # of a batch: rows where it is made of single rows, bytes of stored values


RowId = tuple[str, int]


@dataclass(frozen=True)
class Batch:
    """Usable rows, and the problems of the unusable rows between them.

    Attributes:
        columns: Feature -> stored values, one for each row, in the order of the data set's features: float32 of
            numbers, targets and booleans, int64 of labels and dates, binary of categories and texts (UTF-8) and of
            images (raw uint8 pixels); null for a missing value.
        splits: The split of each row, int8 `(rows,)`: its index in `data.spec.SPLITS`.
        file: The file of the rows, as messages name it; empty where they come from no file.
        numbers: Number of each row in the file, int64 `(rows,)`; see `data.sources.blocks.Block`. Without a file its
            number within its split, from 1.
        inputs: Each row without its targets as a serialized tf.train.Example, deterministic; binary.
        digests: XXH3-128 of `inputs`, uint64 `(rows, 2)`: equal inputs, equal digests.
        names: Name of each row's file, where rows are files of a folder; empty elsewhere.
        groups: Group of each row, such as its user: a string, null for a row without one. None where no row has a
            group.
        ids: What identifies each row in its data, string `(rows,)`, null for a row without it; None without such a
            column.
        weights: How much each row counts in loss and metrics, float32 `(rows,)`; None for equal weights.
        files: The encoded pictures that pixels were decoded from, by feature: binary, null for raw pixels.
        problems: Of each row that cannot be used, in order, its split and its problems.
        distinct: Number or target -> its distinct values, before and after storing; absent where not known.
        share: Share of the data that is read once these rows are, up to 1; 0 where that is not known.
        path: The path in the settings that they were read from; `file` and `names` begin with it. Empty without one.
        path_number: Position of that path among all, from 1, in the order in which they are read.
    """

    columns: pa.RecordBatch
    splits: np.ndarray
    file: str
    numbers: np.ndarray
    inputs: pa.Array
    digests: np.ndarray
    names: tuple[str, ...] = ()
    groups: pa.Array | None = None
    files: Mapping[str, pa.Array] = field(default_factory=dict)
    problems: tuple[tuple[str, tuple[Problem, ...]], ...] = ()
    distinct: Mapping[str, Distinct] = field(default_factory=dict)
    share: float = 0.0
    path: str = ""
    path_number: int = 0
    ids: pa.Array | None = None
    weights: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.splits)

    def where(self, row: int) -> str:
        """Returns the location of a row, for a message: its file and its number in it, else its split and number."""
        if self.names:
            return self.names[row]
        if self.file:
            return f"{self.file}:{self.numbers[row]}"
        return f"{SPLITS[self.splits[row]]} row {self.numbers[row]}"

    def row_ids(self) -> list[RowId]:
        """Returns the identifier of each row: its file, and its number in it, 0 where the row is a file.

        A file is named by the number of its path, and in a folder or a zip file by its path in there: `1`,
        `2/cat/7.png`. So the identifiers do not depend on the folder that the files lie in, nor on the features, and
        hold no path of the machine, which may contain a secret.
        """
        if self.names:
            return [(self._file_id(name), 0) for name in self.names]
        file = self._file_id(self.file)
        return [(file, number) for number in self.numbers.tolist()]

    def _file_id(self, file: str) -> str:
        return f"{self.path_number}{readable(file).removeprefix(readable(self.path))}" if self.path else file

    def take(self, rows: np.ndarray) -> "Batch":
        """Returns some rows, int64 `(kept,)`, with all problems and all distinct values."""
        index = pa.array(rows)
        return replace(
            self,
            columns=self.columns.take(index),
            splits=self.splits[rows],
            numbers=self.numbers[rows],
            inputs=self.inputs.take(index),
            digests=self.digests[rows],
            names=tuple(self.names[row] for row in rows) if self.names else (),
            **{
                name: None if values is None else values.take(index)
                for name, values in (("groups", self.groups), ("ids", self.ids), ("weights", self.weights))
            },
            files={name: files.take(index) for name, files in self.files.items()},
        )


# The batches of all splits. Those of split files come in the order of data.spec.READ_ORDER.
Batches = Iterable[Batch]


def max_batch_rows(spec: DatasetSpec) -> int:
    """Returns the greatest number of rows of a batch, at which the stored values have at most `MAX_BYTES`."""
    return max(MAX_BYTES // spec.row_bytes(), 1)


def encoded(columns: pa.RecordBatch, spec: DatasetSpec) -> tuple[pa.Array, np.ndarray]:
    """Returns `inputs` and `digests` of a batch of these columns."""
    inputs = encoding.encode(columns, [name for name, feature in spec.features.items() if not feature.target])
    return inputs, encoding.digests(inputs)


def of_rows(stream: Stream, spec: DatasetSpec) -> Iterator[Batch]:
    """Yields batches of single rows, in their order.

    Raises:
        DataError: A row does not match the spec.
    """
    max_rows = min(MAX_ROWS, max_batch_rows(spec))
    counts = dict.fromkeys(SPLITS, 0)
    pending: list[tuple[str, int, Row | BadRow]] = []
    for split, row in stream:
        if not isinstance(row, BadRow):
            counts[split] += 1
            check_row(row, spec, where=f"{split} row {counts[split]}")
        pending.append((split, counts[split], row))
        if len(pending) == max_rows:
            yield _make_batch(pending, spec)
            pending = []
    if pending:
        yield _make_batch(pending, spec)


def _make_batch(located_rows: list[tuple[str, int, Row | BadRow]], spec: DatasetSpec) -> Batch:
    usable = [(split, number, row) for split, number, row in located_rows if not isinstance(row, BadRow)]
    rows = [row for _, _, row in usable]
    columns = stored_columns.of_rows(rows, spec)
    groups = [getattr(row, "group", None) for row in rows]
    files = {name: [getattr(row, "files", {}).get(name) for row in rows] for name in spec.of(ImageFeature)}
    are_located = bool(rows) and all(isinstance(row, LocatedRow) for row in rows)
    return Batch(
        columns,
        np.array([SPLIT_INDEX[split] for split, _, _ in usable], np.int8),
        "",
        np.array([number for _, number, _ in usable], np.int64),
        *encoded(columns, spec),
        tuple(row.where for row in rows if isinstance(row, LocatedRow)) if are_located else (),
        pa.array(groups, pa.string()) if any(group is not None for group in groups) else None,
        {name: pa.array(contents, pa.binary()) for name, contents in files.items() if any(contents)},
        tuple((split, row.problems) for split, _, row in located_rows if isinstance(row, BadRow)),
    )


def check_row(row: Mapping[str, Any], spec: DatasetSpec, *, where: str) -> None:
    """Raises DataError, which begins with `where`, when a value is missing, or an image or a label does not match the
    spec.
    """
    for name, feature in spec.features.items():
        if name not in row:
            if not feature.optional:
                raise DataError(f"{where}: {name} is missing; the row has {', '.join(sorted(row)) or 'nothing'}.")
        elif isinstance(feature, ImageFeature):
            expected, image = (feature.height, feature.width, feature.channels), np.asarray(row[name])
            if image.dtype != np.uint8 or image.shape != expected:
                raise DataError(f"{where}, {name}: expected uint8 {expected}, found {image.dtype} {image.shape}.")
        elif isinstance(feature, LabelFeature) and not 0 <= int(row[name]) < len(feature.classes):
            raise DataError(
                f"{where}, {name}: expected a class from 0 to {len(feature.classes) - 1}, found {row[name]}."
            )


def rows(batches: Batches, spec: DatasetSpec) -> Iterator[tuple[str, LocatedRow | BadRow]]:
    """Yields the rows of batches one by one, each with its split; of each batch the unusable ones first.

    Texts are str, images and tensors arrays of their shape, sequences lists, other values int and float; missing values
    are left out.
    """
    for batch in batches:
        yield from ((split, BadRow(problems)) for split, problems in batch.problems)
        groups = batch.groups.to_pylist() if batch.groups is not None else [None] * len(batch)
        files = {name: contents.to_pylist() for name, contents in batch.files.items()}
        for index, values in enumerate(batch.columns.to_pylist()):
            row = {
                name: kind_of(spec.features[name]).to_value(value, spec.features[name])
                for name, value in values.items()
                if value is not None
            }
            row_files = {name: contents[index] for name, contents in files.items() if contents[index] is not None}
            yield SPLITS[batch.splits[index]], LocatedRow(row, batch.where(index), groups[index], row_files)
