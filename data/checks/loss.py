"""Detects precision that is lost when numbers are stored as float32: distinct values that become equal.

Rounding does real-valued inputs no harm, and a few of many values may collide. The check fails for integers
(identifiers, codes, days) when more than 5 % of the distinct values become equal to others, for real-valued targets
when more than half do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from data.kinds.cell import Distinct
from data.numerals import DAYS
from data.spec import DatasetSpec, NumberFeature, TargetFeature

MAX_LOST_INTEGERS, MAX_LOST_REAL = 0.05, 0.5
MAX_VALUES = 8192
"""Distinct values of a column that are counted; of more, those whose float32 has the smallest hash."""
MAX_PER_FLOAT32 = 1024  # distinct values that are counted for one float32


@dataclass(frozen=True)
class CollidingColumn:
    """A column with fewer distinct values in float32 than in the data.

    Attributes:
        column: Its name.
        before: Number of distinct values in the data.
        after: Number of distinct values in float32.
        all_counted: Whether all values were counted; False for a sample of very many.
        is_target: Whether the column is a target.
        are_days: Whether the values are dates written as a number of eight digits.
        offset: The least value in float32.
    """

    column: str
    before: int
    after: int
    all_counted: bool
    is_target: bool
    are_days: bool
    offset: float

    def __str__(self) -> str:
        prefix = "" if self.all_counted else "at least "
        summary = (
            f"{self.column}: {prefix}{self.before:,} different values become {self.after:,} when stored as float32"
        )
        if self.is_target:
            return (
                f"{summary}: they are close together and far from zero; subtract a constant near their mean from them "
                f"in the data, such as {self.offset:.10g}."
            )
        if self.are_days:
            return f"{summary}; they are days: set its kind to date and its format to %Y%m%d."
        return f"{summary}; set its kind to category where they are identifiers or codes, or name it in data.ignore."


@dataclass
class _Values:
    """Distinct numbers of one column: for each its key and the bits of its float32."""

    is_target: bool
    all_integers: bool = True
    all_counted: bool = True
    keys: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint64))
    bits: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint32))
    _limit: int = 2**32  # only values with a hash below it are counted
    _pending: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    _num_pending: int = 0

    def add(self, keys: np.ndarray, bits: np.ndarray, *, all_integers: bool) -> None:
        self.all_integers = self.all_integers and all_integers
        if not self.all_integers and not self.is_target:
            self.keys, self.bits, self._pending = self.keys[:0], self.bits[:0], []
            return
        is_counted = _hashes(bits) < self._limit if self._limit < 2**32 else slice(None)
        keys, bits = keys[is_counted], bits[is_counted]
        self._pending.append((keys, bits))
        self._num_pending += len(keys)
        if self._num_pending > 2 * MAX_VALUES:
            self.compact()

    def merge(self, other: "_Values") -> None:
        other.compact()
        self._limit = min(self._limit, other._limit)
        self.all_counted = self.all_counted and other.all_counted
        self.add(other.keys, other.bits, all_integers=other.all_integers)

    def compact(self) -> None:
        """Drops the values beyond the limits; which ones does not depend on the order of addition."""
        keys = np.concatenate([self.keys, *(keys for keys, _ in self._pending)])
        bits = np.concatenate([self.bits, *(bits for _, bits in self._pending)])
        self._pending, self._num_pending = [], 0
        hashes = _hashes(bits)
        order = np.lexsort((keys, hashes))
        order = order[hashes[order] < self._limit]
        keys, bits, hashes = keys[order], bits[order], hashes[order]
        is_first = np.ones(len(keys), bool)  # of equal pairs
        is_first[1:] = (keys[1:] != keys[:-1]) | (hashes[1:] != hashes[:-1])
        keys, bits, hashes = keys[is_first], bits[is_first], hashes[is_first]
        group_begins = np.searchsorted(hashes, hashes)  # where the values of the same float32 begin
        is_within_limit = np.arange(len(keys)) - group_begins < MAX_PER_FLOAT32
        ends = (
            np.cumsum(is_within_limit)[np.searchsorted(hashes, hashes, side="right") - 1] if len(keys) else group_begins
        )
        is_kept = is_within_limit & (ends <= MAX_VALUES)
        self.all_counted = self.all_counted and bool(is_kept.all())
        self.keys, self.bits = keys[is_kept], bits[is_kept]
        if len(ends) and ends[-1] > MAX_VALUES:
            self._limit = int(hashes[np.argmax(ends > MAX_VALUES)])

    def collisions(self, column: str) -> CollidingColumn | None:
        """Returns the column with its collisions; None where they are harmless."""
        self.compact()
        stored = np.unique(self.bits).view(np.float32)
        before, after = len(self.keys), len(stored)
        if before - after <= (MAX_LOST_INTEGERS if self.all_integers else MAX_LOST_REAL) * before:
            return None
        minimum = float(stored.min())
        return CollidingColumn(column, before, after, self.all_counted, self.is_target, _are_days(self.keys), minimum)


def _hashes(bits: np.ndarray) -> np.ndarray:
    """Returns a hash of each value, uint32 `(values,)`, different for different bits."""
    return bits * np.uint32(0x9E3779B1)


def _are_days(keys: np.ndarray) -> bool:
    values = keys.view(np.float64)
    if not ((values >= DAYS[0]) & (values <= DAYS[1])).all():
        return False
    months, days = values // 100 % 100, values % 100
    return bool(((months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)).all())


class PrecisionLoss:
    """Finds columns whose numbers collide in float32; an accumulator whose result does not depend on the order."""

    def __init__(self, spec: DatasetSpec):
        self._columns = {
            name: _Values(feature.target) for name, feature in spec.of(NumberFeature, TargetFeature).items()
        }

    def add(self, distinct: Mapping[str, Distinct]) -> None:
        """Counts the distinct numbers of some rows, by column."""
        for name, numbers in distinct.items():
            self._columns[name].add(numbers.keys, numbers.stored.view(np.uint32), all_integers=numbers.all_integers)

    def merge(self, other: "PrecisionLoss") -> None:
        """Counts another's numbers."""
        for name, values in other._columns.items():
            self._columns[name].merge(values)

    def result(self) -> list[CollidingColumn]:
        """Returns the columns with a harmful loss, in the order of the features."""
        losses = [values.collisions(name) for name, values in self._columns.items()]
        return [merged for merged in losses if merged]
