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
from data.spec import DatasetSpec, ImageFeature, LabelFeature
from data.texts import to_json
from models import registry
from models.evaluation.predictions import SECONDS, Predictions, table
from models.task import Task

BATCH_BYTES, LEAST_ROWS, MOST_ROWS = 1 << 20, 256, 4096  # of the batches that a model is asked about
NUM_MISTAKES = 24
LENGTH = struct.Struct("<Q")  # of a record in a TFRecord file
MAX_TEXT = 2000  # characters of a text that are kept of a mistake


def write(
    folder: Path,
    saved_model: str,
    examples_uri: str,
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
        task: What is asked and how wrong an answer is.
        slice_by: Columns by whose values everything is broken down.
        beam_args: Beam's options, where several workers predict.
    """
    parts = PREDICTIONS.path(folder)
    parts.mkdir()
    predict = functools.partial(_predicted, parts, saved_model, examples_uri, spec, task.name, tuple(slice_by))
    worst = over(shards(examples_uri), predict, _Worst, beam_args).result()
    MISTAKES.path(folder).write_text(to_json([_told(one, spec, task) for one in worst], indent=1))


@dataclass(frozen=True)
class Shard:
    """A TFRecord file of the test split.

    Attributes:
        file: Its path.
        number: Which of the files it is, from 0.
        begin: How many rows stand in the files before it.
    """

    file: str
    number: int
    begin: int


def shards(examples_uri: str) -> list[Shard]:
    """Returns the files of the test split, in order."""
    files = split_files(examples_uri, "test")
    begins = np.cumsum([0, *(_num_rows(file) for file in files[:-1])])
    return [Shard(file, number, int(begin)) for number, (file, begin) in enumerate(zip(files, begins, strict=True))]


def _num_rows(file: str) -> int:
    """Returns how many records a TFRecord file has: each is framed by its length, 8 bytes, and two checksums of 4."""
    rows, place, size = 0, 0, os.path.getsize(file)
    if not size:  # which cannot be mapped
        return 0
    with open(file, "rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        while place < size:
            place += 16 + LENGTH.unpack_from(content, place)[0]
            rows += 1
    return rows


def _predicted(
    parts: Path,
    saved_model: str,
    examples_uri: str,
    spec: DatasetSpec,
    task_name: str,
    slice_by: tuple[str, ...],
    shard: Shard,
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Writes the predictions of one file; yields of each batch how wrong each is, the serialized rows, the answers."""
    task, num_rows = registry.task(task_name), shard.begin
    files, numbers, groups = _places_and_groups(examples_uri)
    seconds = 0.0
    path = parts / f"part-{shard.number:05d}.parquet"
    with contextlib.ExitStack() as stack:
        writer = None
        for serialized, answered, took in answers(saved_model, [shard.file], task):
            _check_finite(answered, num_rows)
            rows = slice(num_rows, num_rows + len(answered))
            targets, slices = _stored(serialized, spec, slice_by)
            predicted = Predictions(targets, answered, None if groups is None else groups[rows], slices=slices)
            found = table(predicted, files[rows], numbers[rows])
            writer = writer or stack.enter_context(pq.ParquetWriter(path, found.schema))
            writer.write_table(found)
            yield task.badness(targets, answered), serialized.numpy(), answered
            num_rows, seconds = rows.stop, seconds + took
        if writer:
            writer.add_key_value_metadata({SECONDS: repr(seconds)})


@functools.lru_cache(maxsize=1)  # one shard follows the other: of a million rows each reading takes 0.04 s
def _places_and_groups(examples_uri: str) -> tuple[pa.DictionaryArray, np.ndarray, np.ndarray | None]:
    return *read_places(examples_uri), read_groups(examples_uri)


def _stored(
    serialized: tf.Tensor, spec: DatasetSpec, slice_by: Sequence[str]
) -> tuple[np.ndarray, dict[str, pa.DictionaryArray]]:
    """Returns the targets of serialized rows, and the values of some columns as text."""
    (target_key,) = spec.targets()
    dtypes = {"bytes": tf.string, "float": tf.float32, "int": tf.int64}
    others = {name: tf.io.VarLenFeature(dtypes[spec.features[name].stored]) for name in slice_by if name != target_key}
    wanted = {target_key: tf.io.FixedLenFeature((), dtypes[spec.features[target_key].stored]), **others}
    found = tf.io.parse_example(serialized, wanted)
    targets = found[target_key].numpy()
    slices = {}
    for name in slice_by:
        if name == target_key:
            slices[name] = pa.DictionaryArray.from_arrays(targets.astype(np.int32), spec.features[name].classes)
        else:
            slices[name] = _as_text(found[name], len(targets))
    return targets, slices


def _as_text(column: tf.SparseTensor, rows: int) -> pa.DictionaryArray:
    """Returns a column of at most one value a row as text; null where a row has none."""
    codes = np.full(rows, -1, np.int32)
    encoded = pa.array(column.values.numpy()).dictionary_encode()
    codes[column.indices.numpy()[:, 0]] = encoded.indices.to_numpy()
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), encoded.dictionary.cast(pa.string()))


