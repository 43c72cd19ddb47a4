"""Predictions of the test split, as an evaluation stores them: Parquet files, one for each shard. Loads no TensorFlow.

A row of a file has `file` and `number` (which row of the data it is), `answer` (the model's output `prediction_key`
of the task), `target`, and where there are any `id`, `group`, `weight` and a column `slice.NAME` for each slice.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SLICE = "slice."  # prefix of the name of a column whose values make slices
SECONDS = "seconds"  # in a file's metadata: how long the model took for its rows
NUM_ROWS = "num_rows"  # in a file's metadata: how many rows all files have
READ_ROWS = 65_536  # at a time


@dataclass(frozen=True)
class Predictions:
    """Predictions of some rows.

    Attributes:
        targets: True classes, int64 `(rows,)`, or numbers, float32 `(rows,)`.
        values: Predictions, float32 `(rows,)`, or `(rows, values)` such as a probability of each class.
        groups: int32 `(rows,)` from 0, which rows belong together, such as those of a user; None where none do.
        weights: float64 `(rows,)`, how much each row counts; None for equal weights.
        slices: Column -> its value in each row as text, a dictionary array `(rows,)`; null where the row has none.
        seconds: Time that the model took.
    """

    targets: np.ndarray
    values: np.ndarray
    groups: np.ndarray | None = None
    weights: np.ndarray | None = None
    slices: Mapping[str, pa.DictionaryArray] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def numbers(self) -> np.ndarray:
        """The predicted numbers `(rows,)`; of predictions with several values the last."""
        return self.values if self.values.ndim == 1 else self.values[:, -1]

    def of(self, mask: np.ndarray) -> "Predictions":
        """Returns the predictions of the rows that a mask selects, bool `(rows,)`."""
        groups, weights = (None if values is None else values[mask] for values in (self.groups, self.weights))
        slices = {name: column.filter(pa.array(mask)) for name, column in self.slices.items()}
        return Predictions(self.targets[mask], self.values[mask], groups, weights, slices, self.seconds)


def table(predicted: Predictions, files: pa.Array, numbers: np.ndarray, ids: pa.Array | None = None) -> pa.Table:
    """Returns predictions as they are stored.

    Args:
        predicted: The predictions.
        files: The file of each row, a dictionary array `(rows,)`.
        numbers: Number of each row in its file, int64 `(rows,)`.
        ids: What identifies each row in its data, string `(rows,)`, null for a row without it; None for no column.
    """
    values = np.ascontiguousarray(predicted.values)
    answer_column = pa.array(values.reshape(-1))
    if values.ndim == 2:
        answer_column = pa.FixedSizeListArray.from_arrays(answer_column, values.shape[1])
    columns = {
        "file": files,
        "number": pa.array(numbers),
        **({} if ids is None else {"id": ids}),
        "target": pa.array(predicted.targets),
        "answer": answer_column,
    }
    for name, optional_values in (("group", predicted.groups), ("weight", predicted.weights)):
        if optional_values is not None:
            columns[name] = pa.array(optional_values)
    return pa.table({**columns, **{SLICE + name: column for name, column in predicted.slices.items()}})


def batches(folder: Path) -> Iterator[Predictions]:
    """Yields the predictions of an evaluation in the order of the test split, READ_ROWS rows at a time.

    Raises:
        OSError: There are none, a file is damaged, or one is missing.
    """
    parts = sorted(folder.glob("*.parquet"))
    if not parts:
        raise FileNotFoundError(f"No predictions in {folder}")
    _check_complete(folder, parts)
    for part in parts:
        yield from batches_of(part)


def _check_complete(folder: Path, parts: list[Path]) -> None:
    """Raises FileNotFoundError where rows are missing by the files' metadata, which older files do not have."""
    files = [pq.read_metadata(part) for part in parts]
    expected = max(int((file.metadata or {}).get(NUM_ROWS.encode(), 0)) for file in files)
    num_rows = sum(file.num_rows for file in files)
    if num_rows < expected:
        raise FileNotFoundError(
            f"Expected {expected:,} predictions in {folder}, found {num_rows:,} in {len(parts)} files: one is missing; "
            "run the evaluation again."
        )


def batches_of(part: Path) -> Iterator[Predictions]:
    """Yields the predictions of one file, READ_ROWS rows at a time."""
    with pq.ParquetFile(part) as file:
        sliced = [name for name in file.schema_arrow.names if name.startswith(SLICE)]
        seconds = float((file.metadata.metadata or {}).get(SECONDS.encode(), 0.0))
        for batch in file.iter_batches(READ_ROWS):
            yield _of_batch(batch, sliced, seconds * len(batch) / file.metadata.num_rows)


def _of_batch(batch: pa.RecordBatch, sliced: list[str], seconds: float) -> Predictions:
    column = batch.column("answer")
    values = column.flatten().to_numpy() if pa.types.is_fixed_size_list(column.type) else column.to_numpy()
    optional = {
        name: batch.column(name).to_numpy() if name in batch.schema.names else None for name in ("group", "weight")
    }
    return Predictions(
        targets=batch.column("target").to_numpy(),
        values=values.reshape(len(batch), -1) if pa.types.is_fixed_size_list(column.type) else values,
        groups=optional["group"],
        weights=optional["weight"],
        slices={name.removeprefix(SLICE): batch.column(name).dictionary_encode() for name in sliced},
        seconds=seconds,
    )


def read(path: Path) -> Predictions:
    """Returns all predictions of an evaluation.

    Args:
        path: The folder of its files, or the `.npz` file of an evaluation by an older release.

    Raises:
        OSError, ValueError, KeyError: Files are missing or damaged.
    """
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return Predictions(
                arrays["targets"], arrays["values"], arrays.get("groups"), seconds=float(arrays["seconds"])
            )
    parts = list(batches(path))

    def joined(name: str) -> np.ndarray | None:
        return None if getattr(parts[0], name) is None else np.concatenate([getattr(part, name) for part in parts])

    targets, values, groups, weights = (joined(name) for name in ("targets", "values", "groups", "weights"))
    assert targets is not None
    assert values is not None
    slices = {
        name: pa.chunked_array([part.slices[name] for part in parts]).unify_dictionaries() for name in parts[0].slices
    }
    combined = {name: column.combine_chunks() for name, column in slices.items()}
    return Predictions(targets, values, groups, weights, combined, sum(part.seconds for part in parts))
