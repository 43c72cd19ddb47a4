"""Accumulators of data stages: they add batches, shard by shard; a loop and Beam give the same result, bit for bit.

A sum of floats depends on its order. So each shard, a file of a fixed part of the rows, has an accumulator of its own,
and these are merged in the order of the shards: by a loop on one machine, in `data/columnar/workers.py` by
Beam's workers.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, Self, TypeVar


class Accumulator(Protocol):
    """Adds up batches of rows. It can be pickled, since Beam passes it between workers."""

    def add(self, batch: Any) -> None:
        """Adds a batch."""

    def merge(self, other: Self) -> None:
        """Adds the rows of another accumulator, which come after those of this one."""

    def result(self) -> Any:
        """Returns the result over the rows added so far; may be called more than once."""


Shard = TypeVar("Shard")
AccumulatorT = TypeVar("AccumulatorT", bound=Accumulator)


def accumulate_shard(
    shard: Shard, read: Callable[[Shard], Iterable[Any]], make: Callable[[], AccumulatorT]
) -> AccumulatorT:
    """Returns the accumulator of one shard.

    Args:
        shard: What `read` takes, such as the path of a TFRecord file.
        read: Returns the batches of a shard, in order.
        make: Returns an empty accumulator.
    """
    accumulator = make()
    for batch in read(shard):
        accumulator.add(batch)
    return accumulator


def merge_in_order(accumulators: Iterable[AccumulatorT], make: Callable[[], AccumulatorT]) -> AccumulatorT:
    """Returns one accumulator, merged from all in the order of their shards; an empty one where there are none."""
    remaining_accumulators = iter(accumulators)
    total = next(remaining_accumulators, None)
    if total is None:
        return make()
    for accumulator in remaining_accumulators:
        total.merge(accumulator)
    return total


def accumulate(
    shards: Iterable[Shard], read: Callable[[Shard], Iterable[Any]], make: Callable[[], AccumulatorT]
) -> AccumulatorT:
    """Returns the accumulator of all shards, one shard in memory at a time; see `accumulate_shard`."""
    return merge_in_order((accumulate_shard(shard, read, make) for shard in shards), make)
