import numpy as np
import pytest

from models.evaluation.intervals import wilson
from models.evaluation.predictions import Predictions
from models.evaluation.reliability import reliability_bins

VALUES = np.array([[0.95, 0.05], [0.9, 0.1], [0.45, 0.55], [0.55, 0.45]], np.float32)


def test_reliability_bins_by_hand():
    bins = reliability_bins(Predictions(np.array([0, 1, 1, 0]), VALUES))

    # Of 15 bins 0.55 lies in the 9th, 0.9 in the 14th, 0.95 in the 15th.
    assert [(round(bin_.low * 15), bin_.accuracy, bin_.rows) for bin_ in bins] == [
        (8, 1.0, 2),
        (13, 0.0, 1),
        (14, 1.0, 1),
    ]
    assert bins[0].confidence == pytest.approx(0.55)
    assert bins[0].interval == wilson(1.0, 2)


def test_rows_of_one_group_have_the_interval_of_one_row():
    alone, grouped = (
        reliability_bins(Predictions(np.array([0, 1, 1, 0]), VALUES, groups))
        for groups in (None, np.array([0, 1, 2, 2]))
    )

    assert grouped[0].interval == wilson(1.0, 1)
    assert grouped[0].interval[0] < alone[0].interval[0]


def test_weights_count_in_a_bin_which_is_closed_above():
    # 0.6 is the upper end of the ninth of 15 bins.
    values = np.array([[0.6, 0.4], [0.4, 0.6], [0.55, 0.45]])
    (bin_,) = reliability_bins(Predictions(np.array([0, 0, 0]), values, weights=np.array([1.0, 1.0, 2.0])))

    assert (bin_.low, bin_.high) == pytest.approx((8 / 15, 9 / 15))
    assert bin_.accuracy == pytest.approx(3 / 4)
    assert bin_.confidence == pytest.approx((0.6 + 0.6 + 2 * 0.55) / 4)
