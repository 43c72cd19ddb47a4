"""Rows that were read, in few bytes each: which of them are equal, and where they were read."""

import bisect
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import xxhash

from data.columnar.batches import Batch
from data.spec import SPLITS, DatasetSpec, LabelFeature

Pairs = Iterator[tuple[np.ndarray, np.ndarray]]
"""Rows that equal an earlier one, int64 `(pairs,)`, each with the first one that it equals; several arrays."""
PART_BITS = 20  # about 2^20 rows are sorted at once, which bounds the memory of sorting


@dataclass(frozen=True)
class _Part:
    """The rows of one batch.

    Attributes:
        splits: See `data.columnar.batches.Batch`.
        digests: See `Batch`.
        classes: The class of each row in each label, the smallest unsigned type, `(rows, labels)`; the number of
            classes where the row has none of them.
        groups: XXH3-64 of each row's group, uint64 `(rows,)`, 0 for none; None where no row has a group.
        file: See `Batch`.
        number: Of the first row.
        steps: How much greater each further number is than the one before, the smallest type; None where always 1.
        names: The names of the rows, compressed; empty for none.
    """

    splits: np.ndarray
    digests: np.ndarray
    classes: np.ndarray
    groups: np.ndarray | None
    file: str
    number: int
    steps: np.ndarray | None
    names: bytes

    def where(self, row: int) -> str:
        """Returns a row's file and number, see `Batch.where`."""
        if self.names:
            return _text(zlib.decompress(self.names)).split("\0")[row]
        number = self.number + (row if self.steps is None else int(self.steps[:row].sum(dtype=np.int64)))
        return f"{self.file}:{number}" if self.file else f"{SPLITS[self.splits[row]]} row {number}"

    @property
    def nbytes(self) -> int:
        """Returns how many bytes its rows take."""
        arrays = (self.splits, self.digests, self.classes, self.groups, self.steps)
        return sum(array.nbytes for array in arrays if array is not None) + len(self.names)


@dataclass
class Seen:
    """All rows that were read, numbered from 0 in order of arrival.

    Keeps of a row the 16 bytes of its digest, one or two for each label and one for its split; one more where its
    number does not follow that of the row before, and about ten where it has a name of its own; 8 for its group.

    Attributes:
        spec: What the rows hold.
        with_groups: Whether groups are kept.
    """

    spec: DatasetSpec
    with_groups: bool = False
    _parts: list[_Part] = field(default_factory=list)
    _begins: list[int] = field(default_factory=list)
    _rows: int = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, batch: Batch) -> None:
        """Keeps the usable rows of a batch."""
        steps, names = np.diff(batch.numbers), "\0".join(batch.names)
        self._append(
            _Part(
                splits=batch.splits.astype(np.int8),
                digests=np.ascontiguousarray(batch.digests),
                classes=_classes(batch.columns, self.spec),
                groups=_group_digests(batch.groups) if self.with_groups and batch.groups is not None else None,
                file=batch.file,
                number=int(batch.numbers[0]) if len(batch) else 0,
                steps=None if names or (steps == 1).all() else _smallest(steps),
                names=zlib.compress(names.encode("utf-8", "surrogatepass"), 1) if names else b"",
            )
        )

    def merge(self, other: "Seen") -> None:
        """Adds another's rows after its own."""
        for part in other._parts:
            self._append(part)

    def where(self, row: int) -> str:
        """Returns a row's file and number, for a message; see `Batch.where`."""
        part = bisect.bisect_right(self._begins, row) - 1
        return self._parts[part].where(row - self._begins[part])

    def splits(self) -> np.ndarray:
        """Returns the split of each row, int8 `(rows,)`."""
        return np.concatenate([np.zeros(0, np.int8), *(part.splits for part in self._parts)])

    def classes(self) -> np.ndarray:
        """Returns the class of each row in each label, `(rows, labels)`; see `_Part`."""
        return np.concatenate([_classes(None, self.spec), *(part.classes for part in self._parts)])

    def equal_inputs(self) -> Pairs:
        """Yields the rows with the inputs of an earlier row."""
        return self._equal([part.digests for part in self._parts])

    def num_groups(self) -> int:
        """Returns how many groups the rows have, each row without one counted as one."""
        groups = [np.zeros(len(part.splits), np.uint64) if part.groups is None else part.groups for part in self._parts]
        digests = np.concatenate([np.zeros(0, np.uint64), *groups])
        without_group = int((digests == 0).sum())
        return without_group + len(np.unique(digests[digests != 0]))

    def equal_groups(self) -> Pairs:
        """Yields the rows with the group of an earlier row."""
        groups = [np.zeros(0, np.uint64) if part.groups is None else part.groups for part in self._parts]
        return self._equal([of_part.reshape(-1, 1) for of_part in groups], without_zero=True)

    @property
    def nbytes(self) -> int:
        """Returns how many bytes the rows take."""
        return sum(part.nbytes for part in self._parts)

    def _append(self, part: _Part) -> None:
        if len(part.splits):
            self._parts.append(part)
            self._begins.append(self._rows)
            self._rows += len(part.splits)

    def _equal(self, keys: Sequence[np.ndarray], *, without_zero: bool = False) -> Pairs:
        """Yields the rows with the key of an earlier one; `keys` are uint64 `(rows, width)` for each part."""
        num_shares = 1 << max((self._rows - 1).bit_length() - PART_BITS, 0)
        for share in range(num_shares):
            rows = []
            for of_part in keys:
                chosen = of_part[:, 0] & np.uint64(num_shares - 1) == share
                rows.append(np.flatnonzero(chosen & (of_part[:, 0] != 0) if without_zero else chosen))
            index = np.concatenate([begin + some for begin, some in zip(self._begins, rows, strict=True)] or [[]])
            if len(index) > 1:
                later, earlier = _equal(np.concatenate([of[some] for of, some in zip(keys, rows, strict=True)]))
                yield index[later], index[earlier]


