"""Writes a model's predictions for the test split, once: metrics, comparisons and the report are computed from them."""

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
from components.example_gen import read_groups, read_ids, read_row_id_arrays, split_files
from data.columnar.workers import accumulate
from data.errors import ModelError
from data.examples import decode, picture
from data.kinds.registry import kind_of
from data.spec import WEIGHT, BooleanFeature, DatasetSpec, ImageFeature, LabelFeature
from data.texts import to_json
from models import registry
from models.evaluation.predictions import NUM_ROWS, SECONDS, Predictions, table
from models.task import Task

BATCH_BYTES, MIN_BATCH_ROWS, MAX_BATCH_ROWS = 1 << 20, 256, 4096  # of a batch that a model predicts
NUM_MISTAKES = 24
RECORD_LENGTH = struct.Struct("<Q")  # the first 8 bytes of a record in a TFRecord file
MAX_TEXT = 2000  # characters of a text in a mistake


@dataclass(frozen=True)
class Shard:
    """A TFRecord file of the test split.

    Attributes:
        path: Its path.
        index: Its index among the split's files, from 0.
        first_row: Index in the split of its first row.
        num_rows: Number of rows of the whole split.
    """

    path: str
    index: int
    first_row: int
    num_rows: int


@dataclass(frozen=True)
class _Settings:
    """Settings of the prediction of all shards; pickled for Beam's workers.

    Attributes:
        folder: Receives a file for each shard.
        saved_model: Folder of the SavedModel.
        examples_uri: Folder of the examples.
        spec: The data set's features.
        task_name: Name of the task.
        slice_by: Columns by whose values metrics are broken down.
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
    """Writes the output of `serving_default` for each row of the test split, and the worst mistakes.

    Args:
        folder: Receives `predictions/`, a file for each TFRecord file of the split (see
            `models.evaluation.predictions`), and the worst mistakes.
        saved_model: Folder of the SavedModel.
        examples_uri: Folder of the examples.
        spec: The data set's features.
        task: The task, whose `prediction_key` names the output.
        slice_by: Columns by whose values metrics are broken down.
        beam_args: Beam's options, if several workers predict.

    Raises:
        ModelError: An output is not finite.
    """
    parts = PREDICTIONS.path(folder)
    parts.mkdir()
    settings = _Settings(parts, saved_model, examples_uri, spec, task.name, tuple(slice_by))
    worst = accumulate(shards(examples_uri), functools.partial(_predict_shard, settings), _Worst, beam_args).result()
    test_rows = _test_rows(examples_uri)
    mistakes = [test_rows.located(-row) | _mistake(serialized, outputs, spec) for _, row, serialized, outputs in worst]
    MISTAKES.path(folder).write_text(to_json(mistakes, indent=1))


def shards(examples_uri: str) -> list[Shard]:
    """Returns the files of the test split, in order."""
    files = split_files(examples_uri, "test")
    *first_rows, num_rows = np.cumsum([0, *map(_num_rows, files)]).tolist()
    return [Shard(file, index, row, num_rows) for index, (file, row) in enumerate(zip(files, first_rows, strict=True))]


def _num_rows(file: str) -> int:
    """Returns the number of records of a TFRecord file.

    A record is its length (8 bytes), a checksum (4), the content and a checksum (4).
    """
    rows, position, size = 0, 0, os.path.getsize(file)
    if not size:  # an empty file cannot be mapped into memory
        return 0
    with open(file, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        while position < size:
            position += 16 + RECORD_LENGTH.unpack_from(content, position)[0]
            rows += 1
    return rows


def _predict_shard(settings: _Settings, shard: Shard) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Writes the predictions of a shard into a file, which is complete after the last batch; yields input of `_Worst`.

    Yields:
        For each batch the errors of its rows, float64 `(batch,)`, the serialized rows, bytes `(batch,)`, and the
        outputs, `(batch,)` or `(batch, values)`.
    """
    task, batches = registry.task(settings.task_name), _batches_of_shard(settings, shard)
    with _PartWriter(settings.folder / f"part-{shard.index:05d}.parquet", shard.num_rows) as writer:
        for serialized, predictions, rows_table in batches:
            writer.write(rows_table, predictions.seconds)
            yield task.example_error(predictions.targets, predictions.values), serialized.numpy(), predictions.values


