"""Accumulators on Beam: its workers take the shards; the bits are those of the loop on one machine."""

import pickle
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

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


def over_workers(
    shards: Sequence[Any],
    read: Callable[[Any], Iterable[Any]],
    make: Callable[[], Accumulator],
    options: Sequence[str],
) -> Accumulator:
    """Returns the accumulator of all shards, added up by Beam's workers; see `Over` and `accumulators.over`.

    Args:
        shards: What `read` takes, in order; pickled.
        read: Returns the batches of a shard, in order.
        make: Returns an empty accumulator.
        options: Beam's pipeline options.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "accumulator.pickle"
        with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
            _ = pipeline | Over(shards, read, make) | beam.Map(lambda found: file.write_bytes(pickle.dumps(found)))
        return pickle.loads(file.read_bytes())
