"""Accumulators on Beam: its workers read the shards; the result equals that of the loop on one machine, bit for bit."""

import pickle
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from data.columnar.accumulators import Accumulator, accumulate_shard, merge_in_order
from data.errors import HeadraceError


class Accumulate(beam.PTransform):
    """Returns a collection of one element: the accumulator of all shards, as `accumulators.accumulate` returns it.

    Where `accumulators.accumulate` raises a HeadraceError, the element is the error of the first shard that has one:
    Beam would raise a RuntimeError with the worker's traceback as its text.

    Not a CombineFn: Beam merges in the order in which workers finish, and a sum of floats depends on the order. An
    accumulator is small compared with its shard, so that all of them fit into one worker's memory.

    Args:
        shards: What `read` takes, in order; pickled.
        read: Returns the batches of a shard, in order.
        make: Returns an empty accumulator.
    """

    def __init__(self, shards: Sequence[Any], read: Callable[[Any], Iterable[Any]], make: Callable[[], Accumulator]):
        super().__init__()
        self._shards, self._read, self._make = shards, read, make

    def expand(self, pipeline: beam.Pipeline) -> beam.PCollection:
        read, make = self._read, self._make  # not self: a transform that was applied cannot be pickled
        return (
            pipeline
            | beam.Create(list(enumerate(self._shards)), reshuffle=True)
            | beam.MapTuple(lambda index, shard: (index, _accumulate_or_error(shard, read, make)))
            | beam.combiners.ToList()
            | beam.Map(lambda indexed: _merge_or_error(indexed, make))
        )


def _accumulate_or_error(
    shard: Any, read: Callable[[Any], Iterable[Any]], make: Callable[[], Accumulator]
) -> Accumulator | HeadraceError:
    try:
        return accumulate_shard(shard, read, make)
    except HeadraceError as error:
        return error


def _merge_or_error(
    indexed: Iterable[tuple[int, Accumulator | HeadraceError]], make: Callable[[], Accumulator]
) -> Accumulator | HeadraceError:
    in_order = [accumulator for _, accumulator in sorted(indexed, key=lambda pair: pair[0])]
    errors = (accumulator for accumulator in in_order if isinstance(accumulator, HeadraceError))
    return next(errors, None) or merge_in_order(in_order, make)


def accumulate_on_beam(
    shards: Sequence[Any],
    read: Callable[[Any], Iterable[Any]],
    make: Callable[[], Accumulator],
    options: Sequence[str],
) -> Accumulator:
    """Returns the accumulator of all shards, added up by Beam's workers; see `Accumulate`.

    Args:
        shards: What `read` takes, in order; pickled.
        read: Returns the batches of a shard, in order.
        make: Returns an empty accumulator.
        options: Beam's pipeline options.

    Raises:
        HeadraceError: `read` or the accumulator raised it; of several errors that of the first shard.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "accumulator.pickle"
        with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
            _ = (
                pipeline
                | Accumulate(shards, read, make)
                | beam.Map(lambda result: file.write_bytes(pickle.dumps(result)))
            )
        result = pickle.loads(file.read_bytes())
    if isinstance(result, HeadraceError):
        raise result
    return result
