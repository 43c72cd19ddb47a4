"""Input validation: refuses requests with values that the training schema does not allow."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data import examples
from models.serving.protocol.input_rules import EXAMPLES, FILE
from models.serving.protocol.padding import without_padding
from models.serving.protocol.statuses import Refusal
from models.serving.server.monitoring import Metrics
from models.serving.server.servable import Servable

MAX_SHOWN = 5  # problems in a message
MISSING_INT = -(2**63)  # stands for a missing date

Rules = dict[str, Any]


class InputValidator:
    """Validates requests by the rules in their version's SavedModel; a version without rules accepts all values."""

    def __init__(self, metrics: Metrics):
        self._metrics = metrics
        self._rules: dict[Path, Rules | None] = {}

    def __call__(self, servable: Servable, signature: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Validates the inputs of a request.

        Args:
            servable: The version.
            signature: Name of the signature.
            arrays: Alias -> array `(rows,)`; a sequence `(rows, steps)` or `(rows, steps, width)`, padded.

        Raises:
            Refusal: Values are not allowed; the message names their rows, from 0, and features.
        """
        rules = self._rules_of(servable.path)
        aliases = rules["signatures"].get(signature) if rules else None
        if not aliases:
            return
        problems = []
        for alias, array in arrays.items():
            feature = aliases.get(alias)
            is_sequence = feature is not None and "width" in rules["features"].get(feature, {})
            if feature is None or (array.ndim != 1 and not is_sequence):
                continue
            if feature == EXAMPLES:
                problems += _examples(array, rules["features"])
            elif is_sequence:
                problems += [(row, feature, text) for row, text in _sequences(array, rules["features"][feature])]
            else:
                problems += [(row, feature, text) for row, text in _column(array, rules["features"][feature])]
        if not problems:
            return
        for _, feature, _ in problems:
            self._metrics.refused(servable.name, feature)
        problems.sort(key=lambda problem: problem[0])
        shown = "; ".join(f"row {row}, {feature}: {text}" for row, feature, text in problems[:MAX_SHOWN])
        more = f"; and {len(problems) - MAX_SHOWN} more" if len(problems) > MAX_SHOWN else ""
        raise Refusal(f"Input validation: {shown}{more}.")

    def forget(self, servable: Servable) -> None:
        """Drops the rules of a version that was unloaded."""
        self._rules.pop(servable.path, None)

    def _rules_of(self, path: Path) -> Rules | None:
        if path not in self._rules:
            try:
                rules = json.loads((path / FILE).read_text())
            except FileNotFoundError:
                rules = None
            for feature in (rules or {"features": {}})["features"].values():
                if "values" in feature:
                    feature["allowed"] = {value.encode() for value in feature["values"]}
            self._rules[path] = rules
        return self._rules[path]


def _examples(array: np.ndarray, features: Mapping[str, Rules]) -> Iterator[tuple[int, str, str]]:
    """Yields row, feature and description of each problem in serialized tf.train.Examples, object `(rows,)`."""
    names = [(name, rules, examples.LISTS[rules["stored"]]) for name, rules in features.items()]
    for row, serialized in enumerate(array.tolist()):
        try:
            example = examples.parse(serialized)
        except ValueError:
            continue  # the session refuses it with a clear message
        for name, rules, kind in names:
            stored_kind, values = examples.values(example[name]) if name in example else (None, ())
            if not values:
                if not rules["optional"]:
                    yield row, name, "is missing"
            elif stored_kind != kind:
                yield row, name, f"expected a {kind}, found a {stored_kind}"
            elif problem := _count(len(values), rules) or _first_problem(values, rules):
                yield row, name, problem


def _count(num_values: int, rules: Rules) -> str | None:
    """Returns the problem with the number of values of a feature in a row; None if it is allowed."""
    width, max_length = rules.get("width", 1), rules.get("max_length", 1)
    if num_values % width:
        return f"expected {width} values a step, found {num_values}"
    if max_length is not None and num_values > max_length * width:
        expected = f"at most {max_length:,} steps" if "width" in rules else "one value"
        return f"expected {expected}, found {num_values // width:,}"
    return None


def _first_problem(values: Iterable[Any], rules: Rules) -> str | None:
    return next(filter(None, (_value(value, rules) for value in values)), None)


def _column(array: np.ndarray, rules: Rules) -> Iterator[tuple[int, str]]:
    """Yields row and description of each problem in one column, `(rows,)`."""
    if rules["stored"] == "float" and array.dtype.kind == "f":
        # Vectorized, since most columns are valid; only the other values are looked at one by one.
        low, high = rules.get("min", -np.inf), rules.get("max", np.inf)
        with np.errstate(invalid="ignore"):
            is_valid = np.isfinite(array) & (array >= np.float32(low)) & (array <= np.float32(high))
        rows = np.flatnonzero(~is_valid)
    else:
        rows = np.arange(len(array))
    for row in rows.tolist():
        value = array[row].item() if array.dtype.kind != "O" else array[row]
        if _is_missing(value, rules):
            if not rules["optional"]:
                yield row, "is missing"
        elif problem := _value(value, rules, encoded=True):
            yield row, problem


def _sequences(array: np.ndarray, rules: Rules) -> Iterator[tuple[int, str]]:
    """Yields row and description of each problem in sequences, `(rows, steps)` or `(rows, steps, width)`, padded."""
    for row, padded in enumerate(array.reshape(len(array), -1)):
        values = without_padding(padded)
        if not values:
            if not rules["optional"]:
                yield row, "is missing"
        elif problem := _count(len(values), rules) or _first_problem(values, rules):
            yield row, problem


def _is_missing(value: Any, rules: Rules) -> bool:
    """Whether a value is a missing-value marker: NaN, an empty text, the smallest int64."""
    return value != value or value == b"" or (rules["stored"] == "int" and value == MISSING_INT)


def _name_of_float(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _value(value: Any, rules: Rules, *, encoded: bool = False) -> str | None:
    """Returns the problem with a value that is not missing; None if it is allowed.

    Args:
        value: float, int, or bytes.
        rules: Rules of the feature.
        encoded: Whether an image is the bytes of a file, of any length, instead of raw pixels.
    """
    if rules["stored"] == "float":
        if value != value or value in (float("inf"), float("-inf")):
            return f"expected a finite number, found {_name_of_float(value)}"
        # As float32, since the bounds were compared as float32 in training.
        if "min" in rules and value < float(np.float32(rules["min"])):
            return f"expected at least {rules['min']:g}, found {value:g}"
        if "max" in rules and value > float(np.float32(rules["max"])):
            return f"expected at most {rules['max']:g}, found {value:g}"
        return None
    if rules["stored"] == "int":
        return None
    if "num_bytes" in rules:
        if not encoded and len(value) != rules["num_bytes"]:
            return f"expected {rules['num_bytes']} bytes of {rules.get('content', 'pixels')}, found {len(value)}"
        return None
    if "allowed" in rules and value not in rules["allowed"]:
        allowed = ", ".join(rules["values"][:MAX_SHOWN]) + (", ..." if len(rules["values"]) > MAX_SHOWN else "")
        return f"expected one of {allowed}; found {value[:40].decode(errors='replace')!r}"
    try:
        value.decode()
    except UnicodeDecodeError:
        return "expected UTF-8 text, found other bytes"
    return None
