"""Accumulators on Beam: its workers take the shards; the bits are those of the loop on one machine."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import apache_beam as beam

from data.columnar.accumulators import Accumulator, merged, of_shard


class Over(beam.PTransform):
    """Gives a collection of one element: the accumulator of all shards, as `accumulators.over` returns it.

    Not a CombineFn: Beam merges in the order in which workers are done, and a sum of floats depends on it. An
    accumulator is small beside its shard, so that all of them fit into one worker's memory.

    Args:
        shards: What `read` takes, in order; pickled.
        read: Returns the batches of a shard, in order.
        make: Returns an empty accumulator.
    """

    def __init__(self, shards: Sequence[Any], read: Callable[[Any], Iterable[Any]], make: Callable[[], Accumulator]):
        super().__init__()
        self._shards, self._read, self._make = shards, read, make

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        read, make = self._read, self._make  # not self: it cannot be pickled once it is applied
        return (
            pipeline
            | beam.Create(list(enumerate(self._shards)), reshuffle=True)
            | beam.MapTuple(lambda number, shard: (number, of_shard(shard, read, make)))
            | beam.combiners.ToList()
            | beam.Map(lambda found: merged((one for _, one in sorted(found, key=lambda pair: pair[0])), make))
        )
