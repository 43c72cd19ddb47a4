import math

import numpy as np
import pytest

from models.evaluation.comparison import paired_interval
from models.evaluation.metrics import ACCURACY, AUC, MAE, RMSE, f1_of_second

METRICS = {metric.name: metric for metric in (ACCURACY, AUC, f1_of_second("yes"))}
ERRORS = {metric.name: metric for metric in (RMSE, MAE)}
EVERY = {**METRICS, **ERRORS}


def _made_up(name, generator, rows, *, groups=None, better=0.0):
    """Returns targets and two models' predictions, with an effect of each group on each model."""
    effects = np.zeros((2, rows)) if groups is None else generator.normal(0, 1.5, (2, groups.max() + 1))[:, groups]
    targets = generator.integers(0, 2, rows)
    if name in ERRORS:
        return targets, *(targets + (effects + generator.normal(0, 1, (2, rows))) * np.array([[1 - better], [1]]))
    # A group's effect makes a model better or worse at its rows.
    margins = (2 * targets - 1) * (1 + np.array([[better], [0]]) + effects) + generator.normal(0, 1.5, (2, rows))
    shares = 1 / (1 + np.exp(-margins))
    return targets, *(np.stack([1 - share, share], axis=1) for share in shares)


def test_an_interval_distinguishes_better_equal_and_worse():
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 2, 400)
    good, poor = (np.eye(2)[np.where(generator.random(400) < right, targets, 1 - targets)] for right in (0.95, 0.7))

    beats = paired_interval(METRICS["accuracy"], targets, good, poor)
    ties = paired_interval(METRICS["accuracy"], targets, good, good)
    loses = paired_interval(METRICS["accuracy"], targets, poor, good)

    assert beats.verdict == "beats"
    assert 0.1 < beats.low < beats.difference < beats.high < 0.4
    assert (ties.verdict, ties.difference) == ("ties with", 0.0)
    assert loses.verdict == "loses to"
    assert loses.difference == pytest.approx(-beats.difference)


def test_a_lower_error_is_better():
    targets = np.arange(50.0)
    interval = paired_interval(ERRORS["rmse"], targets, targets + 1, targets + 3)

    assert interval.difference == pytest.approx(2.0)
    assert interval.verdict == "beats"


def test_the_interval_of_two_accuracies_by_hand():
    # Of four rows the first model has two more right: differences 1, 1, 0, 0; mean 0.5, standard deviation 0.5774.
    targets, ours, theirs = np.array([0, 0, 0, 0]), np.eye(2)[[0, 0, 0, 1]], np.eye(2)[[1, 1, 0, 1]]

    interval = paired_interval(METRICS["accuracy"], targets, ours, theirs)

    # Student's t of three degrees of freedom is 3.1824; the standard error 0.5774 / sqrt(4).
    assert interval.difference == 0.5
    assert (interval.low, interval.high) == (
        pytest.approx(0.5 - 0.9187, abs=1e-4),
        1.0,  # and no two accuracies are further apart than 1
    )


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("grouped", [False, True])
def test_intervals_are_those_of_a_bootstrap(name, grouped):
    """Both ends are those of 500 resamples of rows or groups, to a fifth of the interval's half width."""
    generator, count = np.random.default_rng(7), 400
    groups = np.sort(generator.integers(0, 60, count)) if grouped else None
    targets, ours, theirs = _made_up(name, generator, count, groups=groups, better=0.3)
    metric, sign = EVERY[name], -1 if name in ERRORS else 1
    units = np.split(np.arange(count), np.flatnonzero(np.diff(groups)) + 1) if grouped else np.arange(count)[:, None]

    interval = paired_interval(metric, targets, ours, theirs, groups=groups)

    differences = []
    for _ in range(500):
        rows = np.concatenate([units[unit] for unit in generator.integers(len(units), size=len(units))])
        differences.append(sign * (metric.value(targets[rows], ours[rows]) - metric.value(targets[rows], theirs[rows])))
    low, high = np.percentile(differences, [2.5, 97.5])
    assert (interval.low, interval.high) == (
        pytest.approx(low, abs=0.1 * (high - low)),
        pytest.approx(high, abs=0.1 * (high - low)),
    )


