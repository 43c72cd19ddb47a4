"""Assignment of rows to splits: by a hash of the content, so that equal rows share a split; rare classes stratified."""

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.spec import SPLITS, Row

# Version of the rule that assigns rows of files to splits; published model versions record it.
RULE_VERSION = 3
RARE_ROWS = 100  # classes with fewer rows are stratified, others are split by content
BUCKETS = 1000  # each split gets a number of buckets in proportion to its share


MAX_MOVED_SHARE = 0.1
"""Share of the rows in two rules whose splits may differ: rows with equal inputs cannot be told apart."""


def agree(rule: Mapping[str, Any], other_rule: Mapping[str, Any]) -> bool:
    """Returns whether two split rules, see `Dataset.split_rule`, assign rows to the same splits.

    Equal settings are not enough: a table may be rewritten with 38 for 38.0. So a rule holds some `rows`, by digests
    of their stored values, and rows in both rules must have the same split, except for a share of MAX_MOVED_SHARE.
    """
    if {**rule, "rows": None} != {**other_rule, "rows": None}:
        return False
    splits_of_rows, other_splits = rule.get("rows", {}), other_rule.get("rows", {})
    shared_rows = splits_of_rows.keys() & other_splits.keys()
    return sum(splits_of_rows[row] != other_splits[row] for row in shared_rows) <= MAX_MOVED_SHARE * len(shared_rows)


def bucket(content: bytes, num_buckets: int = BUCKETS) -> int:
    """Returns a number in [0, num_buckets), computed from the content only."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") % num_buckets


def hash_splits(
    rows: Iterable[Row], buckets: Mapping[str, range], content: Callable[[Row], bytes]
) -> dict[str, "HashSplit"]:
    """Returns splits of rows by a hash of their content; they share one pass over the rows, which are then in memory.

    Args:
        rows: All rows; iterated once, when the first of the splits is read.
        buckets: Split -> the buckets it gets, of 1,000, such as range(0, 100) for a tenth of the rows.
        content: Row -> the bytes that are hashed, usually those of its main feature.
    """
    hashed = HashedRows(rows, content)
    return {split: HashSplit(hashed, split_buckets) for split, split_buckets in buckets.items()}


class HashedRows:
    """Rows with their buckets, see `hash_splits`; read when they are first asked for."""

    def __init__(self, rows: Iterable[Row], content: Callable[[Row], bytes]):
        self._rows, self._content = rows, content

    @functools.cached_property
    def with_buckets(self) -> list[tuple[Row, int]]:
        """Each row and its bucket."""
        return [(row, bucket(self._content(row))) for row in self._rows]


@dataclass(frozen=True)
class HashSplit:
    """The rows whose content has a hash in `buckets`; see `hash_splits`."""

    hashed: HashedRows
    buckets: range

    def __iter__(self) -> Iterator[Row]:
        return (row for row, number in self.hashed.with_buckets if number in self.buckets)


def image_bytes(row: Row) -> bytes:
    """Returns the raw bytes of a row's `image`."""
    return np.ascontiguousarray(row["image"]).tobytes()


@dataclass(frozen=True)
class StratifiedSplit:
    """Splits of the rows of rare classes, which are stratified instead of split by content.

    Attributes:
        keys: Keys of the rows, uint64 `(keys,)`, ascending.
        splits: Their splits, int8 `(keys,)`: indices in `data.spec.SPLITS`.
    """

    keys: np.ndarray
    splits: np.ndarray

    def apply(self, keys: np.ndarray, splits: np.ndarray) -> np.ndarray:
        """Returns the splits of rows, int8 `(rows,)`: the stratified split of a row with a known key, else `splits`."""
        if not len(self.keys):
            return splits
        index = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[index] == keys, self.splits[index], splits)


