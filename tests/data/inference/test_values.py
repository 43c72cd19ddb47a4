import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from data.inference import values
from data.inference.values import Values


@pytest.mark.parametrize("seed", range(10))
def test_values_are_counted_in_order_of_first_occurrence_for_any_batches(seed, monkeypatch):
    rng = random.Random(seed)
    monkeypatch.setattr(values, "MIN_PENDING", rng.choice([1, 5, 1000]))
    parts = [[rng.choice("abcdefghijkløæ ") for _ in range(rng.randint(0, 9))] for _ in range(12)]

    first, later = Values(max_values=100), Values(max_values=100)
    for index, part in enumerate(parts):
        counted = Counter(part)
        accumulator = first if index < 6 else later
        if rng.random() < 0.5:
            accumulator.add(pa.array(list(counted), pa.string()), np.array(list(counted.values()), np.int64))
        else:
            accumulator.add_each(part)
        assert len(accumulator) <= 15  # also while some are pending
    first.merge(later)

    expected = Counter(text for part in parts for text in part)
    assert list(first.items()) == list(expected.items())
    assert Values.of(expected) == first
    assert (first.first(3), first.every(2)) == (list(expected)[:3], list(expected)[::2])
    assert not first.is_full


def test_only_the_first_of_too_many_values_are_kept():
    counted = Values(max_values=2)

    for text in "abcda":
        counted.add_each([text])

    assert (list(counted), len(counted), counted.is_full) == (["a", "b", "c"], 3, True)
    assert "d" not in counted
