import numpy as np
import pytest

from models.evaluation.estimates import ROOT, area_under_curve, bins_of, calibration_error, mean, ratio


def test_the_standard_error_of_a_mean_by_hand():
    # 1, 2, 3 and 6: mean 3, variance (4 + 1 + 0 + 9) / 3; in pairs 1.5 and 4.5, whose variance is 4.5.
    estimate = mean(np.array([1, 2, 3, 6]))

    assert estimate.value == 3.0
    assert estimate.standard_error() == pytest.approx(np.sqrt(14 / 3 / 4))
    assert estimate.standard_error(np.array([0, 0, 1, 1])) == pytest.approx(np.sqrt(4.5 / 2))
    assert estimate.standard_error(np.array([5, 5, 2, 2])) == pytest.approx(np.sqrt(4.5 / 2))  # numbers with gaps
    assert estimate.standard_error(np.zeros(4, int)) == np.inf


def test_the_influence_of_a_row_is_the_derivative_by_its_weight():
    """The first row occurs three times: its weight grows by 2 of 2,000 rows."""
    generator = np.random.default_rng(0)
    numerators, denominators = generator.random(2000), generator.random(2000) + 0.5
    positive, scores = generator.random(2000) < 0.3, generator.normal(size=2000).round(1)
    indices = np.append(np.arange(2000), [0, 0])  # the first row two more times

    for function, arguments in (
        (ratio, (numerators, denominators)),
        (mean, (numerators,)),
        (lambda values: ROOT.of(mean(values)), (numerators,)),
        (area_under_curve, (positive, scores)),
    ):
        before, after = function(*arguments), function(*(values[indices] for values in arguments))
        assert before.influence.mean() == pytest.approx(0, abs=1e-12)
        assert (after.value - before.value) * 2000 / 2 == pytest.approx(before.influence[0], rel=0.02, abs=1e-3)


def test_the_area_and_its_error_are_those_of_delong():
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(3)
    positive = generator.random(80) < 0.4
    scores = (positive + generator.normal(size=80)).round(1)  # some are equal
    # By the definition of DeLong et al.: how often each positive lies above each negative, equal ones half.
    pairs = (scores[positive][:, None] > scores[~positive]) + 0.5 * (scores[positive][:, None] == scores[~positive])
    variance = pairs.mean(axis=1).var(ddof=1) / positive.sum() + pairs.mean(axis=0).var(ddof=1) / (~positive).sum()

    estimate = area_under_curve(positive, scores)

    assert estimate.value == pytest.approx(roc_auc_score(positive, scores))
    assert estimate.standard_error() == pytest.approx(np.sqrt(variance), rel=0.02)  # it divides by rows, not by classes


def test_values_without_both_classes_or_with_nan_are_half_or_nan():
    assert area_under_curve(np.array([True, True]), np.array([0.1, 0.2])).value == 0.5
    assert np.isnan(area_under_curve(np.array([True, False]), np.array([0.1, np.nan])).value)
    assert np.isnan(ratio(np.zeros(3), np.zeros(3)).value)
    assert ROOT.of(mean(np.zeros(3))).standard_error() == 0.0


def test_the_calibration_error_is_the_weighted_gap_of_each_bin():
    # Of 15 bins 0.25 (right) falls in the fourth, 0.9 in the 14th and 1.0 twice in the last.
    confidences, correct = np.array([0.25, 0.9, 1.0, 1.0]), np.array([True, False, True, False])

    estimate = calibration_error(confidences, correct)
    weighted = calibration_error(confidences, correct, np.array([3.0, 1, 1, 1]))

    assert estimate.value == pytest.approx((0.75 + 0.9 + 1.0) / 4)
    assert weighted.value == pytest.approx((3 * 0.75 + 0.9 + 1.0) / 6)
    assert estimate.influence.mean() == pytest.approx(0)


def test_correct_predictions_of_confidence_1_have_calibration_error_0():
    assert calibration_error(np.ones(5), np.ones(5, bool)).value == 0.0
    assert np.isnan(calibration_error(np.array([]), np.array([], bool)).value)


def test_the_bins_of_a_calibration_error_are_closed_above():
    assert bins_of(np.array([0.0, 1 / 15, 1 / 15 + 1e-9, 0.6, 1.0])).tolist() == [0, 0, 1, 8, 14]


def test_a_class_of_weight_0_has_no_area_and_a_weight_counts_as_copies():
    positive, scores = np.array([True, False, True, False]), np.array([0.3, 0.2, 0.1, 0.15])
    weights = np.array([1.0, 2, 3, 1])
    copies = np.repeat(np.arange(4), weights.astype(int))

    weightless = area_under_curve(positive, scores, np.array([0.0, 1, 0, 1]))
    estimate = area_under_curve(positive, scores, weights)
    expected = area_under_curve(positive[copies], scores[copies])

    assert (weightless.value, weightless.units()) == (0.5, 0)
    assert estimate.value == pytest.approx(expected.value) == pytest.approx(3 / 12)
    # The influence of a row is that of its copies together, of 4 rows in place of 7.
    assert estimate.influence / 4 == pytest.approx(np.bincount(copies, expected.influence) / 7)


def test_the_bias_of_a_calibration_error_is_bounded_by_that_of_noise_alone():
    # Of 100 rows of confidence 0.6 just 60 are right: the standard error is 0.049, the error of noise alone 0.8 of it.
    confidences, correct = np.full(100, 0.6), np.arange(100) < 60

    alone = calibration_error(confidences, correct).bias()
    groups = calibration_error(confidences, correct, np.ones(100)).bias(np.arange(100) // 10)
    wrong = calibration_error(confidences, np.arange(100) < 10).bias()

    assert alone == pytest.approx(np.sqrt(2 / np.pi) * 0.049 * np.sqrt(100 / 99), rel=0.01)
    assert groups == pytest.approx(np.sqrt(2 / np.pi) * np.sqrt(6 * 4**2 + 4 * 6**2) / 100 * np.sqrt(10 / 9), rel=0.01)
    assert wrong < 0.001 < alone
