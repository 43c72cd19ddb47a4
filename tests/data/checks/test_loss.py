"""Numbers that become equal when they are stored are reported, in any order; rounding alone is not."""

import itertools
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from data.checks import loss
from data.checks.loss import MAX_VALUES, PrecisionLoss
from data.checks.rows import RowChecks
from data.columnar.columns import column
from data.config import DataChecks
from data.errors import DataError
from data.kinds.cell import Distinct, ReadOptions
from data.spec import DatasetSpec, NumberFeature, TargetFeature
from tests.data.checks import tiny

TEXT = ReadOptions(textual=True, missing=frozenset({""}))
NUMBER, TARGET = NumberFeature(optional=True), TargetFeature()
ACCOUNTS = [f"40000012345678{i:02d}" for i in range(50)]
DAYS = [f"{date(2023, 1, 1) + timedelta(i):%Y%m%d}" for i in range(322)]


def loss_of(parts, feature=NUMBER, options=TEXT) -> PrecisionLoss:
    spec = DatasetSpec(name="x", title="", licence="", features={"n": feature})
    loss = PrecisionLoss(spec)
    for cells in parts:
        loss.add({"n": column(cells, feature, options).distinct})
    return loss


def messages(cells, feature=NUMBER, options=TEXT) -> list[str]:
    return [str(collisions) for collisions in loss_of([cells], feature, options).result()]


def test_accounts_and_days_that_collide_are_reported_with_the_remedy():
    assert messages(pa.array(ACCOUNTS)) == [
        "n: 50 different values become 1 when stored as float32; set its kind to category where they are identifiers "
        "or codes, or name it in data.ignore."
    ]
    assert messages(pa.array(DAYS)) == [
        "n: 322 different values become 175 when stored as float32; they are days: set its kind to date and its format "
        "to %Y%m%d."
    ]


def test_a_target_far_from_zero_is_reported_with_the_remedy():
    values = [f"{1e9 + i / 80 - 5:.4f}" for i in range(800)]

    assert messages(pa.array(values), TARGET) == [
        "n: 800 different values become 1 when stored as float32: they are close together and far from zero; subtract "
        "a constant near their mean from them in the data, such as 1000000000."
    ]


@pytest.mark.parametrize(
    "cells",
    [
        pa.array(list(range(10**17, 10**17 + 40))),  # float64 does not tell them apart either
        pa.array([f"{10**19 + i} " for i in range(40)]),
        [2**60 + i for i in range(40)],
        pa.array([2**24 + i for i in range(40)], pa.int32()),
        pa.array([20240103.0, 20240104.0]),
    ],
    ids=str,
)
def test_integers_of_every_type_are_reported(cells):
    assert len(messages(cells)) == 1


@pytest.mark.parametrize(
    ("cells", "feature"),
    [
        (pa.array([str(21 + i / 1e12) for i in range(1000)]), NUMBER),  # noise of a sensor
        (pa.array([str(i) for i in range(2**24 - 500, 2**24)]), NUMBER),
        (pa.array([float(10**k + i) for k in range(12) for i in range(3)]), NUMBER),  # revenues: three of 36 collide
        (pa.array(np.random.default_rng(0).normal(21, 0.1, 5000)), TARGET),
        (pa.array(["1.5", "1.50", "1.500000000000000001", ""]), NUMBER),
        (pa.array(["7"] * 9), TARGET),
        (pa.array([0.0, -0.0, 1.0]), NUMBER),
        (pa.array([], pa.string()), NUMBER),
    ],
)
def test_rounding_is_no_loss(cells, feature):
    if cells.type == pa.float64() and len(cells) == 36:
        cells = pa.concat_arrays([cells, pa.array([float(i) for i in range(400)])])

    assert messages(cells, feature) == []


def test_one_number_with_decimals_makes_a_column_one_of_real_values():
    parts = [pa.array(ACCOUNTS[:25]), pa.array(["1.5"]), pa.array(ACCOUNTS[25:])]

    assert [loss_of(order).result() for order in itertools.permutations(parts)] == [[]] * 6


def test_a_sample_of_values_does_not_depend_on_order_blocks_or_workers():
    values = np.random.default_rng(1).integers(2**30, 2**30 + 2**20, 60_000)
    shuffled = np.random.default_rng(2).permutation(values)
    all_at_once = loss_of([pa.array(values)])
    in_parts = loss_of([pa.array(part) for part in np.array_split(shuffled, 30)])
    first, second = loss_of([pa.array(values[40_000:])]), loss_of([pa.array(values[:40_000])])
    first.merge(second)

    (collisions,) = all_at_once.result()

    assert collisions == in_parts.result()[0] == first.result()[0]
    assert not collisions.all_counted
    assert 0.9 * MAX_VALUES < collisions.before <= MAX_VALUES
    # The share of collisions in the sample equals that of all values.
    expected = len(np.unique(values.astype(np.float32))) / len(np.unique(values))
    assert abs(collisions.after / collisions.before - expected) < 0.02


def test_merged_counts_of_another_worker_are_judged():
    spec = tiny.SPEC.model_copy(update={"features": {"n": NUMBER, "label": tiny.SPEC.features["label"]}})
    batch = tiny.batch([("train", {"n": 1.0, "label": 0})], spec)
    first, second = RowChecks(DataChecks(), spec), RowChecks(DataChecks(), spec)
    second.add(replace(batch, distinct={"n": column(pa.array(DAYS), NUMBER, TEXT).distinct}))

    first.merge(second)

    with pytest.raises(DataError, match="n: 322 different values become 175"):
        first.judge()


def _loss_of_bits(*bits: int) -> PrecisionLoss:
    """Returns the precision loss of distinct integers that are stored as float32 values with these bits."""
    stored = np.array(bits, np.uint32).view(np.float32)
    keys = np.arange(len(bits)).astype(np.uint64) + np.uint64(100 * bits[0])
    precision_loss = PrecisionLoss(DatasetSpec(name="x", title="", licence="", features={"n": NUMBER}))
    precision_loss.add({"n": Distinct(keys, stored, all_integers=True)})
    return precision_loss


def test_merging_keeps_only_values_that_both_would_have_counted(monkeypatch):
    """The hashes of bits 0, 2 and 4 ascend: the larger set keeps the values of bits 0 only, so none beyond counts."""
    monkeypatch.setattr(loss, "MAX_VALUES", 3)
    for first, second in ((_loss_of_bits(0, 0, 2, 2), _loss_of_bits(4)), (_loss_of_bits(4), _loss_of_bits(0, 0, 2, 2))):
        first.merge(second)

        (collisions,) = first.result()

        assert (collisions.before, collisions.after, collisions.all_counted) == (2, 1, False)


def test_numbers_of_eight_digits_without_a_month_are_no_days():
    (message,) = messages(pa.array([str(number) for number in range(20249901, 20249932)]))

    assert message.startswith("n: 31 different values become 17 when stored as float32; set its kind to category")
