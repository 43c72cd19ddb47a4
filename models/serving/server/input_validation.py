"""Input validation: refuses values that the training schema rules out, before a model makes something of them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data import examples
from models.serving.protocol.input_rules import EXAMPLES, FILE
from models.serving.protocol.statuses import Refusal
from models.serving.server.monitoring import Metrics
from models.serving.server.servable import Servable

SHOWN = 5
NO_DATE = -(2**63)

Rules = dict[str, Any]


class InputValidator:
    """Checks requests; called with `(servable, signature, arrays)`. Versions without rules take everything."""

    def __init__(self, metrics: Metrics):
        self._metrics = metrics
        self._rules: dict[Path, Rules | None] = {}

    def __call__(self, servable: Servable, signature: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Raises Refusal that names rows, from 0, and features, for values ruled out."""
        rules = self._of(servable.path)
        aliases = rules["signatures"].get(signature) if rules else None
        if not aliases:
            return
        found = []
        for alias, array in arrays.items():
            feature = aliases.get(alias)
            if feature is None or array.ndim != 1:
                continue
            if feature == EXAMPLES:
                found += _examples(array, rules["features"])
            else:
                found += [(row, feature, text) for row, text in _column(array, rules["features"][feature])]
        if not found:
            return
        for _, feature, _ in found:
            self._metrics.refused(servable.name, feature)
        found.sort(key=lambda one: one[0])
        told = "; ".join(f"row {row}, {feature}: {text}" for row, feature, text in found[:SHOWN])
        more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise Refusal(f"Input guard: {told}{more}.")

    def forget(self, servable: Servable) -> None:
        """Drops the rules of a version that was unloaded."""
        self._rules.pop(servable.path, None)

    def _of(self, path: Path) -> Rules | None:
        if path not in self._rules:
            try:
                rules = json.loads((path / FILE).read_text())
            except FileNotFoundError:
                rules = None
            for feature in (rules or {"features": {}})["features"].values():
                if "values" in feature:
                    feature["known"] = {value.encode() for value in feature["values"]}
            self._rules[path] = rules
        return self._rules[path]


def _examples(array: np.ndarray, features: Mapping[str, Rules]) -> Iterator[tuple[int, str, str]]:
    """Yields row, feature and sentence for all that is wrong with serialized tf.train.Examples."""
    names = [(name, rules, examples.LISTS[rules["stored"]]) for name, rules in features.items()]
    for row, serialized in enumerate(array.tolist()):
        try:
            example = examples.parse(serialized)
        except ValueError:
            continue  # TensorFlow's own words are clear
        for name, rules, kind in names:
            found, values = examples.values(example[name]) if name in example else (None, ())
            if not values:
                if not rules["optional"]:
                    yield row, name, "is missing"
            elif found != kind:
                yield row, name, f"expected a {kind}, found a {found}"
            elif len(values) > 1:
                yield row, name, f"expected one value, found {len(values)}"
            elif sentence := _value(values[0], rules):
                yield row, name, sentence


def _column(array: np.ndarray, rules: Rules) -> Iterator[tuple[int, str]]:
    """Yields row and sentence for all that is wrong with one column, `(batch,)`."""
    if rules["stored"] == "float" and array.dtype.kind == "f":
        # Most columns are fine: one look at all of it.
        low, high = rules.get("min", -np.inf), rules.get("max", np.inf)
        with np.errstate(invalid="ignore"):
            fine = np.isfinite(array) & (array >= np.float32(low)) & (array <= np.float32(high))
        suspects = np.flatnonzero(~fine)
    else:
        suspects = np.arange(len(array))
    for row in suspects.tolist():
        value = array[row].item() if array.dtype.kind != "O" else array[row]
        if _absent(value, rules):
            if not rules["optional"]:
                yield row, "is missing"
        elif sentence := _value(value, rules, encoded=True):
            yield row, sentence


def _absent(value: Any, rules: Rules) -> bool:
    """Whether a value of a column stands for nothing: NaN, an empty text, the least int64."""
    return value != value or value == b"" or (rules["stored"] == "int" and value == NO_DATE)


def _word(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _value(value: Any, rules: Rules, *, encoded: bool = False) -> str | None:
    """Returns what is wrong with a value that is there; None when nothing is.

    Args:
        value: A float, an int, or bytes.
        rules: What the schema says.
        encoded: Whether an image is a file's bytes, of any length, instead of raw pixels.
    """
    if rules["stored"] == "float":
        if value != value or value in (float("inf"), float("-inf")):
            return f"expected a finite number, found {_word(value)}"
        # As float32, which is how the bounds were held to while training.
        if "min" in rules and value < float(np.float32(rules["min"])):
            return f"expected at least {rules['min']:g}, found {value:g}"
        if "max" in rules and value > float(np.float32(rules["max"])):
            return f"expected at most {rules['max']:g}, found {value:g}"
        return None
    if rules["stored"] == "int":
        return None
    if rules["kind"] == "image":
        if not encoded and len(value) != rules["num_bytes"]:
            return f"expected {rules['num_bytes']} bytes of pixels, found {len(value)}"
        return None
    if "known" in rules and value not in rules["known"]:
        known = ", ".join(rules["values"][:SHOWN]) + (", ..." if len(rules["values"]) > SHOWN else "")
        return f"expected one of {known}; found {value[:40].decode(errors='replace')!r}"
    try:
        value.decode()
    except UnicodeDecodeError:
        return "expected UTF-8 text, found other bytes"
    return None