def stratify(
    keys: np.ndarray, inputs: np.ndarray, classes: Sequence[np.ndarray], shares: Mapping[str, float]
) -> StratifiedSplit:
    """Returns a stratified split: each split has its share of each class, and at least one row where there are enough.

    Rows with equal keys, or with equal inputs, stay in one split and count once. They are assigned in the order of
    their buckets, as in a split by content, so that few rows change their split when a class grows.

    Args:
        keys: Key of each row, which decides its split, uint64 `(rows,)`.
        inputs: Digests of the rows' inputs, uint64 `(rows,)`.
        classes: Indices of the rows of each class, int64; a row may be in several. Small classes are assigned first.
        shares: The splits that are cut from the training rows -> their shares.
    """
    distinct, key_index = np.unique(keys, return_inverse=True)
    ranks = np.empty(len(distinct), np.int64)
    ranks[np.lexsort((distinct, distinct % BUCKETS))] = np.arange(len(distinct))
    unit_of_row = _connected(ranks[key_index], key_index, np.unique(inputs, return_inverse=True)[1])
    splits = np.full(len(distinct), -1, np.int8)  # by unit: rows with equal keys or inputs
    units_of_classes = [np.unique(unit_of_row[rows]) for rows in classes]
    for class_units in sorted(units_of_classes, key=len):
        unassigned = class_units[splits[class_units] < 0]
        begin = 0
        for split, target_count in _split_counts(len(class_units), shares).items():
            split_index = SPLITS.index(split)
            end = begin + max(target_count - int((splits[class_units] == split_index).sum()), 0)
            splits[unassigned[begin:end]] = split_index
            begin = end
        splits[unassigned[begin:]] = SPLITS.index("train")
    splits_of_keys = np.empty(len(distinct), np.int8)
    splits_of_keys[key_index] = splits[unit_of_row]
    return StratifiedSplit(distinct, splits_of_keys)


def _connected(unit_of_row: np.ndarray, *groupings: np.ndarray) -> np.ndarray:
    """Returns for each row the least unit of all rows that share a group with it, directly or through others."""
    while True:
        unit_before = unit_of_row
        for grouping in groupings:
            least_unit = np.full(grouping.max(initial=-1) + 1, np.iinfo(np.int64).max)
            np.minimum.at(least_unit, grouping, unit_of_row)
            unit_of_row = least_unit[grouping]
        if (unit_of_row == unit_before).all():
            return unit_of_row


def _split_counts(num_rows: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Returns how many of a class's rows each split but training gets; training gets the rest, at least one.

    Where a class has fewer rows than there are splits, the first goes to training, a second to the test split.
    """
    if num_rows <= len(shares):
        return dict.fromkeys(sorted(shares, key=("test", "validation").index)[: max(num_rows - 1, 0)], 1)
    counts = {split: max(int(num_rows * share + 0.5), 1) for split, share in shares.items()}
    while sum(counts.values()) >= num_rows:
        counts[max(counts, key=counts.__getitem__)] -= 1
    return counts


def time_starts(times: np.ndarray, shares: Mapping[str, float]) -> dict[str, float]:
    """Returns the first time of the validation and of the test split: the oldest rows are for training.

    Equal times stay in one split: a split begins at the time that brings it closest to its share.

    Args:
        times: Times of all rows, float64 `(rows,)`.
        shares: The splits that are cut from the training rows -> their shares.

    Raises:
        ValueError: There are fewer different times than splits.
    """
    distinct, counts = np.unique(times, return_counts=True)
    if len(distinct) <= len(shares):
        raise ValueError(f"{len(distinct)} different time{'s' * (len(distinct) != 1)}")
    rows_before = np.concatenate([[0], counts.cumsum()])  # rows before each time
    starts: dict[str, float] = {}
    end = len(distinct)
    for split in reversed(SPLITS[1:]):
        if split in shares:
            first_allowed = len(shares) - len(starts)  # one time is left for each of the splits before
            distances = np.abs(rows_before[end] - rows_before[first_allowed:end] - len(times) * shares[split])
            end = first_allowed + int(distances.argmin())
            starts[split] = float(distinct[end])
    return starts


def by_time(times: np.ndarray, starts: Mapping[str, float]) -> np.ndarray:
    """Returns the splits of rows by their times, int8 `(rows,)`; `starts` as `time_starts` returns them."""
    splits = np.full(len(times), SPLITS.index("train"), np.int8)
    for split in SPLITS[1:]:
        if split in starts:
            splits[times >= starts[split]] = SPLITS.index(split)
    return splits
