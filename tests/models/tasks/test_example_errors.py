"""The error by which a task finds its worst mistakes grows with how wrong a prediction is, by hand."""

import numpy as np
import pytest


def test_a_class_is_the_more_wrong_the_less_probable_the_truth():
    from models.tasks.classification import example_error

    targets = np.array([0, 0, 1, 1, 2])
    scores = np.array([[0.8, 0.1, 0.1], [0.25, 0.5, 0.25], [0.9, 0.1, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])

    errors = example_error(targets, scores.astype(np.float32))

    assert errors[0] == -np.inf  # right
    assert errors[1:] == pytest.approx([np.log(4), np.log(10), np.log(2), 12 * np.log(10)])


def test_a_number_is_as_wrong_as_it_is_far_from_the_truth():
    from models.tasks.tabular_regression.task import example_error

    errors = example_error(np.array([1.0, 1.0, -2.0], np.float32), np.array([1.0, 3.5, -6.0], np.float32))

    assert errors.tolist() == [0.0, 2.5, 4.0]


def test_an_item_is_as_wrong_as_its_rank_is_low():
    from models.tasks.recommendation.task import example_error

    assert example_error(np.array([4.0, 5.0]), np.array([[0.0, 3.0], [17.0, 5.0]])).tolist() == [0.0, 17.0]
