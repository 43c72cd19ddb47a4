"""Rows of a test as a `Block`, as readers yield them."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from data.sources.blocks import Block


def block_of(columns: Mapping[str, list]) -> Block:
    """Returns cells, by column, as a block: in Arrow where they are of one type, else as they are."""
    cells, mixed, rows = {}, {}, 0
    for name, values in columns.items():
        rows = len(values)
        kinds = {type(value) for value in values if value is not None}
        if len(kinds - {int, float}) + bool(kinds & {int, float}) > 1 or "\ud800" in values:
            mixed[name] = values
        else:
            cells[name] = pa.array(values)
    return Block("rows", pa.RecordBatch.from_pydict(cells), np.arange(1, rows + 1), mixed)


def block_of_rows(rows: Iterable[Mapping[str, Any]]) -> Block:
    """Returns rows, each by column, as a block."""
    rows = list(rows)
    return block_of({name: [row.get(name) for row in rows] for name in rows[0]})
