"""What a model answers about the test split, kept beside its metrics: baseline, report and comparison look at it."""

import base64
import heapq
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from components.artifact_files import MISTAKES, PREDICTIONS
from components.example_gen import read_groups, split_files
from data.errors import ModelError
from data.examples import decode, picture
from data.spec import DatasetSpec, ImageFeature, LabelFeature
from data.texts import to_json
from models.task import Task

BATCH_ROWS = 512
NUM_MISTAKES = 24
MAX_TEXT = 2000  # characters of a text that are kept of a mistake


def write(folder: Path, saved_model: str, examples_uri: str, spec: DatasetSpec, task: Task) -> None:
    """Writes what `serving_default` answers for each row of the test split, and its worst mistakes.

    One batch after the other: of the rows only the worst are kept.
    """
    (target_key,) = spec.targets()
    kind = tf.int64 if isinstance(spec.features[target_key], LabelFeature) else tf.float32
    wanted = {target_key: tf.io.FixedLenFeature((), kind)}
    targets, values, worst, seconds = [], [], _Worst(NUM_MISTAKES), 0.0
    for serialized, answered, took in answers(saved_model, examples_uri, task):
        _check_finite(answered, len(targets) * BATCH_ROWS)
        values.append(answered)
        seconds += took
        targets.append(tf.io.parse_example(serialized, wanted)[target_key].numpy())
        worst.add(task.badness(targets[-1], values[-1]), serialized.numpy(), values[-1])
    kept = {"targets": np.concatenate(targets), "values": np.concatenate(values), "seconds": seconds}
    groups = read_groups(examples_uri)
    np.savez(PREDICTIONS.path(folder), **kept, **({} if groups is None else {"groups": groups}))
    MISTAKES.path(folder).write_text(to_json([_told(one, spec, task) for one in worst.found()], indent=1))


def _check_finite(answered: np.ndarray, before: int) -> None:
    """Raises ModelError for the first row whose answer is no finite number; no metric means anything then."""
    wrong = np.flatnonzero(~np.isfinite(answered.reshape(len(answered), -1)).all(axis=1))
    if len(wrong):
        raise ModelError(
            f"The model answers row {before + wrong[0] + 1:,} of the test split with a number that is not finite; "
            "lower train.learning_rate, set train.clip_norm, or look at that row for a value far from all others."
        )


def answers(saved_model: str, examples_uri: str, task: Task) -> Iterator[tuple[tf.Tensor, np.ndarray, float]]:
    """Yields a batch of the test split, string `(batch,)`, what `serving_default` answers, and seconds that it took."""
    ask = tf.saved_model.load(saved_model).signatures["serving_default"]
    batches = tf.data.TFRecordDataset(split_files(examples_uri, "test")).batch(BATCH_ROWS)
    for number, serialized in enumerate(batches):
        if number == 0:
            ask(serialized)  # the first one is traced
        started = time.perf_counter()
        yield serialized, ask(serialized)[task.prediction_key].numpy(), time.perf_counter() - started


class _Worst:
    """Keeps the rows with the worst answers."""

    def __init__(self, count: int):
        self._count, self._rows = count, 0
        self._heap: list[tuple] = []

    def add(self, badness: np.ndarray, serialized: np.ndarray, values: np.ndarray) -> None:
        for index in np.argsort(-badness)[: self._count]:
            if np.isfinite(badness[index]):
                row = self._rows + int(index)
                # Of equal ones the first in the split comes first.
                entry = (float(badness[index]), -row, serialized[index], values[index])
                heapq.heappush(self._heap, entry)
                if len(self._heap) > self._count:
                    heapq.heappop(self._heap)
        self._rows += len(badness)

    def found(self) -> list[tuple]:
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
