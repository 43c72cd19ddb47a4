"""A sample of what a server is asked and answers, on disk: what the model sees in use, to hold training data against.

A JSON line a row, in a file a day, readable by its owner only. Off unless a file says how much, by model:
`{"digits": {"rate": 0.1, "keep_days": 7, "folder": "/home/runs/digits/samples"}}`.
"""

import base64
import contextvars
import json
import logging
import os
import random
import threading
import time
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from data import examples
from models.serving.protocol.input_rules import EXAMPLES, FILE
from models.serving.server.servable import Servable

# The identifier of the request that is being answered, which its client knows: labels find their rows by it.
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")

logger = logging.getLogger(__name__)


class Sampler:
    """Writes samples; may be called from any thread, and never fails a request.

    Args:
        settings: Model -> `rate` (share of requests, 0 to 1), `keep_days`, and `folder` for the files.
    """

    def __init__(self, settings: Mapping[str, Mapping[str, Any]]):
        self._settings = {name: one for name, one in settings.items() if one["rate"] > 0}
        self._aliases: dict[Path, dict[str, dict[str, str]]] = {}
        self._lock = threading.Lock()
        self._day: dict[str, str] = {}
        self._told = False

    def __call__(
        self, servable: Servable, signature: str, arrays: Mapping[str, np.ndarray], answer: Mapping[str, np.ndarray]
    ) -> None:
        """Writes the rows of a request, by chance as often as was asked for."""
        settings = self._settings.get(servable.name)
        if settings is None or random.random() >= settings["rate"]:
            return
        try:
            rows = self._rows(servable, signature, arrays)
            if rows:
                self._write(Path(settings["folder"]), settings["keep_days"], servable, signature, rows, answer)
        except (OSError, ValueError, TypeError) as error:
            if not self._told:  # once: a full disk would fill the log
                logger.warning("requests are not sampled (%s)", error)
            self._told = True

    def forget(self, servable: Servable) -> None:
        """Drops what is known of a version that was unloaded."""
        self._aliases.pop(servable.path, None)

    def _rows(self, servable: Servable, signature: str, arrays: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        """Returns the features of each row, as the signature's inputs hold them; none where that is not known."""
        if servable.path not in self._aliases:
            file = servable.path / FILE
            self._aliases[servable.path] = json.loads(file.read_text())["signatures"] if file.exists() else {}
        named = {
            feature: arrays[alias]
            for alias, feature in self._aliases[servable.path].get(signature, {}).items()
            if alias in arrays and arrays[alias].ndim == 1
        }
        if EXAMPLES in named:
            return [_features(serialized) for serialized in named[EXAMPLES].tolist()]
        columns = {feature: array.tolist() for feature, array in named.items()}
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def _write(
        self,
        folder: Path,
        keep_days: int,
        servable: Servable,
        signature: str,
        rows: list[dict[str, Any]],
        answer: Mapping[str, np.ndarray],
    ) -> None:
        identifier, now = request_id.get(), time.time()
        common = {"time": round(now, 3), "id": identifier, "version": servable.version, "signature": signature}
        outputs = {alias: value.tolist() for alias, value in answer.items() if value.ndim and len(value) == len(rows)}
        lines = [
            json.dumps(
                {
                    **common,
                    "row": index,
                    "features": row,
                    "outputs": {alias: values[index] for alias, values in outputs.items()},
                },
                default=_bytes,
            )
            for index, row in enumerate(rows)
        ]
        day = time.strftime("%Y-%m-%d", time.gmtime(now))
        with self._lock:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._day.get(servable.name) != day:
                self._day[servable.name] = day
                _remove_old(folder, keep_days, day)
            descriptor = os.open(folder / f"{day}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, ("\n".join(lines) + "\n").encode())
            finally:
                os.close(descriptor)


def _features(serialized: bytes) -> dict[str, Any]:
    """Returns the first value of each feature of a tf.train.Example."""
    try:
        features = examples.parse(serialized)
    except ValueError:
        return {}
    held = ((name, examples.values(feature)[1]) for name, feature in features.items())
    return {name: values[0] for name, values in held if values}


def _bytes(value: Any) -> Any:
    """Returns bytes as text where they are, else as base64 under `b64`, as in TF Serving's REST API."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _remove_old(folder: Path, keep_days: int, today: str) -> None:
    first = date.fromisoformat(today) - timedelta(days=keep_days - 1)
    for path in folder.glob("????-??-??.jsonl"):
        if path.stem < first.isoformat():
            path.unlink(missing_ok=True)
