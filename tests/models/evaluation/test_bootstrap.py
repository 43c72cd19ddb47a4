import numpy as np
import pytest

from data.spec import DatasetSpec, LabelFeature
from models.evaluation.bootstrap import paired_bootstrap
from models.evaluation.metrics import classification_metrics, regression_metrics


def test_the_bootstrap_tells_better_from_equal_and_worse():
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 2, 400)
    good, poor = (np.eye(2)[np.where(generator.random(400) < right, targets, 1 - targets)] for right in (0.95, 0.7))
    metric = classification_metrics(
        DatasetSpec(name="x", title="", licence="", features={"y": LabelFeature(classes=("a", "b"))})
    )

    beats = paired_bootstrap(metric["accuracy"], targets, good, poor, seed=0)
    ties = paired_bootstrap(metric["accuracy"], targets, good, good, seed=0)
    loses = paired_bootstrap(metric["accuracy"], targets, poor, good, seed=0)

    assert beats.verdict == "beats"
    assert 0.1 < beats.low < beats.difference < beats.high < 0.4
    assert (ties.verdict, ties.difference) == ("ties with", 0.0)
    assert loses.verdict == "loses to"
    assert loses.difference == pytest.approx(-beats.difference)


def test_less_is_better_where_it_is_an_error():
    targets = np.arange(50.0)
    interval = paired_bootstrap(regression_metrics()["rmse"], targets, targets + 1, targets + 3, seed=0)

    assert interval.difference == pytest.approx(2.0)
    assert interval.verdict == "beats"
