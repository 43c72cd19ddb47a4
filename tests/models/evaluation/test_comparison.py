import numpy as np
import pytest

from data.spec import DatasetSpec, LabelFeature
from models.evaluation.comparison import accuracy, auc, f1, mae, of_classes, paired_bootstrap, rmse

ONES = np.ones(4)
TARGETS = np.array([0, 0, 1, 1])
SCORES = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.6, 0.4]])


def test_metrics_of_classes_by_hand():
    # Predicted are 0, 1, 1, 0. Of four pairs of classes, 0.1 lies below 0.7 and 0.4, and 0.6 below 0.7.
    assert accuracy(TARGETS, SCORES, ONES) == 0.5
    assert auc(TARGETS, SCORES, ONES) == pytest.approx(3 / 4)
    assert f1(TARGETS, SCORES, ONES) == pytest.approx(2 * 1 / (2 + 2))


def test_a_weight_counts_a_row_as_often():
    weights = np.array([2, 0, 1, 0])

    assert accuracy(TARGETS, SCORES, weights) == 1.0
    assert auc(TARGETS, SCORES, weights) == 1.0
    assert auc(TARGETS, SCORES, np.array([1, 1, 0, 0])) == 0.5  # one class only
    assert rmse(np.array([0.0, 1.0]), np.array([3.0, 1.0]), np.array([1, 3])) == pytest.approx(1.5)
    assert mae(np.array([0.0, 1.0]), np.array([3.0, 1.0]), np.array([1, 3])) == pytest.approx(0.75)


def test_the_bootstrap_tells_better_from_equal_and_worse():
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 2, 400)
    good, poor = (np.eye(2)[np.where(generator.random(400) < right, targets, 1 - targets)] for right in (0.95, 0.7))
    metric = of_classes(DatasetSpec(name="x", title="", licence="", features={"y": LabelFeature(classes=("a", "b"))}))

    beats = paired_bootstrap(metric["accuracy"], targets, good, poor, seed=0)
    ties = paired_bootstrap(metric["accuracy"], targets, good, good, seed=0)
    loses = paired_bootstrap(metric["accuracy"], targets, poor, good, seed=0)

    assert beats.verdict == "beats"
    assert 0.1 < beats.low < beats.difference < beats.high < 0.4
    assert (ties.verdict, ties.difference) == ("ties with", 0.0)
    assert loses.verdict == "loses to"
    assert loses.difference == pytest.approx(-beats.difference)


def test_less_is_better_where_it_is_an_error():
    from models.evaluation.comparison import of_numbers

    targets = np.arange(50.0)
    interval = paired_bootstrap(of_numbers()["rmse"], targets, targets + 1, targets + 3, seed=0)

    assert interval.difference == pytest.approx(2.0)
    assert interval.verdict == "beats"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("require", "passing"),
    [("beat", {"beats"}), ("tie", {"beats", "ties with"}), ("report", {"beats", "ties with", "loses to"})],
)
def test_the_gate_asks_for_as_much_as_the_settings(require, passing):
    from components.baseline import check
    from data.errors import ModelError

    for verdict in ("beats", "ties with", "loses to"):
        if verdict in passing:
            check(verdict, require, "accuracy: ...")
        else:
            with pytest.raises(ModelError, match=f"baseline.require is {require}"):
                check(verdict, require, "accuracy: ...")


def test_no_more_rows_are_read_than_the_candidate_with_most_learns_from():
    from sklearn.dummy import DummyClassifier

    from components.classical import drawn
    from models.evaluation.comparison import Candidate

    def limited(*limits):
        return [Candidate(DummyClassifier(), "none", limit) for limit in limits]

    kept = drawn(limited(10, 30, 20), rows=100, seed=1)

    assert len(kept) == len(set(kept.tolist())) == 30
    assert kept.tolist() == sorted(kept.tolist())
    assert kept.max() < 100
    np.testing.assert_array_equal(kept, drawn(limited(10, 30, 20), rows=100, seed=1))
    assert drawn(limited(10, None), rows=100, seed=1) is None
    assert drawn(limited(10, 30), rows=30, seed=1) is None


def test_kept_rows_are_those_of_the_split(tmp_path):
    from components.classical import read_frame
    from components.example_gen import write_splits
    from data.spec import SPLITS
    from tests.models.tiny import rows_of, spec_of

    spec = spec_of("tabular_classification")
    rows = rows_of("tabular_classification", 40, 0)
    write_splits(((split, row) for split in SPLITS for row in rows), spec, tmp_path)

    whole = read_frame(str(tmp_path), "train", spec)
    some = read_frame(str(tmp_path), "train", spec, np.array([0, 7, 39]))

    assert some["lambda"].tolist() == whole["lambda"].iloc[[0, 7, 39]].tolist()
