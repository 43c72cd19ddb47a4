"""A sample of requests and predictions on disk, for the comparison of training data with data in use.

One JSON line a row, one file a day, readable by its owner only. Off unless a settings file has the model:
`{"digits": {"rate": 0.1, "keep_days": 7, "folder": "/home/runs/digits/samples"}}`.
"""

import base64
import contextvars
import json
import os
import random
import time
from collections.abc import Collection, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from data import examples
from data.texts import to_json
from models.serving.protocol.input_rules import EXAMPLES, FILE
from models.serving.protocol.padding import without_padding
from models.serving.server.background import BackgroundWriter
from models.serving.server.servable import Servable

# Identifier of the current request, which its client knows too: labels are joined with their rows by it.
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


class _Sample(NamedTuple):
    """A request and its predictions: time in seconds since 1970, identifier, version, arrays by alias."""

    time: float
    identifier: str
    servable: Servable
    signature: str
    arrays: Mapping[str, np.ndarray]
    predictions: Mapping[str, np.ndarray]


class Sampler:
    """Stores samples; may be called from any thread, never waits for the disk, and never makes a request fail.

    Args:
        settings: Model -> `rate` (share of requests, 0 to 1), `keep_days`, and `folder` for the files.
    """

    def __init__(self, settings: Mapping[str, Mapping[str, Any]]):
        self._settings = {
            name: model_settings for name, model_settings in settings.items() if model_settings["rate"] > 0
        }
        self._rules: dict[Path, dict[str, Any]] = {}
        self._day: dict[str, str] = {}
        self._writer = BackgroundWriter("samples of requests")

    def __call__(
        self,
        servable: Servable,
        signature: str,
        arrays: Mapping[str, np.ndarray],
        predictions: Mapping[str, np.ndarray],
    ) -> None:
        """Stores the rows of a request with the probability `rate` of its model."""
        settings = self._settings.get(servable.name)
        if settings is None or random.random() >= settings["rate"]:
            return
        sample = _Sample(time.time(), request_id.get(), servable, signature, arrays, predictions)
        size = sum(map(_num_bytes, (*arrays.values(), *predictions.values())))
        self._writer.submit(size, lambda: self._keep(sample, Path(settings["folder"]), settings["keep_days"]))

    def flush(self) -> None:
        """Waits until all samples so far are on disk."""
        self._writer.flush()

    def forget(self, servable: Servable) -> None:
        """Drops the cached rules of a version that was unloaded."""
        self._rules.pop(servable.path, None)

    def _rows(self, servable: Servable, signature: str, arrays: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        """Returns the features of each row by name; none if the version does not say which inputs hold them."""
        if servable.path not in self._rules:
            file = servable.path / FILE
            self._rules[servable.path] = json.loads(file.read_text()) if file.exists() else {}
        rules = self._rules[servable.path]
        named = {
            feature: arrays[alias]
            for alias, feature in rules.get("signatures", {}).get(signature, {}).items()
            if alias in arrays
        }
        sequences = {name for name, of_feature in rules.get("features", {}).items() if "width" in of_feature}
        if EXAMPLES in named:
            return [_features(serialized, sequences) for serialized in named[EXAMPLES].tolist()]
        columns = {feature: array.tolist() for feature, array in named.items() if array.ndim == 1}
        for feature in sequences & named.keys():
            columns[feature] = [without_padding(row) for row in named[feature].reshape(len(named[feature]), -1)]
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def _keep(self, sample: _Sample, folder: Path, keep_days: int) -> None:
        """Writes the rows of a sample; runs in the writer's thread only."""
        rows = self._rows(sample.servable, sample.signature, sample.arrays)
        if not rows:
            return
        day = time.strftime("%Y-%m-%d", time.gmtime(sample.time))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._day.get(sample.servable.name) != day:
            self._day[sample.servable.name] = day
            _remove_old(folder, keep_days, day)
        descriptor = os.open(folder / f"{day}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, _lines(sample, rows))
        finally:
            os.close(descriptor)


def _num_bytes(array: np.ndarray) -> int:
    return sum(map(len, array.ravel().tolist())) if array.dtype == object else array.nbytes


def _lines(sample: _Sample, rows: list[dict[str, Any]]) -> bytes:
    """Returns one line of JSON for each row."""
    common = {
        "time": round(sample.time, 3),
        "id": sample.identifier,
        "version": sample.servable.version,
        "signature": sample.signature,
    }
    outputs = {
        alias: value.tolist() for alias, value in sample.predictions.items() if value.ndim and len(value) == len(rows)
    }
    lines = [
        {
            **common,
            "row": index,
            "features": row,
            "outputs": {alias: values[index] for alias, values in outputs.items()},
        }
        for index, row in enumerate(rows)
    ]
    return "".join(to_json(line, default=_bytes) + "\n" for line in lines).encode()


def _features(serialized: bytes, sequences: Collection[str]) -> dict[str, Any]:
    """Returns the first value of each feature of a tf.train.Example, of sequences all values."""
    try:
        features = examples.parse(serialized)
    except ValueError:
        return {}
    values_by_name = ((name, examples.values(feature)[1]) for name, feature in features.items())
    return {name: list(values) if name in sequences else values[0] for name, values in values_by_name if values}


def _bytes(value: Any) -> Any:
    """Returns UTF-8 bytes as text, others as base64 under `b64`, as TF Serving's REST API does."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _remove_old(folder: Path, keep_days: int, today: str) -> None:
    first = date.fromisoformat(today) - timedelta(days=keep_days - 1)
    for path in folder.glob("????-??-??.jsonl"):
        if path.stem < first.isoformat():
            path.unlink(missing_ok=True)
