"""What a model predicts for the test split, written once: metrics, comparison and report all come from it."""

import base64
import contextlib
import functools
import heapq
import io
import mmap
import os
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from components.artifact_files import MISTAKES, PREDICTIONS
from components.example_gen import read_groups, read_places, split_files
from data.columnar.workers import over
from data.errors import ModelError
from data.examples import decode, picture
from data.kinds.date import iso
from data.spec import BooleanFeature, DatasetSpec, DateFeature, Feature, ImageFeature, LabelFeature
from data.texts import to_json
from models import registry
from models.evaluation.predictions import NUM_ROWS, SECONDS, Predictions, table
from models.task import Task

BATCH_BYTES, LEAST_ROWS, MOST_ROWS = 1 << 20, 256, 4096  # of the batches that a model is asked about
NUM_MISTAKES = 24
LENGTH = struct.Struct("<Q")  # of a record in a TFRecord file
MAX_TEXT = 2000  # characters of a text that are kept of a mistake


@dataclass(frozen=True)
class Shard:
    """A TFRecord file of the test split.

    Attributes:
        path: Its path.
        index: Which of the files it is, from 0.
        first_row: How many rows stand in the files before it.
        num_rows: How many rows all files have.
    """

    path: str
    index: int
    first_row: int
    num_rows: int


@dataclass(frozen=True)
class _Prediction:
    """What all shards are predicted by; pickled, since Beam's workers take it.

    Attributes:
        folder: Receives a file for each shard.
        saved_model: Folder of the SavedModel.
        examples_uri: Folder of the examples.
        spec: The data set's facts.
        task_name: Name of the task.
        slice_by: Columns by whose values everything is broken down.
    """

    folder: Path
    saved_model: str
    examples_uri: str
    spec: DatasetSpec
    task_name: str
    slice_by: tuple[str, ...]


def write(
    folder: Path,
    saved_model: str,
    examples_uri: str,
    *,
    spec: DatasetSpec,
    task: Task,
    slice_by: Sequence[str] = (),
    beam_args: Sequence[str] = (),
) -> None:
    """Writes what `serving_default` answers for each row of the test split, and its worst mistakes.

    Args:
        folder: Receives `predictions/`, a file for each TFRecord file of the split (see
            `models.evaluation.predictions`), and the worst mistakes.
        saved_model: Folder of the SavedModel.
        examples_uri: Folder of the examples.
        spec: The data set's facts.
        task: The task, by whose `prediction_key` the model is asked.
        slice_by: Columns by whose values everything is broken down.
        beam_args: Beam's options, where several workers predict.

    Raises:
        ModelError: The model answers a row with a number that is not finite.
    """
    parts = PREDICTIONS.path(folder)
    parts.mkdir()
    prediction = _Prediction(parts, saved_model, examples_uri, spec, task.name, tuple(slice_by))
    worst = over(shards(examples_uri), functools.partial(_predict_shard, prediction), _Worst, beam_args).result()
    files, numbers, _ = _row_ids_and_groups(examples_uri)
    mistakes = [
        {"row": -row, "file": files[-row].as_py(), "number": int(numbers[-row])} | _mistake(serialized, outputs, spec)
        for _, row, serialized, outputs in worst
    ]
    MISTAKES.path(folder).write_text(to_json(mistakes, indent=1))


def shards(examples_uri: str) -> list[Shard]:
    """Returns the files of the test split, in order."""
    files = split_files(examples_uri, "test")
    *first_rows, num_rows = np.cumsum([0, *map(_num_rows, files)]).tolist()
    return [Shard(file, index, row, num_rows) for index, (file, row) in enumerate(zip(files, first_rows, strict=True))]


