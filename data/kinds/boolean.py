"""Yes or no: 1 or 0 in float32."""

from functools import partial
from typing import Any

import pyarrow as pa

from data.kinds.cell import Cells, Column, ReadOptions, Unusable, convert_cells, shown
from data.kinds.contract import Kind, numbers
from data.spec import BooleanFeature

BOOLEANS = {
    "true": True, "t": True, "yes": True, "y": True, "1": True, "1.0": True,
    "false": False, "f": False, "no": False, "n": False, "0": False, "0.0": False,
}  # fmt: skip


def value(cell: Any, feature: BooleanFeature, options: ReadOptions) -> float | None:
    """Returns 1.0 or 0.0; None for a missing value of an optional feature. Raises Unusable."""
    if options.is_absent(cell) and feature.optional:
        return None
    text = "" if options.is_absent(cell) else str(cell).strip().lower()
    if text in BOOLEANS:
        return float(BOOLEANS[text])
    raise Unusable("yes or no", shown(None if options.is_absent(cell) else cell))


def column(cells: Cells, feature: BooleanFeature, options: ReadOptions) -> Column:
    """Returns the stored column, float32: for each cell what `value` returns."""
    return convert_cells(cells, partial(value, feature=feature, options=options), pa.float32())


def _in_data(stored: float, feature: BooleanFeature) -> bool:
    return bool(stored)


KIND = Kind(BooleanFeature, value, column, in_data=_in_data, array=numbers)
