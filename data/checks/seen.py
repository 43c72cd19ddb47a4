"""Keeps a digest and the location of each row that was read, to find equal rows."""

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
"""Pairs of arrays: rows that equal an earlier row, and the first row that each equals; int64 `(pairs,)` both."""
PARTITION_BITS = 20  # about 2^20 rows are sorted at once, which bounds the memory of sorting


@dataclass(frozen=True)
class _Part:
    """The rows of one batch.

    Attributes:
        splits: See `data.columnar.batches.Batch`.
        digests: See `Batch`.
        classes: Class index of each row in each label, in the smallest unsigned type, `(rows, labels)`; the number of
            classes where the row has none of them.
        groups: XXH3-64 of each row's group, uint64 `(rows,)`, 0 for none; None where no row has a group.
        file: See `Batch`.
        number: Number of the first row.
        steps: Difference of each further number from the one before, in the smallest type; None where all are 1.
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
        """Returns the location of a row; see `Batch.where`."""
        if self.names:
            return _decode(zlib.decompress(self.names)).split("\0")[row]
        number = self.number + (row if self.steps is None else int(self.steps[:row].sum(dtype=np.int64)))
        return f"{self.file}:{number}" if self.file else f"{SPLITS[self.splits[row]]} row {number}"

    @property
    def nbytes(self) -> int:
        """Returns the size of its rows in bytes."""
        arrays = (self.splits, self.digests, self.classes, self.groups, self.steps)
        return sum(array.nbytes for array in arrays if array is not None) + len(self.names)


@dataclass
class SeenRows:
    """All rows that were read, numbered from 0 in order of arrival.

    A row takes the 16 bytes of its digest, one or two bytes for each label and one for its split; one more where its
    number does not follow that of the row before, about ten where it has a name, 8 for its group.

    Attributes:
        spec: Features of the rows.
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
                steps=None if names or (steps == 1).all() else _as_smallest_type(steps),
                names=zlib.compress(names.encode("utf-8", "surrogatepass"), 1) if names else b"",
            )
        )

    def merge(self, other: "SeenRows") -> None:
        """Adds another's rows after its own."""
        for part in other._parts:
            self._append(part)

    def where(self, row: int) -> str:
        """Returns the location of a row, for a message; see `Batch.where`."""
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
        return self._equal_rows([part.digests for part in self._parts])

    def num_groups(self) -> int:
        """Returns the number of groups; a row without a group counts as one."""
        groups = [np.zeros(len(part.splits), np.uint64) if part.groups is None else part.groups for part in self._parts]
        digests = np.concatenate([np.zeros(0, np.uint64), *groups])
        without_group = int((digests == 0).sum())
        return without_group + len(np.unique(digests[digests != 0]))

    def equal_groups(self) -> Pairs:
        """Yields the rows with the group of an earlier row."""
        groups = [np.zeros(0, np.uint64) if part.groups is None else part.groups for part in self._parts]
        return self._equal_rows([part_groups.reshape(-1, 1) for part_groups in groups], without_zero=True)

    @property
    def nbytes(self) -> int:
        """Returns the size of all rows in bytes."""
        return sum(part.nbytes for part in self._parts)

    def _append(self, part: _Part) -> None:
        if len(part.splits):
            self._parts.append(part)
            self._begins.append(self._rows)
            self._rows += len(part.splits)

    def _equal_rows(self, keys: Sequence[np.ndarray], *, without_zero: bool = False) -> Pairs:
        """Yields the rows with the key of an earlier row; `keys` are uint64 `(rows, width)` for each part."""
        num_partitions = 1 << max((self._rows - 1).bit_length() - PARTITION_BITS, 0)
        for partition in range(num_partitions):
            rows = []
            for part_keys in keys:
                is_chosen = part_keys[:, 0] & np.uint64(num_partitions - 1) == partition
                rows.append(np.flatnonzero(is_chosen & (part_keys[:, 0] != 0) if without_zero else is_chosen))
            index = np.concatenate(
                [begin + part_rows for begin, part_rows in zip(self._begins, rows, strict=True)] or [[]]
            )
            if len(index) > 1:
                later, earlier = _equal_rows(
                    np.concatenate(
                        [keys_of_part[part_rows] for keys_of_part, part_rows in zip(keys, rows, strict=True)]
                    )
                )
                yield index[later], index[earlier]


def _equal_rows(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of uint64 `(rows, width)` that equal an earlier row, and the first row that each equals."""
    order = np.argsort(keys[:, 0])
    firsts = keys[order, 0]
    is_equal = firsts[1:] == firsts[:-1]
    may_be_equal = np.zeros(len(keys), bool)  # the first of the two halves already differs for most rows
    may_be_equal[1:] |= is_equal
    may_be_equal[:-1] |= is_equal
    rows = np.sort(order[may_be_equal])  # in order of arrival, which lexsort keeps among equals
    rows = rows[np.lexsort(keys[rows].T)]
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (keys[rows[1:]] != keys[rows[:-1]]).any(axis=1)
    earlier = rows[np.maximum.accumulate(np.where(is_first, np.arange(len(rows)), 0))]
    return rows[~is_first], earlier[~is_first]


def _classes(columns: pa.RecordBatch | None, spec: DatasetSpec) -> np.ndarray:
    """Returns the class indices of rows, see `_Part`; `(0, labels)` without columns."""
    labels = spec.of(LabelFeature)
    max_classes = max((len(feature.classes) for feature in labels.values()), default=0)
    class_indices = np.empty((columns.num_rows if columns else 0, len(labels)), np.min_scalar_type(max_classes))
    for index, (name, feature) in enumerate(labels.items()):
        if columns:
            values = columns.column(name).fill_null(-1).to_numpy()
            class_indices[:, index] = np.where(
                (values < 0) | (values >= len(feature.classes)), len(feature.classes), values
            )
    return class_indices


def _group_digests(groups: pa.Array) -> np.ndarray:
    """Returns the digest of each group, uint64 `(rows,)`; 0 for null."""
    encoded = groups.dictionary_encode()
    digests = [xxhash.xxh3_64_intdigest(group) for group in encoded.dictionary.cast(pa.binary()).to_pylist()]
    return np.array([*digests, 0], np.uint64)[encoded.indices.fill_null(len(digests)).to_numpy()]


def _as_smallest_type(steps: np.ndarray) -> np.ndarray:
    """Returns integers in the smallest type that holds them."""
    return steps.astype(np.result_type(np.min_scalar_type(steps.min()), np.min_scalar_type(steps.max())))


def _decode(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")
