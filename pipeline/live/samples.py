"""Sampled requests of a server: reads them and joins them with labels that came later. Loads no TensorFlow."""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.kinds import label as labels_of_classes
from data.kinds import number
from data.kinds.cell import ReadOptions, Unusable, shown, word
from data.kinds.registry import kind_of
from data.numerals import parsed
from data.sources.records import Record
from data.sources.tables import formats
from data.sources.tables.dialect import other_delimiter
from data.spec import DatasetSpec, LabelFeature, Problem, Row


@dataclass(frozen=True)
class Sample:
    """One row of a request that a server sampled.

    Attributes:
        time: Time of the request, seconds since 1970.
        id: Identifier of the request: the client's X-Request-Id, or one that the server generated.
        row: Index of the row in the request, from 0.
        version: Version of the model that predicted.
        features: Feature -> its value in the request.
        outputs: Output -> the value of the response.
    """

    time: float
    id: str
    row: int
    version: int
    features: dict[str, Any]
    outputs: dict[str, Any]

    def stored(self, spec: DatasetSpec) -> Row | None:
        """Returns the row as ingest stores it; None where that is impossible, as for an image sent as a file."""
        row: Row = {}
        for name, feature in spec.features.items():
            value = self.features.get(name)
            if value is None or value != value or value in ("", []):  # missing, NaN, an empty text, no step
                continue
            if feature.is_list:
                row[name] = [step.encode() if isinstance(step, str) else step for step in value]
                continue
            if isinstance(value, dict):
                value = base64.b64decode(value["b64"])
            num_bytes = kind_of(feature).rules(feature).get("num_bytes")
            if num_bytes is not None and len(value) != num_bytes:
                return None
            row[name] = value.encode() if isinstance(value, str) else value
        return row

    def prediction(self) -> str | float | None:
        """Returns the most probable class, or the predicted number; None where the outputs hold neither."""
        if "scores" in self.outputs and "classes" in self.outputs:
            scores = self.outputs["scores"]
            return self.outputs["classes"][max(range(len(scores)), key=scores.__getitem__)]
        value = self.outputs.get("outputs")
        return float(value[-1] if isinstance(value, list) else value) if value is not None else None


def read(folder: Path, since: float = 0.0) -> list[Sample]:
    """Returns the samples after a time, in seconds since 1970, the oldest first; incomplete lines are skipped."""
    return [sample for path in sorted(folder.glob("*.jsonl")) for sample in _read_file(path) if sample.time > since]


def _read_file(path: Path) -> Iterator[Sample]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                values = json.loads(line)
                yield Sample(
                    values["time"],
                    values["id"],
                    values["row"],
                    values["version"],
                    values["features"],
                    values["outputs"],
                )
            except (ValueError, KeyError, TypeError):
                continue


@dataclass(frozen=True)
class Quality:
    """A metric of the predictions of one day, by the labels that are known.

    Attributes:
        day: The day, UTC, such as 2026-11-25.
        rows: Number of rows that have a label.
        metric: `accuracy`, or `mae`.
        value: Value of the metric.
        low: Lower end of its 95 % interval.
        high: Upper end of its 95 % interval.
    """

    day: str
    rows: int
    metric: str
    value: float
    low: float
    high: float


Labels = Mapping[tuple[str, int], float]
"""Identifier and row of a sample -> its target as ingest stores it: the index of a class, or a number."""


