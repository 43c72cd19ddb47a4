"""Accumulators over shards: in a loop, or by Beam's workers where its options ask for several."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from data.columnar import accumulators
from data.columnar.accumulators import AccumulatorT

SEVERAL_WORKERS = "--direct_running_mode=multi_processing"  # among Beam's options


def accumulate(
    shards: Sequence[Any],
    read: Callable[[Any], Iterable[Any]],
    make: Callable[[], AccumulatorT],
    beam_args: Sequence[str],
) -> AccumulatorT:
    """Returns the accumulator of all shards, the same bit for bit with one worker and with several.

    Args:
        shards: What `read` takes, in order.
        read: Returns the batches of a shard, in order.
        make: Returns an empty accumulator.
        beam_args: Beam's pipeline options; if they ask for several workers, each reads one shard at a time.
    """
    if len(shards) > 1 and SEVERAL_WORKERS in beam_args:
        from data.columnar.beam import accumulate_on_beam  # loads Beam

        return accumulate_on_beam(shards, read, make, beam_args)
    return accumulators.accumulate(shards, read, make)
