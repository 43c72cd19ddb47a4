"""Assignment of rows to splits: by a hash of the content, so that equal rows share a split; rare classes stratified."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.spec import SPLITS, Row

# Version of the rule that assigns rows of files to splits; published versions record it.
RULE_VERSION = 3
RARE = 100  # classes with fewer rows are stratified, others are split by content
BUCKETS = 1000  # of which each split has as many as its share


MOVED = 0.1
"""Share of the rows in both of two rules that may differ in their split: rows with equal inputs may be mixed up."""


def agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rules of splits, see `Dataset.split_rule`, assign rows to the same splits.

    Equal settings are not enough: a table may be rewritten with 38 for 38.0. So a rule holds some `rows`, by their
    stored values, and those in both rules must have the same split, except for a share of MOVED.
    """
    if {**one, "rows": None} != {**other, "rows": None}:
        return False
    rows, others = one.get("rows", {}), other.get("rows", {})
    in_both = rows.keys() & others.keys()
    return sum(rows[row] != others[row] for row in in_both) <= MOVED * len(in_both)


def bucket(content: bytes, num_buckets: int = BUCKETS) -> int:
    """Returns a number in [0, num_buckets) that depends on nothing but the content."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big") % num_buckets


@dataclass(frozen=True)
class HashSplit:
    """The rows whose content falls into `buckets` of 1,000.

    Attributes:
        rows: All rows; iterated anew each time.
        buckets: Which thousandths to keep, such as range(0, 100) for a tenth.
        content: Row -> the bytes that decide, usually those of its main feature.
    """

    rows: Iterable[Row]
    buckets: range
    content: Callable[[Row], bytes]

    def __iter__(self) -> Iterator[Row]:
        return (row for row in self.rows if bucket(self.content(row)) in self.buckets)


def image_bytes(row: Row) -> bytes:
    """Returns the raw bytes of a row's `image`."""
    return np.ascontiguousarray(row["image"]).tobytes()


@dataclass(frozen=True)
class StratifiedSplit:
    """Splits of the rows that are stratified, and not split by content.

    Attributes:
        keys: Keys of the rows, uint64 `(keys,)`, ascending.
        splits: Their splits, int8 `(keys,)`: indices in `data.spec.SPLITS`.
    """

    keys: np.ndarray
    splits: np.ndarray

    def apply(self, keys: np.ndarray, splits: np.ndarray) -> np.ndarray:
        """Returns the splits of rows, int8 `(rows,)`: the stratified ones, for all other rows the given ones."""
        if not len(self.keys):
            return splits
        index = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[index] == keys, self.splits[index], splits)


def stratify(
    keys: np.ndarray, inputs: np.ndarray, classes: Sequence[np.ndarray], shares: Mapping[str, float]
) -> StratifiedSplit:
    """Returns a stratified split: each split has its share of each class, and at least one row where there are enough.

    Rows with one key, or with the same inputs, stay in one split and count once. They are taken in the order in which
    `cuts` takes them, so that a class which grows changes few of them.

    Args:
        keys: Key of each row, which decides its split, uint64 `(rows,)`.
        inputs: Digests of the rows' inputs, uint64 `(rows,)`.
        classes: The rows of each class, int64; a row may be in several. The class with the fewest is assigned first.
        shares: The splits that are cut off the training rows -> their shares.
    """
    distinct, of_keys = np.unique(keys, return_inverse=True)
    ranks = np.empty(len(distinct), np.int64)
    ranks[np.lexsort((distinct, distinct % BUCKETS))] = np.arange(len(distinct))
    units = _joined(ranks[of_keys], of_keys, np.unique(inputs, return_inverse=True)[1])
    splits = np.full(len(distinct), -1, np.int8)  # by the rank of a unit
    of_classes = [np.unique(units[rows]) for rows in classes]
    for of_class in sorted(of_classes, key=len):
        free = of_class[splits[of_class] < 0]
        begin = 0
        for split, wanted in _counts(len(of_class), shares).items():
            split_index = SPLITS.index(split)
            end = begin + max(wanted - int((splits[of_class] == split_index).sum()), 0)
            splits[free[begin:end]] = split_index
            begin = end
        splits[free[begin:]] = SPLITS.index("train")
    by_key = np.empty(len(distinct), np.int8)
    by_key[of_keys] = splits[units]
    return StratifiedSplit(distinct, by_key)


def _joined(units: np.ndarray, *groupings: np.ndarray) -> np.ndarray:
    """Returns for each row the least unit of all rows that share a group with it, directly or through others."""
    while True:
        before = units
        for grouping in groupings:
            least = np.full(grouping.max(initial=-1) + 1, np.iinfo(np.int64).max)
            np.minimum.at(least, grouping, units)
            units = least[grouping]
        if (units == before).all():
            return units


def _counts(rows: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Returns how many of a class's rows each split gets that is cut off; training has the rest, and never none.

    Of fewer rows than splits the first goes to training, a second to the test split.
    """
    if rows <= len(shares):
        return dict.fromkeys(sorted(shares, key=("test", "validation").index)[: max(rows - 1, 0)], 1)
    counts = {split: max(int(rows * share + 0.5), 1) for split, share in shares.items()}
    while sum(counts.values()) >= rows:
        counts[max(counts, key=counts.__getitem__)] -= 1
    return counts


def time_starts(times: np.ndarray, shares: Mapping[str, float]) -> dict[str, float]:
    """Returns the first time of the validation and of the test split: the oldest rows are for training.

    Equal times stay in one split: a split begins with the time by which it comes closest to its share.

    Args:
        times: Of all rows, float64 `(rows,)`.
        shares: The splits that are cut off -> their shares.

    Raises:
        ValueError: There are fewer different times than splits.
    """
    distinct, counts = np.unique(times, return_counts=True)
    if len(distinct) <= len(shares):
        raise ValueError(f"{len(distinct)} different time{'s' * (len(distinct) != 1)}")
    begins = np.concatenate([[0], counts.cumsum()])  # rows before each time
    starts: dict[str, float] = {}
    end = len(distinct)
    for split in reversed(SPLITS[1:]):
        if split in shares:
            least = len(shares) - len(starts)  # one time is left for each of the splits before
            misses = np.abs(begins[end] - begins[least:end] - len(times) * shares[split])
            end = least + int(misses.argmin())
            starts[split] = float(distinct[end])
    return starts


def by_time(times: np.ndarray, starts: Mapping[str, float]) -> np.ndarray:
    """Returns the splits of rows by their times, int8 `(rows,)`; `starts` as `time_starts` returns them."""
    splits = np.full(len(times), SPLITS.index("train"), np.int8)
    for split in SPLITS[1:]:
        if split in starts:
            splits[times >= starts[split]] = SPLITS.index(split)
    return splits
