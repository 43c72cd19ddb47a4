"""What Headrace needs to know of a kind of column: a record of plain functions, without TensorFlow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from data.kinds.cell import Cells, Column, ReadOptions


def _identity(feature: Any) -> tuple:
    return (feature.kind,)


def _no_rules(feature: Any) -> dict[str, Any]:
    return {}


def is_present(values: pa.ListArray, feature: Any) -> np.ndarray:
    """Returns whether each row has a value, bool `(rows,)`."""
    return values.value_lengths().fill_null(0).to_numpy() > 0


def _as_it_is(values: pa.ListArray, array: np.ndarray, feature: Any) -> dict[str, pa.ListArray]:
    return {"": values}


def _as_text(stored: Any, feature: Any) -> Any:
    if isinstance(stored, list):
        return [_as_text(item, feature) for item in stored]
    return stored.decode("utf-8", "replace") if isinstance(stored, bytes) else stored


@dataclass(frozen=True)
class Kind:
    """A kind of column; `feature` below is an instance of its class of features.

    Attributes:
        feature: The class in `data.spec`.
        value: `(cell, feature, options) -> value`: one raw cell as it is learned from; None for a missing value of an
            optional feature. Raises `data.kinds.cell.Unusable`.
        column: `(cells, feature, options) -> Column`: the stored column of many cells, equal to `value` of each.
        to_value: `(stored, feature) -> value`, the inverse of storing one value.
        in_data: `(stored, feature) -> JSON value`, a stored value as the data has it, such as the name of a class.
        split_by_stored: Whether a row that is split by content goes by its stored value, not by the text of its cell:
            lists have many notations, and are long.
        identity: `(feature) -> tuple`, equal of two features whose stored values can stand for one another: a live
            model that was trained on the one then predicts the other.
        rules: `(feature) -> JSON object`, what input validation needs beyond bounds and allowed values.
        array: `(values, feature) -> array (rows, ...)` of stored values `pa.ListArray (rows,)`, of each row a list
            that is empty where it has none: numbers float64 with NaN for none, pixels uint8, classes int64; for
            every other kind bool, whether the row has a value.
        described: `(values, array, feature) -> {suffix: pa.ListArray}`, columns of which TFDV computes statistics
            instead of those of the feature; their names are the feature's and the suffix.
        described_as: The suffixes of `described`.
        drift_inputs: `(array, feature) -> float32 (rows, inputs)`, NaN for none: numbers whose mean in each class shows
            classes that were swapped. None: it has none.
    """

    feature: type
    value: Callable[[Any, Any, ReadOptions], Any]
    column: Callable[[Cells, Any, ReadOptions], Column]
    to_value: Callable[[Any, Any], Any] = _as_text
    in_data: Callable[[Any, Any], Any] = _as_text
    split_by_stored: bool = False
    identity: Callable[[Any], tuple] = _identity
    rules: Callable[[Any], dict[str, Any]] = _no_rules
    array: Callable[[pa.ListArray, Any], np.ndarray] = is_present
    described: Callable[[pa.ListArray, np.ndarray, Any], Mapping[str, pa.ListArray]] = _as_it_is
    described_as: tuple[str, ...] = ("",)
    drift_inputs: Callable[[np.ndarray, Any], np.ndarray] | None = None


def numbers(values: pa.ListArray, feature: Any) -> np.ndarray:
    """Returns the number of each row, float64 `(rows,)`, NaN for none."""
    array = np.full(len(values), np.nan)
    array[is_present(values, feature)] = values.flatten().to_numpy()
    return array


def one_each(numbers: np.ndarray) -> pa.ListArray:
    """Returns numbers `(rows,)` as lists of one; NaN as a list of none."""
    is_valid = ~np.isnan(numbers)
    offsets = np.concatenate([[0], np.cumsum(is_valid)]).astype(np.int32)
    values = pa.array(numbers[is_valid], pa.float32())
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(~is_valid))
