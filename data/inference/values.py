"""Counts the distinct values of a column."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa

MIN_PENDING = 4_096  # values that are collected before they are counted together


class Values(Mapping[str, int]):
    """Distinct text -> number of its occurrences, in order of first occurrence; an accumulator.

    Of more than `max_values` distinct texts it keeps the first `max_values` + 1 only, with incomplete counts. Texts
    stay in Arrow until they are read: conversion to Python took as long as all other facts of a large table.

    Args:
        max_values: Number of distinct texts that are counted.
    """

    def __init__(self, max_values: int) -> None:
        self._max_values = max_values
        self._texts, self._counts = pa.array([], pa.large_string()), np.zeros(0, np.int64)
        self._pending: list[tuple[pa.Array, np.ndarray]] = []  # not counted yet
        self._num_pending = 0
        self._as_dict: dict[str, int] | None = None

    @classmethod
    def of(cls, counted: Mapping[str, int]) -> "Values":
        """Returns the values and counts of a mapping."""
        values = cls(len(counted))
        values.add(pa.array(list(counted), pa.large_string()), np.array(list(counted.values()), np.int64))
        return values

    @property
    def is_full(self) -> bool:
        """Returns whether there are more values than are counted, so that further ones need not be added."""
        return len(self._texts) > self._max_values

    def add(self, texts: pa.Array, counts: np.ndarray) -> None:
        """Adds texts, none of which is null, with the number of occurrences of each, int64 `(texts,)`."""
        if self.is_full or not len(texts):
            return
        self._as_dict = None
        self._pending.append((texts.cast(pa.large_string()), counts))
        self._num_pending += len(texts)
        if self._num_pending >= max(len(self._texts), MIN_PENDING):  # so that each is counted only a few times
            self._count()

    def add_each(self, texts: Iterable[str]) -> None:
        """Adds texts, each once."""
        array = pa.array(texts, pa.large_string())
        self.add(array, np.ones(len(array), np.int64))

    def merge(self, other: "Values") -> None:
        """Adds values that come after those added so far."""
        other._count()
        self.add(other._texts, other._counts)

    def first(self, count: int) -> list[str]:
        """Returns the first `count` values."""
        self._count()
        return self._texts[:count].to_pylist()

    def every(self, step: int) -> list[str]:
        """Returns every `step`-th value, beginning with the first."""
        self._count()
        return self._texts.take(pa.array(np.arange(0, len(self._texts), step))).to_pylist()

    def __len__(self) -> int:
        self._count()
        return len(self._texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict())

    def __getitem__(self, text: str) -> int:
        return self._dict()[text]

    def _dict(self) -> dict[str, int]:
        self._count()
        if self._as_dict is None:
            # to_pylist takes ten times as long.
            texts = self._texts.to_numpy(zero_copy_only=False).tolist()
            self._as_dict = dict(zip(texts, self._counts.tolist(), strict=True))
        return self._as_dict

    def _count(self) -> None:
        """Counts the pending values."""
        if not self._pending:
            return
        texts, counts = zip((self._texts, self._counts), *self._pending, strict=True)
        encoded = pa.concat_arrays(texts).dictionary_encode()  # in the order in which they appear
        self._texts = encoded.dictionary[: self._max_values + 1]
        totals = np.bincount(encoded.indices.to_numpy(), np.concatenate(counts), len(encoded.dictionary))
        self._counts = totals[: len(self._texts)].astype(np.int64)
        self._pending, self._num_pending = [], 0
