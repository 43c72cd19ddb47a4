"""Accumulators give the same result, bit for bit, in a loop and with one or two of Beam's workers."""

import json

import numpy as np
import pytest

from data.columnar.accumulators import accumulate
from data.errors import ModelError
from tests.scripts import run_script


class Total:
    """An accumulator of a sum of floats, which depends on the order of addition, and of that order."""

    def __init__(self):
        self.total, self.order = 0.0, []

    def add(self, batch: np.ndarray) -> None:
        self.total += float(batch.sum())
        self.order.append(int(batch[0] * 1e6))

    def merge(self, other: "Total") -> None:
        self.total += other.total
        self.order += other.order

    def result(self) -> dict:
        return {"total": self.total.hex(), "order": self.order}


def read(seed: int) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).lognormal(sigma=5, size=(3, 4)))


def read_with_errors(seed: int) -> list[np.ndarray]:
    """Returns batches as `read` does; raises ModelError for two shards."""
    if seed in (7, 12):
        raise ModelError(f"The model answers shard {seed} with a number that is not finite.")
    return read(seed)


def test_shards_are_merged_in_their_order():
    expected = [int(batch[0] * 1e6) for seed in range(5) for batch in read(seed)]

    result = accumulate(range(5), read, Total).result()

    assert result["order"] == expected
    assert float.fromhex(result["total"]) == sum(sum(float(batch.sum()) for batch in read(seed)) for seed in range(5))


def test_without_shards_it_is_an_empty_accumulator():
    assert accumulate([], read, Total).result() == {"total": "0x0.0p+0", "order": []}


# In a separate process: the handler of workers that it registers would remain in this one.
ON_BEAM = """
import json
import headrace
headrace.put_our_packages_first()
from data.columnar.beam import accumulate_on_beam
from data.errors import HeadraceError
from pipeline.running import beam_workers
from pipeline.running.graph import beam_args
from tests.data.columnar.test_accumulators import Total, read, read_with_errors

if __name__ == "__main__":
    beam_workers.start()
    found = [accumulate_on_beam(range(20), read, Total, beam_args(workers)).result() for workers in (1, 2)]
    try:
        accumulate_on_beam(range(20), read_with_errors, Total, beam_args(2))
    except HeadraceError as error:
        found.append([type(error).__name__, str(error)])
    open("found.json", "w").write(json.dumps(found))
"""


@pytest.mark.slow
def test_one_and_two_beam_workers_give_the_result_and_the_error_of_the_loop(tmp_path):
    run_script(tmp_path, ON_BEAM)

    expected = accumulate(range(20), read, Total).result()
    with pytest.raises(ModelError) as raised:
        accumulate(range(20), read_with_errors, Total)
    error = ["ModelError", str(raised.value)]
    assert str(raised.value) == "The model answers shard 7 with a number that is not finite."
    assert json.loads((tmp_path / "found.json").read_text()) == [expected, expected, error]
