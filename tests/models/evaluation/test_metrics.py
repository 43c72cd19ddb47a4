import numpy as np
import pytest

from models.evaluation.metrics import ACCURACY, AUC, MAE, RMSE, confusion_matrix, f1

TARGETS = np.array([0, 0, 1, 1])
SCORES = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.6, 0.4]])


def test_metrics_of_classes_by_hand():
    # Predicted are 0, 1, 1, 0. Of four pairs of classes, 0.1 lies below 0.7 and 0.4, and 0.6 below 0.7.
    assert ACCURACY.value(TARGETS, SCORES) == 0.5
    assert AUC.value(TARGETS, SCORES) == pytest.approx(3 / 4)
    assert f1("f1").value(TARGETS, SCORES) == pytest.approx(2 * 1 / (2 + 2))
    assert AUC.value(TARGETS[:2], SCORES[:2]) == 0.5  # one class only
    assert f1("f1").value(TARGETS[:1], SCORES[:1]) == 0.0


def test_metrics_of_numbers_by_hand():
    # Errors 3, 0, 0 and 0.
    targets, values = np.array([0, 1, 1, 1], np.float32), np.array([3, 1, 1, 1], np.float32)

    assert RMSE.value(targets, values) == pytest.approx(1.5)
    assert MAE.value(targets, values) == pytest.approx(0.75)


def test_the_confusion_matrix_has_true_classes_as_rows_and_predicted_ones_as_columns():
    targets, predicted = np.array([0, 0, 2, 2]), np.array([0, 2, 2, 0])

    assert confusion_matrix(targets, predicted, 3).tolist() == [[1, 0, 1], [0, 0, 0], [1, 0, 1]]
    assert confusion_matrix(targets[:0], predicted[:0], 2).tolist() == [[0, 0], [0, 0]]
