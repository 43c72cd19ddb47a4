import pytest

from models.evaluation.intervals import wilson


def test_wilsons_interval_is_that_of_the_paper():
    # 8 of 10; worked out by hand from Wilson's formula with z = 1.96.
    low, high = wilson(0.8, 10)

    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)
    assert all(wilson(1.0, count)[1] == 1.0 and wilson(0.0, count)[0] == 0.0 for count in range(1, 500))
    assert wilson(0.0, 0) == (0.0, 1.0)
