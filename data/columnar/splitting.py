"""Cuts one published split in two by the content of each row, so that equal rows never end up on both sides."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from data.spec import Row

# Counts changes of how rows of files find their splits; published versions carry it.
RULE_VERSION = 3


def bucket(content: bytes, num_buckets: int = 1000) -> int:
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
