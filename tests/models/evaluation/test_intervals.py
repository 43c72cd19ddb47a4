import pytest

from models.evaluation.intervals import of_difference, wilson


def test_wilsons_interval_is_that_of_the_paper():
    # 8 of 10; worked out by hand from Wilson's formula with z = 1.96.
    low, high = wilson(0.8, 10)

    assert low == pytest.approx(0.4902, abs=1e-4)
    assert high == pytest.approx(0.9433, abs=1e-4)
    assert all(wilson(1.0, count)[1] == 1.0 and wilson(0.0, count)[0] == 0.0 for count in range(1, 500))
    assert wilson(0.0, 0) == (0.0, 1.0)


def test_the_interval_of_a_difference_of_two_shares_is_newcombes():
    # His table II, method 10, (a): 56 of 70 and 48 of 80.
    first, second = 48 / 80, 56 / 70

    ends = of_difference(first, wilson(first, 80), second, wilson(second, 70))

    assert ends == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_the_interval_of_a_difference_of_two_shares_ends_at_1():
    assert of_difference(0.0, wilson(0.0, 2), 1.0, wilson(1.0, 2))[1] == 1.0
