"""The metrics of a model on a test split, overall and by slice, each with its 95 % interval: an accumulator."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from models.evaluation import EXAMPLE_COUNT, OVERALL, metrics
from models.evaluation.by_key import Rows, ratios_by_key, summaries_by_key
from models.evaluation.confidence import Interval
from models.evaluation.metrics import Columns, Metric, PerClass
from models.evaluation.predictions import Predictions


@dataclass(frozen=True)
class EvaluationResult:
    """The result of an evaluation; a metric without a finite value in a slice is left out.

    Attributes:
        slices: Slice, `overall` or such as `label=Shirt` -> metric -> value; the metric of a class as `recall@Shirt`.
        intervals: The same with the ends of 95 % intervals, where they are known.
        confusion_matrix: int64 `(classes, classes)`, row = true class, column = predicted one; None without classes.
        keys: Slice, without `overall` -> its column and value.
    """

    slices: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Interval]]
    confusion_matrix: np.ndarray | None
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, slice_name: str, metric: str, value: float, ends: Interval | None) -> None:
        """Adds a metric of a slice, and its interval where it is known."""
        if not math.isfinite(value):
            return
        self.slices[slice_name][metric] = value
        if ends:
            self.intervals[slice_name][metric] = ends

    def as_json(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        values: dict[str, Any] = {"slices": self.slices, "intervals": self.intervals}
        if self.confusion_matrix is not None:
            values["confusion_matrix"] = self.confusion_matrix.tolist()
        return values


class Evaluation:
    """Accumulates the columns that the metrics need, some 40 bytes for a row of a table, and the slices of each row."""

    def __init__(self, measured: Sequence[Metric | PerClass], label: str | None = None):
        """Makes an evaluation without rows.

        Args:
            measured: The metrics.
            label: The column of the slices whose order is that of the classes; None without classes.
        """
        self._label = label
        self._metrics = [metric for metric in measured if isinstance(metric, Metric)]
        self._per_class = next((metric for metric in measured if isinstance(metric, PerClass)), None)
        self._columns: dict[str, list[Columns]] = {metric.name: [] for metric in self._metrics}
        self._classes: list[Columns] = []
        self._slices: dict[str, list[pa.DictionaryArray]] = {}
        self._weights: list[np.ndarray] = []
        self._groups: list[np.ndarray] = []
        self._rows = 0
        self._optional_columns: set[str] | None = None

    def add(self, batch: Predictions) -> None:
        """Adds rows; raises ValueError where earlier ones have other columns, such as weights, or lengths differ."""
        self._check(batch)
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

    def _check(self, batch: Predictions) -> None:
        columns = {f"slice {name}": values for name, values in batch.slices.items()}
        optional = {"weights": batch.weights, "groups": batch.groups}
        columns |= {name: values for name, values in optional.items() if values is not None}
        for name, values in {"predictions": batch.values, **columns}.items():
            if len(values) != len(batch.targets):
                raise ValueError(f"Expected {len(batch.targets):,} {name}, one for each target, found {len(values):,}.")
        if len(batch.targets):
            self._check_columns(set(columns))

    def _check_columns(self, columns: set[str]) -> None:
        if self._optional_columns not in (None, columns):
            names = ", ".join(sorted(columns ^ (self._optional_columns or set())))
            raise ValueError(f"Some rows have {names} and others have not; all need the same columns.")
        self._optional_columns = columns

    def merge(self, other: "Evaluation") -> None:
        """Adds rows that come after those added so far; raises ValueError where they have other columns."""
        if other._optional_columns is not None:
            self._check_columns(other._optional_columns)
        for name, columns in other._columns.items():
            self._columns[name] += columns
        for name, values in other._slices.items():
            self._slices.setdefault(name, []).extend(values)
        self._classes += other._classes
        self._weights += other._weights
        self._groups += other._groups
        self._rows += other._rows

    def result(self) -> EvaluationResult:
        """Returns the metrics of all rows and of every slice; without rows none but `example_count`, which is 0.

        Raises:
            ValueError: Two slices have one name, as `b=c` of a column `a` and `c` of a column `a=b`.
        """
        rows = Rows(_joined(self._weights), _joined(self._groups))
        result = EvaluationResult({}, {}, None)
        for names, keys in self._slice_names(result):
            for name in names:
                result.slices[name], result.intervals[name] = {}, {}
            for metric in self._metrics if self._rows else ():
                columns = _concatenated(self._columns[metric.name])
                summaries = summaries_by_key(metric, columns, rows, keys, len(names))
                for name, summary in zip(names, summaries, strict=True):
                    result.add(name, metric.name, *metric.measured(summary))
            counts = np.bincount(keys[keys >= 0], minlength=len(names)).tolist()
            for name, count in zip(names, counts, strict=True):
                result.slices[name][EXAMPLE_COUNT] = float(count)
        return self._with_classes(result, rows) if self._per_class else result

    def _slice_names(self, result: EvaluationResult) -> Iterator[tuple[list[str], np.ndarray]]:
        """Yields names of slices, and int64 `(rows,)`: the index of each row's slice, -1 for none."""
        yield [OVERALL], np.zeros(self._rows, np.int64)
        for column, parts in self._slices.items():
            values = pa.chunked_array(parts).unify_dictionaries()
            codes = np.concatenate([part.indices.fill_null(-1).to_numpy() for part in values.chunks])
            dictionary = values.chunk(0).dictionary.to_pylist()
            present = np.unique(codes[codes >= 0])  # a class without rows is no slice
            order = present if column == self._label else sorted(present, key=lambda code: dictionary[code])
            slice_of_code = np.full(len(dictionary) + 1, -1)
            slice_of_code[order] = np.arange(len(order))  # the last one is that of -1
            names = [f"{column}={dictionary[code]}" for code in order]
            for name, code in zip(names, order, strict=True):
                if name in result.slices:
                    raise ValueError(f"Two slices are called {name}; rename column {column}, whose name has a =.")
                result.keys[name] = (column, dictionary[code])
            yield names, slice_of_code[codes]

    def _with_classes(self, result: EvaluationResult, rows: Rows) -> EvaluationResult:
        """Returns the result with the confusion matrix and with precision, recall and F1 of each class."""
        assert self._per_class
        classes = self._per_class.classes
        if not self._rows:
            return replace(result, confusion_matrix=np.zeros((len(classes), len(classes)), np.int64))
        targets, predicted = (column.astype(np.int64) for column in _concatenated(self._classes))
        hits, ones = targets == predicted, np.ones(len(targets), bool)
        # In F1 a row counts for its true class, and a miss also for the predicted one.
        misses = np.flatnonzero(targets != predicted)
        indices = np.concatenate([np.arange(len(targets)), misses])
        class_of_row = np.concatenate([targets, predicted[misses]])
        num_keys = len(classes)
        tables = {
            "precision": ratios_by_key(hits, ones, rows=rows, keys=predicted, num_keys=num_keys),
            "recall": ratios_by_key(hits, ones, rows=rows, keys=targets, num_keys=num_keys),
            "f1": ratios_by_key(
                hits[indices], ones[indices], rows=rows.of(indices), keys=class_of_row, num_keys=num_keys
            ),
        }
        declared = {metric.name for metric in self._metrics}  # as F1 of the second of two classes
        for kind, summaries in tables.items():
            for index, summary in enumerate(summaries):
                metric = metrics.of_class(kind, index, classes[index])
                if metric.name not in declared:
                    result.add(OVERALL, metric.name, *metric.measured(summary))
        return replace(result, confusion_matrix=metrics.confusion_matrix(targets, predicted, len(classes)))


def _joined(parts: list[np.ndarray]) -> np.ndarray | None:
    return np.concatenate(parts) if parts else None


def _concatenated(parts: list[Columns]) -> Columns:
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
