"""What a server kept of its requests: read back, joined with labels that came later. Loads no TensorFlow."""

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
from data.kinds.cell import Reading, Unusable, shown, word
from data.numerals import parsed
from data.sources.records import Record
from data.sources.tables import formats
from data.sources.tables.dialect import other_delimiter
from data.spec import DatasetSpec, ImageFeature, LabelFeature, Problem, Row


@dataclass(frozen=True)
class Sample:
    """One row that a server was asked about.

    Attributes:
        time: When, seconds since 1970.
        id: The request's identifier: the client's X-Request-Id, or one that was made up.
        row: Its place in the request.
        version: Who answered.
        features: What was asked, by feature.
        outputs: What was answered, by alias.
    """

    time: float
    id: str
    row: int
    version: int
    features: dict[str, Any]
    outputs: dict[str, Any]

    def stored(self, spec: DatasetSpec) -> Row | None:
        """Returns the row as data is stored; None where a value cannot be, as an image that is a file's bytes."""
        found: Row = {}
        for name, feature in spec.features.items():
            value = self.features.get(name)
            if value is None or value != value or value == "":  # absent, NaN, an empty text
                continue
            if isinstance(value, dict):
                value = base64.b64decode(value["b64"])
            if isinstance(feature, ImageFeature) and len(value) != feature.height * feature.width * feature.channels:
                return None
            found[name] = value.encode() if isinstance(value, str) else value
        return found

    def answer(self) -> str | float | None:
        """Returns the likeliest class, or the number, that was answered."""
        if "scores" in self.outputs and "classes" in self.outputs:
            scores = self.outputs["scores"]
            return self.outputs["classes"][max(range(len(scores)), key=scores.__getitem__)]
        value = self.outputs.get("outputs")
        return float(value[-1] if isinstance(value, list) else value) if value is not None else None


def read(folder: Path, since: float = 0.0) -> list[Sample]:
    """Returns the samples since a moment, the oldest first; a line that was cut off is left out."""
    return [sample for path in sorted(folder.glob("*.jsonl")) for sample in _of_file(path) if sample.time > since]


def _of_file(path: Path) -> Iterator[Sample]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                one = json.loads(line)
                yield Sample(one["time"], one["id"], one["row"], one["version"], one["features"], one["outputs"])
            except (ValueError, KeyError, TypeError):
                continue


@dataclass(frozen=True)
class Quality:
    """How good answers were on one day, by the labels that came.

    Attributes:
        day: The day, UTC.
        rows: How many rows have a label.
        metric: `accuracy`, or `mae`.
        value: Its value.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    day: str
    rows: int
    metric: str
    value: float
    low: float
    high: float


Labels = Mapping[tuple[str, int], float]
"""Identifier and row of a sample -> its target as training data is stored: the place of a class, or a number."""


def read_labels(path: Path, spec: DatasetSpec, read_by: DataConfig) -> Labels:
    """Returns the labels of a table with the columns `id` and `label`, and `row` where requests hold several.

    The table is one that training reads, in a zip file, too; CSV where its ending does not say, cells apart by any of
    the usual delimiters. Its labels are read as those of the training data are; one that has not come yet is left out.

    Args:
        path: The table.
        spec: What the model was trained on.
        read_by: The settings by which the training data is read.

    Raises:
        DataError: It cannot be read, a column is missing, a row is not a whole number, or a label is not what the
            training data could hold.
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
        how = Reading(is_text, missing_values, path.parent, read_by.notation, nan=True)
        found = (_label(record, spec, how) for record in formats.records(path, kind, config))
        return {sample: label for sample, label in found if label is not None}
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error


def _label(record: Record, spec: DatasetSpec, how: Reading) -> tuple[tuple[str, int], float | None]:
    """Returns identifier and row of a sample, and its label; None for none."""
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


def _row(cell: Any, how: Reading) -> int:
    """Returns the place in a request: a whole number, of which pandas writes 0.0 where other rows have none."""
    if how.is_absent(cell):
        return 0
    found = parsed(word(cell))
    if found is None or not found.is_integer() or found < 0:
        raise Unusable("the row of a request, a whole number from 0", shown(cell))
    return int(found)


def _target(cell: Any, spec: DatasetSpec, how: Reading) -> float | None:
    """Returns a label as it is stored; None for one that has not come. Raises Unusable."""
    (name,) = spec.targets()
    feature = spec.features[name]
    try:
        if isinstance(feature, LabelFeature):
            return labels_of_classes.value(cell, feature, how)
        return number.value(cell, feature, how)
    except Unusable:
        if how.is_absent(cell):  # asked last: a class may be called like a missing-value marker
            return None
        raise


def quality(samples: list[Sample], labels: Labels, spec: DatasetSpec) -> list[Quality]:
    """Returns day by day how good the answers were.

    Raises:
        ConfigError: No label belongs to a sample.
    """
    days: dict[str, list[float]] = {}
    classes = bool(spec.of(LabelFeature))
    for sample in samples:
        label, answer = labels.get((sample.id, sample.row)), sample.answer()
        if label is None or answer is None:
            continue
        right = float(_is_class(answer, int(label), spec)) if classes else abs(float(answer) - label)
        days.setdefault(time.strftime("%Y-%m-%d", time.gmtime(sample.time)), []).append(right)
    if not days:
        raise ConfigError(f"None of {len(labels):,} labels belongs to one of {len(samples):,} sampled rows.")
    return [_of_day(day, values, classes) for day, values in sorted(days.items())]


def _is_class(answer: str | float, index: int, spec: DatasetSpec) -> bool:
    """Whether an answer names this class; a version of before may know others."""
    try:
        return _target(answer, spec, Reading()) == index
    except Unusable:
        return False


def _of_day(day: str, values: list[float], classes: bool) -> Quality:
    import numpy as np

    from models.evaluation.intervals import Z, wilson

    mean = float(np.mean(values))
    if classes:
        return Quality(day, len(values), "accuracy", mean, *wilson(mean, len(values)))
    half = Z * float(np.std(values)) / max(len(values), 1) ** 0.5
    return Quality(day, len(values), "mae", mean, mean - half, mean + half)
