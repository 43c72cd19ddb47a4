import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from pipeline.reporting import plots
from pipeline.reporting.facts import Facts
from pipeline.reporting.formatting import Measured


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
    assert plots.by_slice(Facts(evaluation={"slices": {"overall": {"accuracy": 1.0}}}), "accuracy", False) is None
    assert plots.over_runs("accuracy", [("a", Measured(1.0))]) is None


def test_the_confusion_matrix_names_what_is_confused_most():
    chart = plots.confusion(np.array([[5, 3, 0], [1, 6, 0], [0, 0, 7]]), ("cat", "dog", "cow"))

    assert chart.rows == [["cat", "dog", 3], ["dog", "cat", 1]]
    assert chart.alt.startswith("Most frequent: cat taken for dog 3 times")


def test_slices_come_worst_first_with_the_intervals_that_are_stored():
    slices = {"overall": {"accuracy": 0.8}, "a": {"accuracy": 0.9, "example_count": 10.0}, "b": {"accuracy": 0.8}}
    found = Facts(evaluation={"slices": slices, "intervals": {"a": {"accuracy": [0.6, 0.98]}}})

    chart = plots.by_slice(found, "accuracy", False)

    assert chart.rows == [["b", Measured(0.8), 0], ["a", Measured(0.9, [0.6, 0.98]), 10]]
    assert chart.alt == "Worst: b 0.8000; a 0.90 (0.60 to 0.98)."
    assert [row[0] for row in plots.by_slice(found, "accuracy", True).rows] == ["a", "b"]


def test_of_equal_names_when_cut_each_slice_has_its_bar():
    slices = {f"name={'x' * 50}{end}": {"accuracy": 0.5} for end in "ab"}

    chart = plots.by_slice(Facts(evaluation={"slices": slices}), "accuracy", False)

    assert len(chart.rows) == chart.svg.count("ytick_") == 2


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
    measured = [Measured(0.1, (0.05, 0.15)), Measured(-0.1), Measured(None)]

    chart = plots.deltas("accuracy", list(zip("bcd", measured, strict=True)))

    assert chart.rows == [("b", measured[0]), ("c", measured[1])]
    assert chart.alt == "b +0.100; c -0.1000."


def test_letters_that_the_font_lacks_are_drawn_without_a_warning():
    """The tests take warnings for errors."""
    chart = plots.confusion(np.array([[3, 1], [0, 2]]), ("低", "中等"))

    assert "中等" in chart.svg


def test_one_epoch_is_one():
    assert plots.learning({"loss": [0.5]}).alt.startswith("1 epoch; ")
    assert plots.learning({"loss": [0.5, 0.25]}).alt.startswith("2 epochs; ")