def _equal(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of uint64 `(rows, width)` that equal an earlier one, and for each the first of its equals."""
    order = np.argsort(keys[:, 0])
    firsts = keys[order, 0]
    is_equal = firsts[1:] == firsts[:-1]
    may_be = np.zeros(len(keys), bool)  # most rows equal no other one already by the first of the two halves
    may_be[1:] |= is_equal
    may_be[:-1] |= is_equal
    rows = np.sort(order[may_be])  # in order of arrival, which lexsort keeps among equals
    rows = rows[np.lexsort(keys[rows].T)]
    begins = np.ones(len(rows), bool)
    begins[1:] = (keys[rows[1:]] != keys[rows[:-1]]).any(axis=1)
    earlier = rows[np.maximum.accumulate(np.where(begins, np.arange(len(rows)), 0))]
    return rows[~begins], earlier[~begins]


def _classes(columns: pa.RecordBatch | None, spec: DatasetSpec) -> np.ndarray:
    """Returns the classes of rows as `_Part` has them; without columns those of no row."""
    labels = spec.of(LabelFeature)
    most = max((len(feature.classes) for feature in labels.values()), default=0)
    by_row = np.empty((columns.num_rows if columns else 0, len(labels)), np.min_scalar_type(most))
    for index, (name, feature) in enumerate(labels.items()):
        if columns:
            values = columns.column(name).fill_null(-1).to_numpy()
            by_row[:, index] = np.where((values < 0) | (values >= len(feature.classes)), len(feature.classes), values)
    return by_row


def _group_digests(groups: pa.Array) -> np.ndarray:
    """Returns the digest of each group, uint64 `(rows,)`; 0 for null."""
    encoded = groups.dictionary_encode()
    digests = [xxhash.xxh3_64_intdigest(group) for group in encoded.dictionary.cast(pa.binary()).to_pylist()]
    return np.array([*digests, 0], np.uint64)[encoded.indices.fill_null(len(digests)).to_numpy()]


def _smallest(steps: np.ndarray) -> np.ndarray:
    """Returns integers in the smallest type that holds them."""
    return steps.astype(np.result_type(np.min_scalar_type(steps.min()), np.min_scalar_type(steps.max())))


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")
