"""Sequences of numbers or categories: lists of float32 or UTF-8, step after step; null for none."""

import functools
import json
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.kinds import category, number
from data.kinds.cell import Cells, Column, ReadOptions, Unusable, convert_cells, convert_doubtful, shown
from data.kinds.contract import Kind, one_each
from data.spec import CategoryFeature, NumberFeature, SequenceFeature

ARROW = {"number": pa.list_(pa.float32()), "category": pa.list_(pa.binary())}
"""What steps hold -> the Arrow type of the stored column."""


def value(cell: Any, feature: SequenceFeature, options: ReadOptions) -> list | None:
    """Returns the values of all steps, `width` of each: float or str; None for a missing value of an optional feature.

    Raises:
        Unusable: It is no sequence, a step cannot be used, or there are more steps than `max_length`.
    """
    steps = _steps(cell, feature, options)
    if not steps:
        if feature.optional:
            return None
        raise Unusable(_expected(feature), "no step" if steps is not None else shown(None))
    steps = _within_length(steps, feature)
    convert = partial(_MODULES[feature.of].value, feature=_step_feature(feature), options=options.of(optional=False))
    values = []
    for position, step in enumerate(steps, start=1):
        for item in _items(step, position, feature):
            try:
                values.append(convert(None if isinstance(item, str) and not item.strip() else item))
            except Unusable as error:
                raise Unusable(f"{error.expected} at step {position:,}", error.found) from None
    return values


def column(cells: Cells, feature: SequenceFeature, options: ReadOptions) -> Column:
    """Returns the stored column, a list of each row: for each cell what `value` returns."""
    convert = partial(value, feature=feature, options=options)
    arrow = ARROW[feature.of]
    lists = None if isinstance(cells, list) else _lists(cells, feature)
    if lists is None:
        return convert_cells(cells, convert, arrow)
    flat = _MODULES[feature.of].column(lists.flatten(), _step_feature(feature), options.of(optional=False))
    lengths = lists.value_lengths().fill_null(0).to_numpy()
    bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    is_doubtful = (lengths == 0) | (lengths > feature.max_length)
    bad_values = np.fromiter(flat.problems, np.int64, len(flat.problems))
    if feature.of == "category":
        blank = pc.equal(pc.binary_length(flat.values), 0).fill_null(False).to_numpy(zero_copy_only=False)
        bad_values = np.concatenate([bad_values, np.flatnonzero(blank)])
    is_doubtful[np.searchsorted(bounds, bad_values, side="right") - 1] = True
    values = pa.ListArray.from_arrays(pa.array(bounds), flat.values.cast(arrow.value_type))
    return convert_doubtful(values, is_doubtful, cells, convert)


def _lists(cells: pa.Array, feature: SequenceFeature) -> pa.ListArray | None:
    """Returns the cells as lists of single values; None where they are to be read one by one."""
    if feature.width > 1:
        return None
    if pa.types.is_large_list(cells.type) or pa.types.is_fixed_size_list(cells.type):
        cells = cells.cast(pa.list_(cells.type.value_type))
    if pa.types.is_list(cells.type) and not pa.types.is_nested(cells.type.value_type):
        return cells
    return None


def _steps(cell: Any, feature: SequenceFeature, options: ReadOptions) -> list | None:
    """Returns the steps in a cell; None for a missing value. Raises Unusable."""
    if options.is_absent(cell):
        return None
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", errors="replace")
    if isinstance(cell, str):
        if feature.separator:
            parts = cell.split(None if feature.separator.isspace() else feature.separator)
            return [part.strip() for part in parts]
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            raise Unusable(
                _expected(feature), f"{shown(cell)}, which is no JSON array; where its steps have one, set separator"
            ) from None
    if isinstance(cell, np.ndarray | tuple):
        cell = list(cell)
    if not isinstance(cell, list):
        raise Unusable(_expected(feature), shown(cell))
    return cell


def _within_length(steps: list, feature: SequenceFeature) -> list:
    if len(steps) <= feature.max_length:
        return steps
    if feature.too_long == "refuse":
        found = f"{len(steps):,}; raise max_length, or set too_long to first or last"
        raise Unusable(f"at most {feature.max_length:,} steps", found)
    return steps[: feature.max_length] if feature.too_long == "first" else steps[-feature.max_length :]


def _items(step: Any, position: int, feature: SequenceFeature) -> list:
    """Returns the values of a step. Raises Unusable."""
    if feature.width == 1 and not isinstance(step, list | tuple | np.ndarray):
        return [step]
    if isinstance(step, list | tuple | np.ndarray) and len(step) == feature.width:
        return list(step)
    many = f"{feature.width} numbers" if feature.width > 1 else f"one {feature.of}"
    raise Unusable(f"{many} at step {position:,}", shown(list(step) if isinstance(step, tuple | np.ndarray) else step))


def _expected(feature: SequenceFeature) -> str:
    what = "numbers" if feature.of == "number" else "categories"
    each = f", {feature.width} a step" if feature.width > 1 else ""
    if feature.separator:
        return f"{what} separated by {feature.separator!r}"
    return f"a list of {what}{each}"


@functools.lru_cache(maxsize=64)
def _step_feature(feature: SequenceFeature) -> NumberFeature | CategoryFeature:
    """Returns the feature of a single value."""
    if feature.of == "number":
        return NumberFeature(min=feature.min, max=feature.max)
    return CategoryFeature(values=feature.values)


_MODULES = {"number": number, "category": category}


def _identity(feature: SequenceFeature) -> tuple:
    return (feature.kind, feature.of, feature.width)


def _rules(feature: SequenceFeature) -> dict[str, Any]:
    return {"width": feature.width, "max_length": feature.max_length if feature.too_long == "refuse" else None}


def _described(values: pa.ListArray, array: np.ndarray, feature: SequenceFeature) -> dict[str, pa.ListArray]:
    """Returns the values of all steps, and the number of steps of each row that has any."""
    steps = values.value_lengths().fill_null(0).to_numpy() / feature.width
    return {"": values, ".length": one_each(np.where(steps > 0, steps, np.nan))}


KIND = Kind(
    SequenceFeature, value, column, split_by_stored=True, identity=_identity, rules=_rules, described=_described,
    described_as=("", ".length"),
)  # fmt: skip
