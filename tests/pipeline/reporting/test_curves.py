import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from models.evaluation.predictions import Predictions
from pipeline.reporting import curves


def test_average_precision_of_a_perfect_and_a_reversed_ranking():
    perfect = Predictions(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]]))
    reversed_ = Predictions(np.array([1, 0, 0]), np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]]))

    assert curves.precision_recall(perfect, ("no", "yes"))["yes"].average_precision == 1.0
    assert curves.precision_recall(reversed_, ("no", "yes"))["yes"].average_precision == pytest.approx(1 / 3)


def test_a_class_that_the_test_split_lacks_has_no_curve():
    predictions = Predictions(np.array([0, 1, 1]), np.eye(3)[[0, 1, 1]])

    assert set(curves.precision_recall(predictions, ("a", "b", "never"))) == {"a", "b"}
    assert curves.precision_recall(Predictions(np.array([0, 0]), np.eye(2)[[0, 0]]), ("no", "yes")) == {}


def test_a_row_reaches_a_threshold_that_equals_its_score():
    counts = curves.counts(np.array([True, True, False]), np.array([0.9, 0.5, 0.5]), np.array([0.0, 0.5, 0.6, 1.0]))

    assert counts.true_positives.tolist() == [2, 2, 1, 0]
    assert counts.false_positives.tolist() == [1, 1, 0, 0]
    assert counts.precision.tolist() == [2 / 3, 2 / 3, 1.0, 0.0]
    assert counts.recall.tolist() == [1.0, 1.0, 0.5, 0.0]


def test_a_row_of_weight_2_counts_twice_and_one_of_weight_0_not_at_all():
    random = np.random.default_rng(1)
    scores = (random.integers(20, size=60) / 20).astype(np.float32)
    targets, weights = (random.random(60) < scores).astype(int), np.arange(60) % 3 / 4
    predictions = Predictions(targets, np.stack([1 - scores, scores], axis=1), weights=weights)
    copies = np.repeat(np.arange(60), (4 * weights).astype(int))

    weighted = curves.precision_recall(predictions, ("no", "yes"))["yes"]

    of_copies = Predictions(targets[copies], predictions.values[copies])
    repeated = curves.precision_recall(of_copies, ("no", "yes"))["yes"]
    assert weighted.average_precision == pytest.approx(repeated.average_precision)
    np.testing.assert_allclose(np.unique(weighted.recall), np.unique(repeated.recall))
    for recall in np.unique(repeated.recall)[1:]:
        assert weighted.precision[weighted.recall.searchsorted(recall - 1e-9)] == pytest.approx(
            repeated.precision[repeated.recall.searchsorted(recall - 1e-9)]
        )


@pytest.mark.parametrize("num_scores", [7, 5000])
def test_the_curve_equals_scikit_learns_at_some_of_its_points(num_scores):
    random = np.random.default_rng(1)
    scores = (random.integers(num_scores, size=3000) / num_scores).astype(np.float32)
    targets = (random.random(3000) < scores).astype(int)
    precision, recall, _ = precision_recall_curve(targets, scores)

    curve = curves.precision_recall(Predictions(targets, np.stack([1 - scores, scores], axis=1)), ("no", "yes"))["yes"]

    point_indices = np.unique(np.linspace(0, len(recall) - 1, min(101, len(recall))).astype(int))
    np.testing.assert_allclose(curve.recall, recall[::-1][point_indices])
    np.testing.assert_allclose(curve.precision, precision[::-1][point_indices])
