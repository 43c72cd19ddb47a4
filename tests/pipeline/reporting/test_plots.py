import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from pipeline.reporting import plots
from pipeline.reporting.facts import Facts
from pipeline.reporting.formatting import Measured


def _points(chart: plots.Chart, gid: str) -> list[tuple[float, float]]:
    """Returns the points `(x, y)` of a line in an SVG, in its units."""
    root = ElementTree.fromstring(chart.svg)
    (group,) = (element for element in root.iter("{http://www.w3.org/2000/svg}g") if element.get("id") == gid)
    coordinates = group.find("{http://www.w3.org/2000/svg}path").get("d").replace("M", " ").replace("L", " ").split()
    numbers = list(map(float, coordinates))
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def test_learning_curves_have_a_point_for_each_epoch_at_the_height_of_its_value():
    chart = plots.learning({"loss": [1.0, 0.5, 0.25], "val_loss": [1.0, 0.75, 0.75]})

    training, validation = _points(chart, "curve-loss"), _points(chart, "curve-val_loss")
    assert len(training) == len(validation) == 3
    assert training[0] == pytest.approx(validation[0], abs=1e-3)
    # In SVG y grows downwards; from 1.0 to 0.5 is twice as far as from 1.0 to 0.75.
    drops = [training[1][1] - training[0][1], validation[1][1] - validation[0][1]]
    assert drops[0] == pytest.approx(2 * drops[1], rel=1e-3)
    assert chart.columns == ["epoch", "loss", "val_loss"]
    assert chart.rows == [[1, 1.0, 1.0], [2, 0.5, 0.75], [3, 0.25, 0.75]]


def test_without_values_there_is_no_chart():
    assert plots.learning({}) is None
    assert plots.confusion(np.zeros((2, 2), int), ("a", "b")) is None
    assert plots.by_slice(Facts(evaluation={"slices": {"overall": {"accuracy": 1.0}}}), "accuracy", False) is None
    assert plots.over_runs("accuracy", [("a", Measured(1.0))]) is None


def test_the_confusion_matrix_lists_the_most_frequent_mistakes():
    chart = plots.confusion(np.array([[5, 3, 0], [1, 6, 0], [0, 0, 7]]), ("cat", "dog", "cow"))

    assert chart.rows == [["cat", "dog", 3], ["dog", "cat", 1]]
    assert chart.alt.startswith("Most frequent: cat taken for dog 3 times")


def test_slices_are_sorted_worst_first_with_their_stored_intervals():
    slices = {"overall": {"accuracy": 0.8}, "a": {"accuracy": 0.9, "example_count": 10.0}, "b": {"accuracy": 0.8}}
    run_facts = Facts(evaluation={"slices": slices, "intervals": {"a": {"accuracy": [0.6, 0.98]}}})

    chart = plots.by_slice(run_facts, "accuracy", False)

    assert chart.rows == [["b", Measured(0.8), 0], ["a", Measured(0.9, [0.6, 0.98]), 10]]
    assert chart.alt == "Worst: b 0.8000; a 0.90 (0.60 to 0.98)."
    assert [row[0] for row in plots.by_slice(run_facts, "accuracy", True).rows] == ["a", "b"]


def test_slices_whose_shortened_names_are_equal_have_a_bar_each():
    slices = {f"name={'x' * 50}{end}": {"accuracy": 0.5} for end in "ab"}

    chart = plots.by_slice(Facts(evaluation={"slices": slices}), "accuracy", False)

    assert len(chart.rows) == chart.svg.count("ytick_") == 2


def test_charts_use_the_pages_colours_and_text_elements():
    chart = plots.learning({"loss": [1.0, 0.5]})

    assert plots.INK not in chart.svg
    assert "currentColor" in chart.svg
    assert ">training</text>" in chart.svg


def test_dollar_signs_and_markup_in_names_are_drawn_as_they_are():
    chart = plots.class_shares({"train": {"$5 <b>": 3, "a_b^c$": 1}})

    assert "&lt;b&gt;" in chart.svg
    assert "$5" in chart.svg


def test_differences_have_their_intervals():
    measured = [Measured(0.1, (0.05, 0.15)), Measured(-0.1), Measured(None)]

    chart = plots.deltas("accuracy", list(zip("bcd", measured, strict=True)))

    assert chart.rows == [("b", measured[0]), ("c", measured[1])]
    assert chart.alt == "b +0.100; c -0.1000."


def test_letters_that_the_font_lacks_are_drawn_without_a_warning():
    """pytest turns warnings into errors."""
    chart = plots.confusion(np.array([[3, 1], [0, 2]]), ("低", "中等"))

    assert "中等" in chart.svg


def test_the_number_of_epochs_is_singular_or_plural():
    assert plots.learning({"loss": [0.5]}).alt.startswith("1 epoch; ")
    assert plots.learning({"loss": [0.5, 0.25]}).alt.startswith("2 epochs; ")
