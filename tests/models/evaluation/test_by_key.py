import dataclasses

import numpy as np
import pytest

from models.evaluation import estimates
from models.evaluation.by_key import Rows, ratios_by_key, summaries_by_key
from models.evaluation.metrics import AUC, CALIBRATION, Metric, f1_of_second

ROWS, KEYS = 400, 4


def _table(weighted: bool, grouped: bool):
    """Returns numerators, denominators of which some are 0, weights and groups of the rows, and their keys."""
    generator = np.random.default_rng(0)
    denominators = (generator.random(ROWS) < 0.7) * generator.integers(1, 3, ROWS)
    numerators = denominators * generator.random(ROWS)
    rows = Rows(
        generator.random(ROWS) + 0.1 if weighted else None, generator.integers(3, 43, ROWS) if grouped else None
    )
    return numerators, denominators, rows, generator.integers(0, KEYS, ROWS)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("of_rows", [False, True])
def test_ratios_of_all_keys_at_once_are_those_of_each_keys_rows_alone(weighted, grouped, of_rows):
    numerators, denominators, rows, keys = _table(weighted, grouped)
    if of_rows:  # a share
        numerators, denominators = numerators > 0.5, denominators > 0

    summaries = ratios_by_key(numerators, denominators, rows=rows, keys=keys, num_keys=KEYS)

    for key in range(KEYS):
        of_key = rows.of(keys == key)
        estimate = estimates.ratio(numerators[keys == key], denominators[keys == key], weights=of_key.weights)
        expected = dataclasses.astuple(estimate.summary(of_key.groups))
        assert dataclasses.astuple(summaries[key]) == pytest.approx(expected, rel=1e-9)


def test_a_ratio_and_its_error_by_hand():
    # 1 of 1, 0 of 1, 1 of 2 and a row with denominator 0: 2 / 4; residuals 0.5, -0.5, 0, 0; three rows count.
    numerators, denominators, keys = np.array([1.0, 0, 1, 0]), np.array([1.0, 1, 2, 0]), np.zeros(4, int)

    (summary,) = ratios_by_key(numerators, denominators, rows=Rows(), keys=keys, num_keys=1)
    (of_pairs,) = ratios_by_key(
        numerators, denominators, rows=Rows(None, np.array([2, 2, 0, 0])), keys=keys, num_keys=1
    )
    (of_weighted,) = ratios_by_key(numerators, denominators, rows=Rows(np.array([3.0, 1, 1, 9])), keys=keys, num_keys=1)

    assert (summary.value, summary.num_units, summary.num_rows) == (0.5, 3, 4)
    assert summary.standard_error == pytest.approx((0.5 * 3 / 2) ** 0.5 / 4)
    assert summary.effective_units == pytest.approx(4**2 / (1 + 1 + 4))
    assert summary.degrees_of_freedom == pytest.approx(0.5**2 / (2 * 0.25**2))
    assert (of_pairs.num_units, of_pairs.standard_error) == (2, 0.0)  # 0.5 - 0.5, and 0 + 0
    # 4 of 6: residuals 3 - 2, 0 - 2 / 3, 1 - 4 / 3.
    assert of_weighted.value == pytest.approx(2 / 3)
    assert of_weighted.standard_error == pytest.approx(((1 + 4 / 9 + 1 / 9) * 3 / 2) ** 0.5 / 6)


def test_one_row_has_an_infinite_error_and_no_row_has_no_value():
    numerators, denominators = np.array([1.0, 0, 0]), np.array([1.0, 0, 0])

    one, none, missing = ratios_by_key(numerators, denominators, rows=Rows(), keys=np.array([0, 0, 1]), num_keys=3)

    assert (one.value, one.standard_error, one.num_units) == (1.0, np.inf, 1)
    for summary in (none, missing):
        assert np.isnan(summary.value)
        assert summary.num_units == 0


def test_the_interval_of_a_share_of_some_rows_is_that_of_those_rows_alone():
    """Two negative rows of 402: the interval of specificity is that of two rows, and without one there is no value."""

    def negatives(targets, scores):
        return (scores.argmax(axis=1) == 0) & (targets == 0), targets == 0

    specificity = Metric("specificity", negatives, is_share=True)
    targets = np.array([0, 0] + [1] * 400)
    columns = specificity.columns(targets, np.eye(2)[targets])

    of_all, of_positives = summaries_by_key(specificity, columns, Rows(), (np.arange(402) >= 200).astype(int), 2)

    assert specificity.measured(of_all) == (1.0, (pytest.approx(0.3424, abs=1e-4), 1.0))
    assert np.isnan(specificity.measured(of_positives)[0])
    assert specificity.measured(of_positives)[1] is None


@pytest.mark.parametrize("metric", [AUC, CALIBRATION, f1_of_second("yes")], ids=lambda metric: metric.name)
@pytest.mark.parametrize("grouped", [False, True])
def test_rows_of_key_minus_one_are_left_out_and_each_key_is_measured_on_its_rows(metric, grouped):
    generator = np.random.default_rng(1)
    targets, scores = generator.integers(0, 2, ROWS), generator.random(ROWS)
    values, keys = np.stack([1 - scores, scores], axis=1), generator.integers(-1, 3, ROWS)
    rows = Rows(generator.random(ROWS), generator.integers(0, 30, ROWS) if grouped else None)

    summaries = summaries_by_key(metric, metric.columns(targets, values), rows, keys, 3)

    for key in range(3):
        has_key = keys == key
        estimate = metric.estimate(*metric.columns(targets[has_key], values[has_key]), weights=rows.weights[has_key])
        expected = estimate.summary(None if rows.groups is None else rows.groups[has_key])
        assert dataclasses.astuple(summaries[key]) == pytest.approx(dataclasses.astuple(expected), rel=1e-9)