def _num_rows(file: str) -> int:
    """Returns how many records a TFRecord file has: each is framed by its length, 8 bytes, and two checksums of 4."""
    rows, position, size = 0, 0, os.path.getsize(file)
    if not size:  # which cannot be mapped
        return 0
    with open(file, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        while position < size:
            position += 16 + LENGTH.unpack_from(content, position)[0]
            rows += 1
    return rows


def _predict_shard(prediction: _Prediction, shard: Shard) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Writes the predictions of one file, whole once all batches are taken; yields what `_Worst` adds of each batch.

    Yields:
        float64 `(batch,)`, the error of each row, bytes `(batch,)`, the serialized rows, and the outputs, `(batch,)` or
        `(batch, values)`.
    """
    task, rows = registry.task(prediction.task_name), _rows_of_shard(prediction, shard)
    with _PartWriter(prediction.folder / f"part-{shard.index:05d}.parquet", shard.num_rows) as writer:
        for serialized, predicted, rows_table in rows:
            writer.write(rows_table, predicted.seconds)
            yield task.example_error(predicted.targets, predicted.values), serialized.numpy(), predicted.values


def _rows_of_shard(prediction: _Prediction, shard: Shard) -> Iterator[tuple[tf.Tensor, Predictions, pa.Table]]:
    """Yields batches of a shard: string `(batch,)` the serialized rows, their predictions, and these as stored.

    Raises:
        ModelError: The model answers a row with a number that is not finite.
    """
    task, first_row = registry.task(prediction.task_name), shard.first_row
    files, numbers, groups = _row_ids_and_groups(prediction.examples_uri)
    for serialized, outputs, batch_seconds in predict_batches(prediction.saved_model, [shard.path], task):
        _check_finite(outputs, first_row)
        rows = slice(first_row, first_row + len(outputs))
        targets, slices = _targets_and_slices(serialized, prediction.spec, prediction.slice_by)
        predicted = Predictions(
            targets=targets,
            values=outputs,
            groups=None if groups is None else groups[rows],
            slices=slices,
            seconds=batch_seconds,
        )
        yield serialized, predicted, table(predicted, files[rows], numbers[rows])
        first_row = rows.stop


class _PartWriter(contextlib.AbstractContextManager):
    """Writes a file of predictions; no file without rows.

    Its metadata has the seconds that the model took, and how many rows all files of the split have.
    """

    def __init__(self, path: Path, num_rows: int):
        self._path, self._num_rows, self._seconds = path, num_rows, 0.0
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows_table: pa.Table, seconds: float) -> None:
        """Writes rows, for which the model took some seconds."""
        self._writer = self._writer or pq.ParquetWriter(self._path, rows_table.schema)
        self._writer.write_table(rows_table)
        self._seconds += seconds

    def __exit__(self, error: type[BaseException] | None, *_) -> None:
        if self._writer:
            if error is None:
                self._writer.add_key_value_metadata({SECONDS: repr(self._seconds), NUM_ROWS: str(self._num_rows)})
            self._writer.close()


@functools.lru_cache(maxsize=1)  # one shard follows the other: of a million rows each reading takes 0.04 s
def _row_ids_and_groups(examples_uri: str) -> tuple[pa.DictionaryArray, np.ndarray, np.ndarray | None]:
    return *read_places(examples_uri), read_groups(examples_uri)


def _targets_and_slices(
    serialized: tf.Tensor, spec: DatasetSpec, slice_by: Sequence[str]
) -> tuple[np.ndarray, dict[str, pa.DictionaryArray]]:
    """Returns the targets of serialized rows, string `(batch,)`: int64 classes or float32 numbers `(batch,)`, and the
    values of the columns `slice_by` as text `(batch,)`, null where a row has none.
    """
    (target_key,) = spec.targets()
    dtypes = {"bytes": tf.string, "float": tf.float32, "int": tf.int64}
    others = {name: tf.io.VarLenFeature(dtypes[spec.features[name].stored]) for name in slice_by if name != target_key}
    target = {target_key: tf.io.FixedLenFeature((), dtypes[spec.features[target_key].stored])}
    parsed = tf.io.parse_example(serialized, target | others)
    targets = parsed[target_key].numpy()
    slices = {}
    for name in slice_by:
        if name == target_key:
            slices[name] = pa.DictionaryArray.from_arrays(targets.astype(np.int32), spec.features[name].classes)
        else:
            is_boolean = isinstance(spec.features[name], BooleanFeature)
            slices[name] = _as_text(parsed[name], len(targets), is_boolean=is_boolean)
    return targets, slices


def _as_text(column: tf.SparseTensor, rows: int, *, is_boolean: bool) -> pa.DictionaryArray:
    """Returns a column of at most one value a row as text, a boolean as true or false; null where a row has none."""
    codes = np.full(rows, -1, np.int32)
    encoded = pa.array(column.values.numpy()).dictionary_encode()
    codes[column.indices.numpy()[:, 0]] = encoded.indices.to_numpy()
    values = encoded.dictionary.cast(pa.bool_() if is_boolean else encoded.dictionary.type).cast(pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), values)


def _check_finite(outputs: np.ndarray, first_row: int) -> None:
    """Raises ModelError for the first row with an output that is not finite; no metric means anything then.

    Args:
        outputs: `(batch,)` or `(batch, values)`.
        first_row: How many rows of the split stand before them.
    """
    wrong = np.flatnonzero(~np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1))
    if len(wrong):
        raise ModelError(
            f"The model answers row {first_row + wrong[0] + 1:,} of the test split with a number that is not finite; "
            "lower train.learning_rate, set train.clip_norm, or look at that row for a value far from all others."
        )


def predict_batches(
    saved_model: str, files: Sequence[str], task: Task
) -> Iterator[tuple[tf.Tensor, np.ndarray, float]]:
    """Yields batches of the rows of TFRecord files: string `(batch,)` the serialized rows, float32 `(batch,)` or
    `(batch, values)` what `serving_default` answers under the task's `prediction_key`, and the seconds that it took.
    """
    predict = signature(saved_model)
    for index, serialized in enumerate(tf.data.TFRecordDataset(list(files)).batch(batch_rows(files))):
        if index == 0:
            predict(inputs=serialized[:1])  # the first one is traced
        started = time.perf_counter()
        # By the name: TensorFlow describes an argument without one, value by value, before it takes it.
        yield serialized, predict(inputs=serialized)[task.prediction_key].numpy(), time.perf_counter() - started


@functools.lru_cache(maxsize=1)  # one shard follows the other
def signature(saved_model: str):
    """Returns the signature `serving_default` of a SavedModel, which stays loaded until another is asked for."""
    return tf.saved_model.load(saved_model).signatures["serving_default"]


def batch_rows(files: Sequence[str]) -> int:
    """Returns how many rows a model is asked about at once: a power of two, fewer where those of the first file are
    large.
    """
    rows = BATCH_BYTES * _num_rows(files[0]) // max(os.path.getsize(files[0]), 1) if files else 0
    return 1 << (min(max(rows, LEAST_ROWS), MOST_ROWS).bit_length() - 1)


class _Worst:
    """Accumulates the rows with the worst answers."""

    def __init__(self, count: int = NUM_MISTAKES):
        self._count, self._rows = count, 0
        self._heap: list[tuple] = []

    def add(self, batch: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        """Adds rows: the error of each, float64 `(batch,)`, the serialized rows, the outputs."""
        errors, serialized, outputs = batch
        # Stable: of equal ones the first in the split come first, for any cut into batches.
        for index in np.argsort(-errors, kind="stable")[: self._count]:
            if np.isfinite(errors[index]):
                row = self._rows + int(index)
                entry = (float(errors[index]), -row, serialized[index], outputs[index])
                heapq.heappush(self._heap, entry)
                if len(self._heap) > self._count:
                    heapq.heappop(self._heap)
        self._rows += len(errors)

    def merge(self, other: "_Worst") -> None:
        """Adds rows that come after those added so far."""
        moved = [(error, row - self._rows, *rest) for error, row, *rest in other._heap]
        self._heap = heapq.nlargest(self._count, self._heap + moved, key=lambda entry: entry[:2])
        heapq.heapify(self._heap)
        self._rows += other._rows

    def result(self) -> list[tuple]:
        """Returns the worst first."""
        return sorted(self._heap, key=lambda entry: entry[:2], reverse=True)


def _mistake(serialized: bytes, value: np.ndarray, spec: DatasetSpec) -> dict[str, Any]:
    """Returns a serialized row and the outputs for it as JSON values: what is true, the prediction, and the features as
    the data has them, None of one that the row lacks.
    """
    mistake: dict[str, Any] = {"features": {}}
    row = decode(serialized, spec)
    for name, feature in spec.features.items():
        content = row.get(name)
        if content is None:
            mistake["features"][name] = None
        elif isinstance(feature, LabelFeature):
            best = int(value.argmax())
            mistake |= {"true": feature.classes[content], "predicted": feature.classes[best]}
            mistake |= {"probability": float(value[best]), "probability_of_true": float(value[content])}
        elif isinstance(feature, ImageFeature):
            mistake["image"] = _png(content, feature)
        elif feature.target:
            mistake |= {"true": content, "predicted": float(np.atleast_1d(value)[-1])}
        else:
            mistake["features"][name] = _as_in_data(content, feature)
    return mistake


def _as_in_data(content: Any, feature: Feature) -> Any:
    """Returns a stored value as a person knows it: a text, a number, true or false, a date in ISO 8601."""
    if isinstance(feature, BooleanFeature):
        return bool(content)
    if isinstance(feature, DateFeature):
        return iso(content)
    return content.decode("utf-8", "replace")[:MAX_TEXT] if isinstance(content, bytes) else content


def _png(content: bytes, feature: ImageFeature) -> str:
    """Returns raw bytes of pixels as a PNG in base64."""
    file = io.BytesIO()
    picture(content, feature).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