@pytest.mark.parametrize("name", EVERY)
def test_for_grouped_rows_the_interval_by_group_covers_and_that_by_row_does_not(name):
    """Both models are equally good: 95 of 100 valid intervals contain zero. 40 groups of 10 rows, 300 times."""
    generator, groups = np.random.default_rng(1), np.repeat(np.arange(40), 10)
    num_covered = np.zeros(2)
    for _ in range(300):
        targets, ours, theirs = _made_up(name, generator, len(groups), groups=groups)
        intervals = [
            paired_interval(EVERY[name], targets, ours, theirs, groups=groups_or_none)
            for groups_or_none in (groups, None)
        ]
        num_covered += [interval.low <= 0 <= interval.high for interval in intervals]

    by_group, by_row = num_covered / 300
    assert 0.91 <= by_group <= 0.99
    assert by_row < 0.87


@pytest.mark.parametrize("name", EVERY)
def test_copies_of_rows_within_their_group_do_not_change_the_interval(name):
    generator = np.random.default_rng(2)
    targets, ours, theirs = _made_up(name, generator, 90)
    groups, copied = np.arange(90) % 30, np.tile(np.arange(90), 5)

    alone = paired_interval(EVERY[name], targets, ours, theirs, groups=groups)
    copies = paired_interval(EVERY[name], targets[copied], ours[copied], theirs[copied], groups=groups[copied])
    naive = paired_interval(EVERY[name], targets[copied], ours[copied], theirs[copied])

    assert [copies.difference, copies.low, copies.high] == pytest.approx([alone.difference, alone.low, alone.high])
    assert naive.high - naive.low < 0.7 * (copies.high - copies.low)


def test_one_group_or_nan_predictions_are_a_tie():
    targets, ours, theirs = np.array([0, 1, 1]), np.eye(2)[[0, 1, 1]], np.eye(2)[[1, 1, 1]]

    one_group = paired_interval(METRICS["accuracy"], targets, ours, theirs, groups=np.zeros(3, np.int32))
    with_nan = paired_interval(METRICS["auc"], targets, ours * float("nan"), theirs)

    assert (one_group.verdict, one_group.low, one_group.high) == ("ties with", -math.inf, math.inf)
    assert with_nan.verdict == "ties with"


@pytest.mark.parametrize("positives", [1, 2, 3])
def test_random_scores_seldom_beat_a_constant_where_a_class_has_few_rows(positives):
    generator, wins = np.random.default_rng(positives), 0
    targets = np.zeros(100, int)
    targets[:positives] = 1
    constant = np.full((100, 2), 0.5)

    for _ in range(300):
        scores = generator.random(100)
        network = np.stack([1 - scores, scores], axis=1)
        wins += paired_interval(AUC, targets, network, constant).verdict == "beats"

    assert wins / 300 < 0.06


def test_a_perfect_network_beats_a_constant_on_enough_rows():
    verdicts = []
    for count in (3, 20):
        targets = np.repeat([0, 1], count)
        constant = np.full((2 * count, 2), 0.5)
        verdicts.append(paired_interval(AUC, targets, np.eye(2)[targets], constant).verdict)

    assert verdicts == ["ties with", "beats"]


def test_a_weight_of_two_counts_as_two_rows_and_a_weight_of_zero_as_none():
    targets, ours, theirs = _made_up("accuracy", np.random.default_rng(4), 90, better=0.5)
    weights = np.arange(90) % 3.0
    copied, groups = np.repeat(np.arange(90), weights.astype(int)), np.arange(90)

    for metric in METRICS.values():
        weighted = paired_interval(metric, targets, ours, theirs, weights=weights, groups=groups)
        copies = paired_interval(metric, targets[copied], ours[copied], theirs[copied], groups=groups[copied])
        assert [weighted.difference, weighted.low, weighted.high] == pytest.approx(
            [copies.difference, copies.low, copies.high]
        )


def test_a_difference_of_errors_may_be_greater_than_one_and_equal_differences_have_an_interval():
    interval = paired_interval(ERRORS["mae"], np.zeros(20), np.full(20, 3.0), np.full(20, 5.0))

    # 2 in all 20 rows: an error of 2 * 2 / 20, and 2.0930 of Student's t of 19 degrees of freedom.
    assert (interval.difference, interval.low) == (2.0, pytest.approx(2 - 0.2 * 2.0930, abs=1e-4))