def _check_finite(answered: np.ndarray, before: int) -> None:
    """Raises ModelError for the first row whose answer is no finite number; no metric means anything then."""
    wrong = np.flatnonzero(~np.isfinite(answered.reshape(len(answered), -1)).all(axis=1))
    if len(wrong):
        raise ModelError(
            f"The model answers row {before + wrong[0] + 1:,} of the test split with a number that is not finite; "
            "lower train.learning_rate, set train.clip_norm, or look at that row for a value far from all others."
        )


def answers(saved_model: str, files: Sequence[str], task: Task) -> Iterator[tuple[tf.Tensor, np.ndarray, float]]:
    """Yields a batch of rows, string `(batch,)`, what `serving_default` answers, and the seconds that it took."""
    ask = signature(saved_model)
    for number, serialized in enumerate(tf.data.TFRecordDataset(list(files)).batch(batch_rows(files))):
        if number == 0:
            ask(inputs=serialized[:1])  # the first one is traced
        started = time.perf_counter()
        # By the name: TensorFlow describes an argument without one, value by value, before it takes it.
        yield serialized, ask(inputs=serialized)[task.prediction_key].numpy(), time.perf_counter() - started


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
        """Adds rows: how wrong each answer is, the serialized rows, the answers."""
        badness, serialized, values = batch
        for index in np.argsort(-badness)[: self._count]:
            if np.isfinite(badness[index]):
                row = self._rows + int(index)
                # Of equal ones the first in the split comes first.
                entry = (float(badness[index]), -row, serialized[index], values[index])
                heapq.heappush(self._heap, entry)
                if len(self._heap) > self._count:
                    heapq.heappop(self._heap)
        self._rows += len(badness)

    def merge(self, other: "_Worst") -> None:
        """Adds rows that come after those added so far."""
        moved = [(badness, row - self._rows, *rest) for badness, row, *rest in other._heap]
        self._heap = heapq.nlargest(self._count, self._heap + moved)
        heapq.heapify(self._heap)
        self._rows += other._rows

    def result(self) -> list[tuple]:
        """Returns the worst first."""
        return sorted(self._heap, key=lambda one: one[:2], reverse=True)


def _told(entry: tuple, spec: DatasetSpec, task: Task) -> dict[str, Any]:
    """Returns a mistake as JSON values: its row in the split, what was answered, and what the row holds."""
    _, row, serialized, value = entry
    stored = decode(serialized, spec)
    found: dict[str, Any] = {"row": -row, "features": {}}
    for name, content in stored.items():
        feature = spec.features[name]
        if isinstance(feature, LabelFeature):
            best = int(value.argmax())
            found |= {"true": feature.classes[content], "predicted": feature.classes[best]}
            found |= {"probability": float(value[best]), "probability_of_true": float(value[content])}
        elif isinstance(feature, ImageFeature):
            found["image"] = _png(content, feature)
        elif feature.target:
            found |= {"true": content, "predicted": float(np.atleast_1d(value)[-1])}
        else:
            text = content.decode("utf-8", "replace")[:MAX_TEXT] if isinstance(content, bytes) else content
            found["features"][name] = text
    return found


def _png(content: bytes, feature: ImageFeature) -> str:
    """Returns raw bytes of pixels as a PNG in base64."""
    file = io.BytesIO()
    picture(content, feature).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
