"""Rows of a file as columns, their cells as they stand there: what every reader yields."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from data.spec import Problem


@dataclass(frozen=True)
class Block:
    """Some rows of one file, in its order.

    Attributes:
        file: The file as messages name it.
        cells: The columns whose cells are of one type; null for nothing. Those of a text file are all strings.
        numbers: Where each row stands, int64 `(rows,)`: its line in a text file, else a count from 1. Of a folder of
            files, whose rows are files, it is not told: see `names`.
        mixed: The columns whose cells are of several types, or of one that Arrow does not have: Python values, None
            for nothing, one for each row.
        problems: Why rows of this part of the file cannot be used as a whole; they are not among the cells.
        names: The file that each row is, where rows are files of a folder; empty elsewhere.
    """

    file: str
    cells: pa.RecordBatch
    numbers: np.ndarray
    mixed: Mapping[str, list] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def columns(self) -> list[str]:
        """Returns the names of all columns."""
        return [*self.cells.schema.names, *self.mixed]

    def where(self, row: int) -> str:
        """Returns a row's place in words: the file and its line or number in it."""
        return self.names[row] if self.names else f"{self.file}:{self.numbers[row]}"

    def column(self, name: str) -> pa.Array | list | None:
        """Returns the cells of a column; None where the block has no such column."""
        if name in self.mixed:
            return self.mixed[name]
        return self.cells.column(name) if name in self.cells.schema.names else None

    def take(self, rows: np.ndarray) -> "Block":
        """Returns some rows, int64 `(kept,)`, with all problems."""
        return replace(
            self,
            cells=self.cells.take(pa.array(rows)) if self.cells.num_columns else self.cells,
            numbers=self.numbers[rows],
            mixed={name: [column[row] for row in rows] for name, column in self.mixed.items()},
            names=tuple(self.names[row] for row in rows) if self.names else (),
        )
