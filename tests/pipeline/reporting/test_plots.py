import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from models.evaluation.predictions import Predictions
from pipeline.reporting import plots


def _points(chart: plots.Chart, gid: str) -> list[tuple[float, float]]:
    """Returns the points of a drawn line, in the picture's own units."""
    root = ElementTree.fromstring(chart.svg)
    (group,) = (one for one in root.iter("{http://www.w3.org/2000/svg}g") if one.get("id") == gid)
    words = group.find("{http://www.w3.org/2000/svg}path").get("d").replace("M", " ").replace("L", " ").split()
    numbers = list(map(float, words))
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_curves_have_a_point_an_epoch_at_the_height_of_its_value():
    chart = plots.learning({"loss": [1.0, 0.5, 0.25], "val_loss": [1.0, 0.75, 0.75]})

    training, validation = _points(chart, "curve-loss"), _points(chart, "curve-val_loss")
    assert len(training) == len(validation) == 3
    assert training[0] == pytest.approx(validation[0], abs=1e-3)
    # SVG counts downwards: from 1.0 to 0.5 is twice as far as from 1.0 to 0.75.
    fallen = [training[1][1] - training[0][1], validation[1][1] - validation[0][1]]
    assert fallen[0] == pytest.approx(2 * fallen[1], rel=1e-3)
    assert chart.columns == ["epoch", "loss", "val_loss"]
    assert chart.rows == [[1, 1.0, 1.0], [2, 0.5, 0.75], [3, 0.25, 0.75]]


def test_no_history_is_no_chart():
    assert plots.learning({}) is None
    assert plots.confusion(np.zeros((2, 2), int), ("a", "b")) is None
    assert plots.by_slice({"overall": {"accuracy": 1.0}}, "accuracy") is None
    assert plots.over_runs("accuracy", [["a", 1.0, None, None]]) is None


def test_the_confusion_matrix_names_what_is_confused_most():
    chart = plots.confusion(np.array([[5, 3, 0], [1, 6, 0], [0, 0, 7]]), ("cat", "dog", "cow"))

    assert chart.rows == [["cat", "dog", 3], ["dog", "cat", 1]]
    assert chart.alt.startswith("Most frequent: cat taken for dog 3 times")


def test_reliability_bins_are_worked_out_by_hand():
    values = np.array([[0.95, 0.05], [0.9, 0.1], [0.45, 0.55], [0.55, 0.45]], np.float32)
    answers = Predictions(np.array([0, 1, 1, 0]), values)

    bins = plots.reliability_bins(answers)

    # Of 15 bins 0.55 lies in the 9th, 0.9 in the 14th, 0.95 in the 15th.
    assert [(round(one[0] * 15), one[3], one[4]) for one in bins] == [(8, 1.0, 2), (13, 0.0, 1), (14, 1.0, 1)]


def test_average_precision_of_a_perfect_and_a_reversed_order():
    perfect = Predictions(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]]))
    reversed_ = Predictions(np.array([1, 0, 0]), np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]]))

    assert plots.precision_recall(perfect, ("no", "yes"))["yes"][2] == 1.0
    assert plots.precision_recall(reversed_, ("no", "yes"))["yes"][2] == pytest.approx(1 / 3)


def test_a_class_that_the_test_split_lacks_has_no_curve():
    answers = Predictions(np.array([0, 1, 1]), np.eye(3)[[0, 1, 1]])

    assert set(plots.precision_recall(answers, ("a", "b", "never"))) == {"a", "b"}
    assert plots.precision_recall(Predictions(np.array([0, 0]), np.eye(2)[[0, 0]]), ("no", "yes")) == {}


def test_slices_come_worst_first_with_their_intervals():
    slices = {"overall": {"accuracy": 0.8}, "a": {"accuracy": 0.9, "example_count": 10.0}}
    chart = plots.by_slice({**slices, "b": {"accuracy": 0.8, "example_count": 10.0}}, "accuracy")

    assert [row[0] for row in chart.rows] == ["b", "a"]
    assert chart.rows[0][2:4] == pytest.approx([0.4902, 0.9433], abs=1e-4)


def test_colours_are_the_pages_own_and_text_is_text():
    chart = plots.learning({"loss": [1.0, 0.5]})

    assert plots.INK not in chart.svg
    assert "currentColor" in chart.svg
    assert ">training</text>" in chart.svg


def test_dollar_signs_and_markup_in_names_are_drawn_as_they_are():
    chart = plots.class_shares({"train": {"$5 <b>": 3, "a_b^c$": 1}})

    assert "&lt;b&gt;" in chart.svg
    assert "$5" in chart.svg


def test_differences_stand_with_their_intervals():
    chart = plots.deltas("accuracy", [["b", 0.1, 0.05, 0.15], ["c", -0.1, None, None], ["d", None, None, None]])

    assert chart.rows == [["b", 0.1, 0.05, 0.15], ["c", -0.1, None, None]]
