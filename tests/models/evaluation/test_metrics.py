import numpy as np
import pytest

from models.evaluation.metrics import (
    ACCURACY,
    AUC,
    LOSS,
    MAE,
    RATING_RMSE,
    RMSE,
    Metric,
    classification,
    confusion_matrix,
    f1_of_second,
    ndcg_at,
    ranges,
    recall_at,
)

TARGETS = np.array([0, 0, 1, 1])
SCORES = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.6, 0.4]])


def test_classification_metrics_by_hand():
    # Predicted are 0, 1, 1, 0. Of four pairs of classes, 0.1 lies below 0.7 and 0.4, and 0.6 below 0.7.
    assert ACCURACY.value(TARGETS, SCORES) == 0.5
    assert AUC.value(TARGETS, SCORES) == pytest.approx(3 / 4)
    assert f1_of_second("yes").value(TARGETS, SCORES) == pytest.approx(2 * 1 / (2 + 2))
    assert AUC.value(TARGETS[:2], SCORES[:2]) == 0.5  # one class only
    assert np.isnan(f1_of_second("yes").value(TARGETS[:2], SCORES[:2]))  # one class only


def test_regression_metrics_by_hand():
    # Errors 3, 0, 0 and 0.
    targets, values = np.array([0, 1, 1, 1], np.float32), np.array([3, 1, 1, 1], np.float32)

    assert RMSE.value(targets, values) == pytest.approx(1.5)
    assert MAE.value(targets, values) == pytest.approx(0.75)


def test_the_confusion_matrix_has_true_classes_as_rows_and_predicted_ones_as_columns():
    targets, predicted = np.array([0, 0, 2, 2]), np.array([0, 2, 2, 0])

    assert confusion_matrix(targets, predicted, 3).tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 1]]
    assert confusion_matrix(targets[:0], predicted[:0], 2).tolist() == [[0, 0], [0, 0]]


def test_direction_range_and_kind_of_each_metric():
    """Losses and errors: lower is better, and there is no upper bound; shares have Wilson's interval."""
    measured = [*classification(("no", "yes")), RMSE, MAE, RATING_RMSE, recall_at(10), ndcg_at(10)]
    metrics = [metric for metric in measured if isinstance(metric, Metric)]

    assert [metric.name for metric in metrics if metric.lower_is_better] == [
        "loss",
        "expected_calibration_error",
        "rmse",
        "mae",
        "rating_rmse",
    ]
    assert [metric.name for metric in metrics if metric.is_share] == ["accuracy", "f1@yes", "recall_at_10"]
    assert [metric.name for metric in metrics if not metric.is_compared] == ["loss", "expected_calibration_error"]
    assert [metric.name for metric in metrics if metric.range == (0.0, np.inf)] == [
        "loss",
        "rmse",
        "mae",
        "rating_rmse",
    ]
    assert {metric.range for metric in metrics if not metric.lower_is_better} == {(0.0, 1.0)}


def test_the_main_metric_comes_first_and_each_has_a_range():
    assert next(iter(ranges(classification(("no", "yes"))))) == "auc"
    assert list(ranges(classification(("a", "b", "c"))))[:3] == ["accuracy", "loss", "expected_calibration_error"]
    assert ranges((RMSE,)) == {"rmse": (0.0, np.inf), "example_count": (0.0, np.inf)}
    assert ranges(()) == {}
    assert ranges(classification(("a", "b", "c")))["recall@c"] == (0.0, 1.0)


def test_the_loss_is_that_of_keras():
    """Probabilities are clipped to [1e-7, 1 - 1e-7] and then scaled to 1."""
    scores = np.array([[1.0, 0.0], [0.2, 0.2]])

    assert LOSS.value(np.array([1, 1]), scores) == pytest.approx((-np.log(1e-7) - np.log(0.5)) / 2, rel=1e-6)


def test_weights_count_in_every_value():
    weights = np.array([3.0, 1, 1, 1])  # right, wrong, right, wrong

    assert ACCURACY.value(TARGETS, SCORES, weights) == pytest.approx(4 / 6)
    assert f1_of_second("yes").value(TARGETS, SCORES, weights) == pytest.approx(1 / 2)
