"""Accumulators on Beam: its workers take the shards; the bits are those of the loop on one machine."""

import pickle
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from data.columnar.accumulators import Accumulator, merged, of_shard
from data.errors import HeadraceError


class Over(beam.PTransform):
    """Gives a collection of one element: the accumulator of all shards, as `accumulators.over` returns it.

    Where `accumulators.over` raises a HeadraceError the element is that error, of the first shard that has one: Beam
    would raise a RuntimeError with the worker's traceback as its text.

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
            | beam.MapTuple(lambda index, shard: (index, _of_shard_or_error(shard, read, make)))
            | beam.combiners.ToList()
            | beam.Map(lambda parts: _merged_or_error(parts, make))
        )


def _of_shard_or_error(
    shard: Any, read: Callable[[Any], Iterable[Any]], make: Callable[[], Accumulator]
) -> Accumulator | HeadraceError:
    try:
        return of_shard(shard, read, make)
    except HeadraceError as error:
        return error


def _merged_or_error(
    parts: Iterable[tuple[int, Accumulator | HeadraceError]], make: Callable[[], Accumulator]
) -> Accumulator | HeadraceError:
    in_order = [part for _, part in sorted(parts, key=lambda pair: pair[0])]
    errors = (part for part in in_order if isinstance(part, HeadraceError))
    return next(errors, None) or merged(in_order, make)


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

    Raises:
        HeadraceError: As `read` or the accumulator raises it, of the first shard that has one.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "accumulator.pickle"
        with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
            _ = pipeline | Over(shards, read, make) | beam.Map(lambda result: file.write_bytes(pickle.dumps(result)))
        result = pickle.loads(file.read_bytes())
    if isinstance(result, HeadraceError):
        raise result
    return result
