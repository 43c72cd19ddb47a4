import numpy as np
import pytest

pytestmark = pytest.mark.slow  # loads TFMA


def test_the_calibration_error_is_the_weighted_gap_of_each_bin():
    from models.evaluation.calibration import expected_calibration_error

    # Two bins: 0.25 and 0.5 (one of two right) fall in (0, 0.5], 0.9 and 1.0 (both right) in (0.5, 1].
    found = expected_calibration_error(np.array([0.25, 0.5, 0.9, 1.0]), np.array([True, False, True, True]), num_bins=2)

    # |0.75 - 1| of the first two and |1.9 - 2| of the last two, over four examples.
    assert found == pytest.approx((0.25 + 0.1) / 4)


def test_perfect_confidence_that_is_right_has_no_error():
    from models.evaluation.calibration import expected_calibration_error

    assert expected_calibration_error(np.ones(5), np.ones(5, bool)) == 0.0


def test_without_examples_there_is_no_value():
    from models.evaluation.calibration import expected_calibration_error

    assert np.isnan(expected_calibration_error(np.array([]), np.array([])))
