"""Accumulators over shards: in a loop, or by Beam's workers where its options ask for several."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from data.columnar import accumulators
from data.columnar.accumulators import Adding

SEVERAL_WORKERS = "--direct_running_mode=multi_processing"  # among Beam's options


def over(
    shards: Sequence[Any],
    read: Callable[[Any], Iterable[Any]],
    make: Callable[[], Adding],
    beam_args: Sequence[str],
) -> Adding:
    """Returns the accumulator of all shards, with the same bits whoever does the work.

    Args:
        shards: What `read` takes, in order.
        read: Returns the batches of a shard, in order.
        make: Returns an empty accumulator.
        beam_args: Beam's pipeline options; with those of several workers each takes a shard at a time.
    """
    if len(shards) > 1 and SEVERAL_WORKERS in beam_args:
        from data.columnar.beam import over_workers  # loads Beam

        return over_workers(shards, read, make, beam_args)
    return accumulators.over(shards, read, make)
