"""Accumulators give the same bits in a loop and by one or two of Beam's workers."""

import json

import numpy as np
import pytest

from data.columnar.accumulators import over
from tests.scripts import run_script


class Total:
    """A sum of floats, which depends on the order, and the order itself."""

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


def test_shards_are_merged_in_their_order():
    expected = [int(batch[0] * 1e6) for seed in range(5) for batch in read(seed)]

    found = over(range(5), read, Total).result()

    assert found["order"] == expected
    assert float.fromhex(found["total"]) == sum(sum(float(batch.sum()) for batch in read(seed)) for seed in range(5))


def test_without_shards_it_is_an_empty_accumulator():
    assert over([], read, Total).result() == {"total": "0x0.0p+0", "order": []}


# In a process of its own: the handler of workers that it registers would stay in this one.
ON_BEAM = """
import json, sys
import headrace
headrace.put_our_packages_first()
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from data.columnar.beam import Over
from pipeline.running import beam_workers
from pipeline.running.graph import beam_args
from tests.data.columnar.test_accumulators import Total, read

if __name__ == "__main__":
    beam_workers.start()
    for workers in (1, 2):
        with beam.Pipeline(options=PipelineOptions(beam_args(workers))) as pipeline:
            (pipeline | Over(range(20), read, Total)
             | beam.Map(lambda one: open(f"{workers}.json", "w").write(json.dumps(one.result()))))
"""


@pytest.mark.slow
def test_one_and_two_workers_of_beam_give_what_the_loop_gives(tmp_path):
    run_script(tmp_path, ON_BEAM)

    expected = over(range(20), read, Total).result()
    assert [json.loads((tmp_path / f"{workers}.json").read_text()) for workers in (1, 2)] == [expected, expected]