def _batches_of_shard(settings: _Settings, shard: Shard) -> Iterator[tuple[tf.Tensor, Predictions, pa.Table]]:
    """Yields for each batch of a shard its serialized rows, string `(batch,)`, its predictions, and the stored table.

    Raises:
        ModelError: An output is not finite.
    """
    task, first_row = registry.task(settings.task_name), shard.first_row
    test_rows = _test_rows(settings.examples_uri)
    for serialized, outputs, batch_seconds in predict_batches(settings.saved_model, [shard.path], task):
        _check_finite(outputs, first_row)
        rows = slice(first_row, first_row + len(outputs))
        targets, slices, weights = _parsed(serialized, settings.spec, settings.slice_by)
        predictions = Predictions(
            targets=targets,
            values=outputs,
            groups=None if test_rows.groups is None else test_rows.groups[rows],
            weights=weights,
            slices=slices,
            seconds=batch_seconds,
        )
        ids = None if test_rows.ids is None else test_rows.ids[rows]
        yield serialized, predictions, table(predictions, test_rows.files[rows], test_rows.numbers[rows], ids)
        first_row = rows.stop


class _PartWriter(contextlib.AbstractContextManager):
    """Writes a Parquet file of predictions, if there are rows.

    Its metadata holds the model's seconds for these rows, and the number of rows of the whole split.
    """

    def __init__(self, path: Path, num_rows: int):
        self._path, self._num_rows, self._seconds = path, num_rows, 0.0
        self._writer: pq.ParquetWriter | None = None

    def write(self, rows_table: pa.Table, seconds: float) -> None:
        """Writes rows; `seconds` is what the model took for them."""
        self._writer = self._writer or pq.ParquetWriter(self._path, rows_table.schema)
        self._writer.write_table(rows_table)
        self._seconds += seconds

    def __exit__(self, error: type[BaseException] | None, *_) -> None:
        if self._writer:
            if error is None:
                self._writer.add_key_value_metadata({SECONDS: repr(self._seconds), NUM_ROWS: str(self._num_rows)})
            self._writer.close()


@dataclass(frozen=True)
class _TestRows:
    """File, number, group and id of each row of the test split, `(rows,)` each; see `components.example_gen`."""

    files: pa.DictionaryArray
    numbers: np.ndarray
    groups: np.ndarray | None
    ids: pa.Array | None

    def located(self, row: int) -> dict[str, Any]:
        """Returns a row's index in the split, its file, number and, if it has one, id, as JSON values."""
        values = {"row": row, "file": self.files[row].as_py(), "number": int(self.numbers[row])}
        id_of_row = None if self.ids is None else self.ids[row].as_py()
        return values if id_of_row is None else values | {"id": id_of_row[:MAX_TEXT]}


@functools.lru_cache(maxsize=1)  # called for each shard: reading takes 0.04 s for a million rows
def _test_rows(examples_uri: str) -> _TestRows:
    return _TestRows(*read_row_id_arrays(examples_uri), read_groups(examples_uri), read_ids(examples_uri))


def _parsed(
    serialized: tf.Tensor, spec: DatasetSpec, slice_by: Sequence[str]
) -> tuple[np.ndarray, dict[str, pa.DictionaryArray], np.ndarray | None]:
    """Returns targets, slices and weights of serialized rows, string `(batch,)`.

    Returns:
        Targets, int64 classes or float32 numbers `(batch,)`; column -> its values as text `(batch,)`, null where a
        row has none; weights, float64 `(batch,)`, None where rows count alike.
    """
    (target_key,) = spec.targets()
    dtypes = {"bytes": tf.string, "float": tf.float32, "int": tf.int64}
    columns = {name: tf.io.VarLenFeature(dtypes[spec.features[name].stored]) for name in slice_by if name != target_key}
    target_parser = {target_key: tf.io.FixedLenFeature((), dtypes[spec.features[target_key].stored])}
    weight_parser = {WEIGHT: tf.io.FixedLenFeature((), tf.float32)} if spec.weight_column else {}
    parsed = tf.io.parse_example(serialized, target_parser | columns | weight_parser)
    targets = parsed[target_key].numpy()
    slices = {}
    for name in slice_by:
        if name == target_key:
            slices[name] = pa.DictionaryArray.from_arrays(targets.astype(np.int32), spec.features[name].classes)
        else:
            is_boolean = isinstance(spec.features[name], BooleanFeature)
            slices[name] = _as_text(parsed[name], len(targets), is_boolean=is_boolean)
    return targets, slices, parsed[WEIGHT].numpy().astype(np.float64) if spec.weight_column else None


def _as_text(column: tf.SparseTensor, num_rows: int, *, is_boolean: bool) -> pa.DictionaryArray:
    """Returns a column of at most one value a row as text `(rows,)`, a boolean as true or false; null for no value."""
    codes = np.full(num_rows, -1, np.int32)
    encoded = pa.array(column.values.numpy()).dictionary_encode()
    codes[column.indices.numpy()[:, 0]] = encoded.indices.to_numpy()
    values = encoded.dictionary.cast(pa.bool_() if is_boolean else encoded.dictionary.type).cast(pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), values)