def read_labels(path: Path, spec: DatasetSpec, read_by: DataConfig) -> Labels:
    """Returns the labels of a table with the columns `id` and `label`, and `row` where requests hold several.

    The table has one of the formats of training data, also in a zip file; without a known ending it is CSV, with any
    of the usual delimiters. Labels are read as those of the training data; missing ones are left out.

    Args:
        path: The table.
        spec: Spec of the training data.
        read_by: The settings by which the training data is read.

    Raises:
        DataError: The table cannot be read, a column is missing, a row is not a whole number, or a label is none that
            the training data could hold.
    """
    config = DataConfig(files=str(path), format="csv")
    kind = formats.format_of_questions(path, config)
    try:
        columns = formats.columns_of(path, kind, config)
        delimiter = other_delimiter(columns) if kind == "csv" else None
        if delimiter:
            config = config.model_copy(update={"delimiter": delimiter})
            columns = formats.columns_of(path, kind, config)
        missing = {"id", "label"} - set(columns)
        if missing:
            raise DataError(f"{path}:1: column {' and '.join(sorted(missing))} is missing; expected id,label[,row].")
        missing_values, is_text = frozenset(("", *read_by.missing_values)), kind == "csv"
        how = ReadOptions(is_text, missing_values, path.parent, read_by.notation, nan=True)
        pairs = (_label(record, spec, how) for record in formats.records(path, kind, config))
        return {sample: label for sample, label in pairs if label is not None}
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error


def _label(record: Record, spec: DatasetSpec, how: ReadOptions) -> tuple[tuple[str, int], float | None]:
    """Returns the identifier and row of a sample, and its label; None where that is missing."""
    if record.problem:
        raise DataError(f"{record.problem}.")
    identifier, column = record.cells.get("id"), "row"
    try:
        row = _row(record.cells.get("row"), how)
        column = "label"
        label = _target(record.cells.get("label"), spec, how)
    except Unusable as error:
        raise DataError(f"{Problem(record.where, column, error.expected, error.found)}.") from None
    return ("" if identifier is None else word(identifier), row), label


def _row(cell: Any, how: ReadOptions) -> int:
    """Returns the index of a row in its request, which pandas may have written as 0.0. Raises Unusable."""
    if how.is_absent(cell):
        return 0
    value = parsed(word(cell))
    if value is None or not value.is_integer() or value < 0:
        raise Unusable("the row of a request, a whole number from 0", shown(cell))
    return int(value)


def _target(cell: Any, spec: DatasetSpec, how: ReadOptions) -> float | None:
    """Returns a label as ingest stores it; None for a missing one. Raises Unusable."""
    (name,) = spec.targets()
    feature = spec.features[name]
    try:
        if isinstance(feature, LabelFeature):
            return labels_of_classes.value(cell, feature, how)
        return number.value(cell, feature, how)
    except Unusable:
        if how.is_absent(cell):  # checked last: a class may have the name of a missing-value marker
            return None
        raise


def quality(samples: list[Sample], labels: Labels, spec: DatasetSpec) -> list[Quality]:
    """Returns the accuracy, or the mean absolute error, of the predictions of each day.

    Raises:
        ConfigError: No label belongs to a sample.
    """
    days: dict[str, list[float]] = {}
    has_classes = bool(spec.of(LabelFeature))
    for sample in samples:
        label, prediction = labels.get((sample.id, sample.row)), sample.prediction()
        if label is None or prediction is None:
            continue
        value = float(_is_class(prediction, int(label), spec)) if has_classes else abs(float(prediction) - label)
        days.setdefault(time.strftime("%Y-%m-%d", time.gmtime(sample.time)), []).append(value)
    if not days:
        raise ConfigError(f"None of {len(labels):,} labels belongs to one of {len(samples):,} sampled rows.")
    return [_daily_quality(day, values, has_classes) for day, values in sorted(days.items())]


def _is_class(prediction: str | float, index: int, spec: DatasetSpec) -> bool:
    """Whether a prediction is this class; an earlier version may have had other classes."""
    try:
        return _target(prediction, spec, ReadOptions()) == index
    except Unusable:
        return False


def _daily_quality(day: str, values: list[float], is_accuracy: bool) -> Quality:
    """Returns the mean of `values` with its 95 % interval: Wilson's for accuracy, else a normal approximation."""
    import numpy as np

    from models.evaluation.intervals import Z, wilson

    mean = float(np.mean(values))
    if is_accuracy:
        return Quality(day, len(values), "accuracy", mean, *wilson(mean, len(values)))
    half = Z * float(np.std(values)) / max(len(values), 1) ** 0.5
    return Quality(day, len(values), "mae", mean, mean - half, mean + half)
