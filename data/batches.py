"""Rows of a data set as columns of stored values: what every source yields."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from data.spec import SPLITS, Problem

PLACES = {split: place for place, split in enumerate(SPLITS)}


@dataclass(frozen=True)
class Batch:
    """Usable rows, and what cannot be used among them.

    Attributes:
        columns: Feature -> stored values, one for each row, in the order of the data set's features: float32 of
            numbers, targets and booleans, int64 of labels and dates, binary of categories and texts (UTF-8) and of
            images (raw uint8 pixels); null for none.
        splits: The split of each row, int8 `(rows,)`: its place in `data.spec.SPLITS`.
        file: The file that the rows stand in, as messages name it; empty where they come from no file.
        numbers: Where each row stands in the file, int64 `(rows,)`; see `data.blocks.Block`. Without a file its number
            within its split, from 1.
        inputs: Each row without its targets as a serialized tf.train.Example, the same bytes each time; binary.
        digests: XXH3-128 of `inputs`, uint64 `(rows, 2)`: equal inputs, equal digests.
        names: The file that each row is, where rows are files of a folder; empty elsewhere.
        groups: Which rows belong together, such as those of one user: a string, null for a row that stands for itself.
            None where no row has a group.
        files: The encoded pictures that pixels were made of, by feature: binary, null for pixels that came as such.
        problems: Of each row that cannot be used, in order, its split and its problems.
    """

    columns: pa.RecordBatch
    splits: np.ndarray
    file: str
    numbers: np.ndarray
    inputs: pa.Array
    digests: np.ndarray
    names: tuple[str, ...] = ()
    groups: pa.Array | None = None
    files: Mapping[str, pa.Array] = field(default_factory=dict)
    problems: tuple[tuple[str, tuple[Problem, ...]], ...] = ()

    def __len__(self) -> int:
        return len(self.splits)

    def where(self, row: int) -> str:
        """Returns a row's place in words: the file and its line or number in it, else its split and number."""
        if self.names:
            return self.names[row]
        if self.file:
            return f"{self.file}:{self.numbers[row]}"
        return f"{SPLITS[self.splits[row]]} row {self.numbers[row]}"


# The batches of all splits. Those of split files come in the order of data.spec.READ_ORDER.
Batches = Iterable[Batch]