def _check_finite(outputs: np.ndarray, first_row: int) -> None:
    """Raises ModelError for the first row with an output that is not finite: no metric could be computed.

    Args:
        outputs: `(batch,)` or `(batch, values)`.
        first_row: Index in the split of the first of these rows.
    """
    bad = np.flatnonzero(~np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1))
    if len(bad):
        raise ModelError(
            f"The model answers row {first_row + bad[0] + 1:,} of the test split with a number that is not finite; "
            "lower train.learning_rate, set train.clip_norm, or look at that row for a value far from all others."
        )


def predict_batches(
    saved_model: str, files: Sequence[str], task: Task
) -> Iterator[tuple[tf.Tensor, np.ndarray, float]]:
    """Predicts the rows of TFRecord files by the signature `serving_default`, batch by batch.

    Args:
        saved_model: Folder of the SavedModel.
        files: TFRecord files of tf.train.Examples.
        task: The task, whose `prediction_key` names the output.

    Yields:
        The serialized rows, string `(batch,)`, the outputs, float32 `(batch,)` or `(batch, values)`, and the seconds
        that the model took.
    """
    predict = signature(saved_model)
    for index, serialized in enumerate(tf.data.TFRecordDataset(list(files)).batch(batch_rows(files))):
        if index == 0:
            predict(inputs=serialized[:1])  # the first call traces the function
        start = time.perf_counter()
        # By keyword: for a positional argument TensorFlow first formats a description of every value.
        yield serialized, predict(inputs=serialized)[task.prediction_key].numpy(), time.perf_counter() - start


@functools.lru_cache(maxsize=1)  # called for each shard
def signature(saved_model: str):
    """Returns the signature `serving_default` of a SavedModel; the last model stays loaded."""
    return tf.saved_model.load(saved_model).signatures["serving_default"]


def batch_rows(files: Sequence[str]) -> int:
    """Returns the number of rows of a batch: a power of two, for about BATCH_BYTES a batch of the first file."""
    rows = BATCH_BYTES * _num_rows(files[0]) // max(os.path.getsize(files[0]), 1) if files else 0
    return 1 << (min(max(rows, MIN_BATCH_ROWS), MAX_BATCH_ROWS).bit_length() - 1)


class _Worst:
    """Accumulates the rows with the greatest errors."""

    def __init__(self, count: int = NUM_MISTAKES):
        self._count, self._num_rows = count, 0
        self._heap: list[tuple] = []

    def add(self, batch: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        """Adds a batch: the errors of its rows, float64 `(batch,)`, the serialized rows and the outputs."""
        errors, serialized, outputs = batch
        # A stable sort: of rows with equal errors the first in the split are kept, whatever the batches.
        for index in np.argsort(-errors, kind="stable")[: self._count]:
            if np.isfinite(errors[index]):
                row = self._num_rows + int(index)
                entry = (float(errors[index]), -row, serialized[index], outputs[index])
                heapq.heappush(self._heap, entry)
                if len(self._heap) > self._count:
                    heapq.heappop(self._heap)
        self._num_rows += len(errors)

    def merge(self, other: "_Worst") -> None:
        """Adds rows that come after those added so far."""
        moved = [(error, row - self._num_rows, *rest) for error, row, *rest in other._heap]
        self._heap = heapq.nlargest(self._count, self._heap + moved, key=lambda entry: entry[:2])
        heapq.heapify(self._heap)
        self._num_rows += other._num_rows

    def result(self) -> list[tuple]:
        """Returns (error, -index in the split, serialized row, outputs) of the worst rows, the worst first."""
        return sorted(self._heap, key=lambda entry: entry[:2], reverse=True)


def _mistake(serialized: bytes, outputs: np.ndarray, spec: DatasetSpec) -> dict[str, Any]:
    """Returns a row and the model's outputs as JSON values: `true`, `predicted`, and the features as in the data.

    Args:
        serialized: The row.
        outputs: Outputs for it, `()` or `(values,)`.
        spec: The data set's features. One that the row lacks is None.
    """
    mistake: dict[str, Any] = {"features": {}}
    row = decode(serialized, spec)
    for name, feature in spec.features.items():
        content = row.get(name)
        if content is None:
            mistake["features"][name] = None
        elif isinstance(feature, LabelFeature):
            best = int(outputs.argmax())
            mistake |= {"true": feature.classes[content], "predicted": feature.classes[best]}
            mistake |= {"probability": float(outputs[best]), "probability_of_true": float(outputs[content])}
        elif isinstance(feature, ImageFeature):
            mistake["image"] = _png(content, feature)
        elif feature.target:
            mistake |= {"true": content, "predicted": float(np.atleast_1d(outputs)[-1])}
        else:
            value = kind_of(feature).in_data(content, feature)
            mistake["features"][name] = value[:MAX_TEXT] if isinstance(value, str) else value
    return mistake


def _png(content: bytes, feature: ImageFeature) -> str:
    """Returns an image, its pixels as raw bytes, as a PNG in base64."""
    file = io.BytesIO()
    picture(content, feature).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
