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
from data.kinds.cell import shown, word
from data.sources.records import Record
from data.sources.tables import formats
from data.sources.tables.dialect import other_delimiter
from data.spec import DatasetSpec, ImageFeature, LabelFeature, Row


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


def read_labels(path: Path) -> dict[tuple[str, int], str]:
    """Returns the labels of a table with the columns `id` and `label`, and `row` where requests hold several.

    The table is one that training reads, in a zip file, too; CSV where its ending does not say, cells apart by any of
    the usual delimiters.

    Raises:
        DataError: It cannot be read, a column is missing, or a row is not a whole number.
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
        return dict(_label(record) for record in formats.records(path, kind, config))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error


def _label(record: Record) -> tuple[tuple[str, int], str]:
    """Returns identifier and row of a sample, and its label."""
    if record.problem:
        raise DataError(f"{record.problem}.")
    identifier, label, row = (
        "" if record.cells.get(name) is None else word(record.cells[name]) for name in ("id", "label", "row")
    )
    if not (row or "0").isdecimal():
        raise DataError(
            f"{record.where}:row: expected the row of a request, a whole number from 0, found {shown(row)}."
        )
    return (identifier, int(row or 0)), label


def quality(samples: list[Sample], labels: Mapping[tuple[str, int], str], spec: DatasetSpec) -> list[Quality]:
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
        right = float(str(answer) == label) if classes else abs(float(answer) - float(label))
        days.setdefault(time.strftime("%Y-%m-%d", time.gmtime(sample.time)), []).append(right)
    if not days:
        raise ConfigError(f"None of {len(labels):,} labels belongs to one of {len(samples):,} sampled rows.")
    return [_of_day(day, values, classes) for day, values in sorted(days.items())]


def _of_day(day: str, values: list[float], classes: bool) -> Quality:
    import numpy as np

    from models.evaluation.intervals import Z, wilson

    mean = float(np.mean(values))
    if classes:
        return Quality(day, len(values), "accuracy", mean, *wilson(mean, len(values)))
    half = Z * float(np.std(values)) / max(len(values), 1) ** 0.5
    return Quality(day, len(values), "mae", mean, mean - half, mean + half)
