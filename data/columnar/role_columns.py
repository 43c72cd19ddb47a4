"""Columns with a role, which are no features: texts of groups and ids, weights of rows."""

from collections.abc import Collection
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from data.columnar.columns import Stored
from data.kinds.cell import word, words_of_floats
from data.spec import DatasetSpec, NumberFeature

WEIGHT = NumberFeature(min=0)
"""What the column of weights holds: a cell that is not such a number makes its row unusable."""


def texts(cells: pa.Array | list, missing_values: Collection[str]) -> pa.Array:
    """Returns cells as text, string `(rows,)`, null for missing values.

    NaN and missing-value markers count as missing in every format: such rows do not form a group.
    """
    encoded = in_utf8(_without_nan(cells))
    is_missing = pc.is_in(encoded, pa.array([marker.encode() for marker in missing_values], pa.binary()))
    encoded = pc.if_else(is_missing, pa.scalar(None, pa.binary()), encoded)
    try:
        return encoded.cast(pa.string())
    except pa.ArrowInvalid:  # bytes that are no text, such as those of a UUID
        decoded = [None if text is None else text.decode("utf-8", "backslashreplace") for text in encoded.to_pylist()]
        return pa.array(decoded, pa.string())


def in_utf8(cells: pa.Array | list) -> pa.Array:
    """Returns cells as text in UTF-8, binary, without the spaces around them; null stays null."""
    if isinstance(cells, pa.Array):
        if pa.types.is_binary(cells.type):
            return cells
        if pa.types.is_string(cells.type) or pa.types.is_integer(cells.type):
            return pc.utf8_trim_whitespace(cells.cast(pa.string())).cast(pa.binary())
        if pa.types.is_float32(cells.type) or pa.types.is_float64(cells.type):
            return words_of_floats(cells)
        cells = cells.to_pylist()
    return pa.array([None if cell is None else word(cell).encode("utf-8", "replace") for cell in cells], pa.binary())


def _without_nan(cells: pa.Array | list) -> pa.Array | list:
    """Returns cells with null for NaN."""
    if isinstance(cells, list):
        return [None if isinstance(cell, float) and cell != cell else cell for cell in cells]
    return pc.if_else(pc.is_nan(cells), None, cells) if pa.types.is_floating(cells.type) else cells


def with_weight(spec: DatasetSpec) -> DatasetSpec:
    """Returns the spec with the column of weights as a feature, by which its cells are converted."""
    if spec.weight_column is None:
        return spec
    return spec.model_copy(update={"features": {**spec.features, spec.weight_column: WEIGHT}})


def without_weight(stored: Stored, spec: DatasetSpec) -> tuple[Stored, pa.Array | None]:
    """Returns columns that are stored by `with_weight` without the weights, and these: float32 `(rows,)` or None."""
    name = spec.weight_column
    if name is None:
        return stored, None
    distinct = {other: values for other, values in stored.distinct.items() if other != name}
    columns, weights = stored.columns.drop_columns([name]), stored.columns.column(name)
    return replace(stored, columns=columns, distinct=distinct), weights
