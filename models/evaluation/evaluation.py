"""The metrics of a model on a test split, overall and by slice, each with its 95 % interval: an accumulator."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from models.evaluation import OVERALL, metrics
from models.evaluation.by_key import Known, Rows, known_by_key, ratios_by_key
from models.evaluation.metrics import Columns, Metric, PerClass
from models.evaluation.predictions import Predictions

Interval = tuple[float, float]


@dataclass(frozen=True)
class Evaluated:
    """What was measured; a metric that has no finite value in a slice is not there.

    Attributes:
        slices: Slice, `overall` or such as `label=Shirt` -> metric -> value; the metric of a class as `recall@Shirt`.
        intervals: The same with the ends of 95 % intervals, where they are known.
        confusion_matrix: int64 `(classes, classes)`, row = true class, column = predicted one; None without classes.
    """

    slices: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Interval]]
    confusion_matrix: np.ndarray | None

    def add(self, slice_name: str, metric: str, known: Known, greatest: float, *, is_share: bool) -> None:
        """Adds a metric of a slice, and its interval where it is known."""
        if not math.isfinite(known.value):
            return
        self.slices[slice_name][metric] = known.value
        if ends := known.interval(greatest, is_share=is_share):
            self.intervals[slice_name][metric] = ends

    def as_json(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        told: dict[str, Any] = {"slices": self.slices, "intervals": self.intervals}
        if self.confusion_matrix is not None:
            told["confusion_matrix"] = self.confusion_matrix.tolist()
        return told


class Evaluation:
    """Accumulates predictions: of each row what the metrics need of it, some 40 bytes of a table's, and its slices."""

    def __init__(self, measured: Sequence[Metric | PerClass], label: str | None = None):
        """Makes an empty one.

        Args:
            measured: What is measured.
            label: The column of the slices whose order is that of the classes; None without classes.
        """
        self._label = label
        self._metrics = [one for one in measured if isinstance(one, Metric)]
        self._per_class = next((one for one in measured if isinstance(one, PerClass)), None)
        self._columns: dict[str, list[Columns]] = {one.name: [] for one in self._metrics}
        self._classes: list[Columns] = []
        self._slices: dict[str, list[pa.DictionaryArray]] = {}
        self._weights: list[np.ndarray] = []
        self._groups: list[np.ndarray] = []
        self._rows = 0

    def add(self, batch: Predictions) -> None:
        """Adds rows."""
        for metric in self._metrics:
            self._columns[metric.name].append(metric.columns(batch.targets, batch.values))
        if self._per_class:
            self._classes.append((batch.targets.astype(np.int32), batch.values.argmax(axis=1).astype(np.int32)))
        for name, values in batch.slices.items():
            self._slices.setdefault(name, []).append(values)
        if batch.weights is not None:
            self._weights.append(batch.weights)
        if batch.groups is not None:
            self._groups.append(batch.groups)
        self._rows += len(batch.targets)

    def merge(self, other: "Evaluation") -> None:
        """Adds rows that come after those added so far."""
        for name, found in other._columns.items():
            self._columns[name] += found
        for name, values in other._slices.items():
            self._slices.setdefault(name, []).extend(values)
        self._classes += other._classes
        self._weights += other._weights
        self._groups += other._groups
        self._rows += other._rows

    def result(self) -> Evaluated:
        """Returns the metrics of all rows and of every slice."""
        rows = Rows(self._rows, _joined(self._weights), _joined(self._groups))
        columns = {name: _concatenated(found) for name, found in self._columns.items()}
        found = Evaluated({}, {}, None)
        for names, keys in self._keys():
            tables = [(one, known_by_key(one, columns[one.name], rows, keys, len(names))) for one in self._metrics]
            counts = np.bincount(keys[keys >= 0], minlength=len(names))
            for key, name in enumerate(names):
                found.slices[name], found.intervals[name] = {}, {}
                for metric, known in tables:
                    found.add(name, metric.name, known[key], metric.greatest, is_share=metric.is_share)
                found.slices[name]["example_count"] = float(counts[key])
        return self._with_classes(found, rows) if self._per_class else found

    def _keys(self) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yields names of slices, and int64 `(rows,)`: which of them each row is in, -1 for none."""
        yield [OVERALL], np.zeros(self._rows, np.int64)
        for column, parts in self._slices.items():
            values = pa.chunked_array(parts).unify_dictionaries()
            codes = np.concatenate([part.indices.fill_null(-1).to_numpy() for part in values.chunks])
            names = values.chunk(0).dictionary.to_pylist()
            present = np.unique(codes[codes >= 0])  # of a class without rows there is nothing to say
            order = present if column == self._label else sorted(present, key=lambda code: names[code])
            places = np.full(len(names) + 1, -1)
            places[order] = np.arange(len(order))  # the last place is that of -1
            yield [f"{column}={names[code]}" for code in order], places[codes]

    def _with_classes(self, found: Evaluated, rows: Rows) -> Evaluated:
        """Returns it with the confusion matrix and with precision, recall and F1 of each class."""
        assert self._per_class
        classes = self._per_class.classes
        targets, predicted = (one.astype(np.int64) for one in _concatenated(self._classes))
        hits, ones = (targets == predicted).astype(np.float64), np.ones(len(targets))
        # F1 is 2 hits / (predicted + true): a row counts with its true class, of a miss also with the predicted one.
        misses = np.flatnonzero(targets != predicted)
        twice = np.concatenate([np.arange(len(targets)), misses])
        either = np.concatenate([targets, predicted[misses]])
        pairs = (np.concatenate([one, rest[misses]]) for one, rest in ((2 * hits, hits), (ones + hits, ones)))
        tables = {
            "precision": ratios_by_key(hits, ones, rows, predicted, len(classes)),
            "recall": ratios_by_key(hits, ones, rows, targets, len(classes)),
            "f1": ratios_by_key(*pairs, rows.of(twice), either, len(classes)),
        }
        for metric, table in tables.items():
            for name, known in zip(classes, table, strict=True):
                found.add(OVERALL, f"{metric}@{name}", known, 1.0, is_share=metric != "f1")
        return replace(found, confusion_matrix=metrics.confusion_matrix(targets, predicted, len(classes)))


def _joined(parts: list[np.ndarray]) -> np.ndarray | None:
    return np.concatenate(parts) if parts else None


def _concatenated(parts: list[Columns]) -> Columns:
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
