"""The different values of a column, counted."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa

FEW = 4_096  # values that are collected before they are counted


class Values(Mapping[str, int]):
    """Different texts, in the order in which they appeared -> how often; an accumulator.

    Beyond `most` distinct texts it keeps the first `most` + 1 only, with counts that are not complete. Texts stay in
    Arrow until they are read: conversion to Python took as long as all other facts of a large table.

    Args:
        most: How many are counted.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._texts, self._counts = pa.array([], pa.large_string()), np.zeros(0, np.int64)
        self._new: list[tuple[pa.Array, np.ndarray]] = []  # not counted yet
        self._num_new = 0
        self._as_dict: dict[str, int] | None = None

    @classmethod
    def of(cls, counted: Mapping[str, int]) -> "Values":
        """Returns these values, all of them."""
        values = cls(len(counted))
        values.add(pa.array(list(counted), pa.large_string()), np.array(list(counted.values()), np.int64))
        return values

    @property
    def is_full(self) -> bool:
        """Returns whether there are more than are counted, so that further ones need not be added."""
        return len(self._texts) > self._most

    def add(self, texts: pa.Array, counts: np.ndarray) -> None:
        """Adds texts, none of which is null, each as often as it was there, int64 `(texts,)`."""
        if self.is_full or not len(texts):
            return
        self._as_dict = None
        self._new.append((texts.cast(pa.large_string()), counts))
        self._num_new += len(texts)
        if self._num_new >= max(len(self._texts), FEW):  # so that each is looked at a few times only
            self._count()

    def add_each(self, texts: Iterable[str]) -> None:
        """Adds texts, each once."""
        array = pa.array(texts, pa.large_string())
        self.add(array, np.ones(len(array), np.int64))

    def merge(self, other: "Values") -> None:
        """Adds what came after the values that were added here."""
        other._count()
        self.add(other._texts, other._counts)

    def first(self, most: int) -> list[str]:
        """Returns the first ones."""
        self._count()
        return self._texts[:most].to_pylist()

    def every(self, step: int) -> list[str]:
        """Returns the first one of each `step`."""
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
        """Counts the collected values."""
        if not self._new:
            return
        texts, counts = zip((self._texts, self._counts), *self._new, strict=True)
        encoded = pa.concat_arrays(texts).dictionary_encode()  # in the order in which they appear
        self._texts = encoded.dictionary[: self._most + 1]
        totals = np.bincount(encoded.indices.to_numpy(), np.concatenate(counts), len(encoded.dictionary))
        self._counts = totals[: len(self._texts)].astype(np.int64)
        self._new, self._num_new = [], 0
