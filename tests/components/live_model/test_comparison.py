"""Candidate and live version on the same test rows: computed and recorded metrics, and the paired comparison."""

from dataclasses import replace

import numpy as np
import pytest

from components.artifact_files import PREDICTIONS
from components.evaluator import definition
from components.live_model.comparable import LiveModel
from components.live_model.comparison import Candidate, LiveComparison, SameRowsMetrics
from models.evaluation.predictions import Predictions
from tests.components.live_model.homes import BEFORE, COLUMNS, Home, changed, synthetic_rows
from tests.data.corpus import csv_text
from tests.models.evaluation.stored import store

pytestmark = pytest.mark.slow  # loads TensorFlow and TFX

KINDS = ("cat", "dog", "ant")


class Comparisons:
    """Comparisons of candidates, whose predictions are stored, with a live version that is always right."""

    def __init__(self, folder, settings: dict):
        self.home = Home(folder)
        self.live = self.home.publish(BEFORE)
        kinds = settings["features"]["kind"]["classes"]
        (folder / "rows.csv").write_text(csv_text(synthetic_rows(90, tuple(kinds)), COLUMNS))
        self.shared_rows, rows, self.spec = self.home.shared_rows(self.live, settings)
        self.targets = np.array([row["kind"] for row in rows])
        self.folder = folder

    def of(
        self,
        outputs: np.ndarray,
        groups: np.ndarray | None = None,
        weights: np.ndarray | None = None,
        **recorded,
    ) -> LiveComparison:
        """Returns the comparison of a candidate with these outputs; `recorded` changes the recorded evaluation."""
        folder = self.folder / f"evaluation-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        store(PREDICTIONS.path(folder), Predictions(self.targets, outputs, groups, weights))
        config = self.home.task.config()
        metrics = {
            "data_digest": "of the rows",
            "definition": definition(config, self.spec),
            "slices": {"overall": {"example_count": float(len(self.targets)), "accuracy": 0.25}},
        }
        candidate = Candidate(
            saved_model="", metrics=metrics, evaluation=folder, task=self.home.task, config=config, spec=self.spec
        )
        evaluation = {**metrics, "slices": {"overall": {"accuracy": 0.125}}, **recorded}
        live = LiveModel(self.live.version, self.live.folder, {**self.live.manifest, "evaluation": evaluation})
        return LiveComparison(live, self.shared_rows, candidate)

    def metric(self, name: str):
        return self.home.task.config().compared(self.spec)[name]


@pytest.fixture(scope="module")
def same(tmp_path_factory) -> Comparisons:
    folder = tmp_path_factory.mktemp("same")
    (folder / "rows.csv").write_text(csv_text(synthetic_rows(), COLUMNS))
    return Comparisons(folder, BEFORE)


def all_cats(comparisons: Comparisons, num_classes: int = 2) -> np.ndarray:
    """Returns outputs of a model that predicts the first class for every row."""
    return np.eye(num_classes)[np.zeros(len(comparisons.targets), int)]


def test_recorded_metrics_of_the_same_rows_and_definition_are_used(same):
    metrics = same.of(all_cats(same)).same_rows(is_judged=True)

    assert metrics.live == {"accuracy": 0.125}
    assert metrics.candidate["accuracy"] == 0.25  # as in its evaluation
    assert metrics.num_rows == metrics.num_test_rows == len(same.targets)
    assert metrics.is_judged
    assert metrics.notes() == []


def test_recorded_metrics_of_other_rows_or_another_definition_are_computed_again(same):
    outputs, current = all_cats(same), definition(same.home.task.config(), same.spec)
    changes = [
        {"data_digest": "of other rows"},
        {"definition": {}},
        {"definition": {**current, "version": current["version"] - 1}},
        {"definition": {**current, "metrics": current["metrics"][:-1]}},
        {"definition": {**current, "slices": [*current["slices"], "size"]}},
    ]

    for recorded in changes:
        assert same.of(outputs, **recorded).same_rows(is_judged=True).live["accuracy"] == 1.0, recorded


def test_recorded_metrics_are_not_used_where_the_live_version_has_other_inputs(same):
    comparison = same.of(all_cats(same))
    comparison._shared_rows = replace(same.shared_rows, is_as_stored=False)

    assert comparison.same_rows(is_judged=True).live["accuracy"] == 1.0


def test_rows_of_a_group_count_as_one_in_the_paired_comparison(same):
    accuracy, count = same.metric("accuracy"), len(same.targets)

    ungrouped = same.of(all_cats(same)).paired(accuracy)
    pairs = same.of(all_cats(same), (np.arange(count) // 2).astype(np.int32)).paired(accuracy)
    one_group = same.of(all_cats(same), np.zeros(count, np.int32)).paired(accuracy)

    assert ungrouped.verdict == "loses to"
    assert ungrouped.high < 0
    assert (pairs.low, pairs.high) != (ungrouped.low, ungrouped.high)
    assert (one_group.low, one_group.high, one_group.verdict) == (-np.inf, np.inf, "ties with")
    assert one_group.sentence().endswith("1.0000 (the difference is not known)")


def test_rows_count_by_their_weights_in_both_models(same):
    outputs, accuracy = all_cats(same), same.metric("accuracy")
    is_cat = outputs.argmax(axis=1) == same.targets
    weights = np.where(is_cat, 3.0, 1.0)
    comparison = same.of(outputs, weights=weights, data_digest="of other rows")

    paired, live = comparison.paired(accuracy), comparison.same_rows(is_judged=True).live

    assert paired.candidate == pytest.approx(3 * is_cat.sum() / weights.sum())
    assert (paired.published, live["accuracy"]) == (1.0, 1.0)
    assert paired.candidate > same.of(outputs).paired(accuracy).candidate


def test_a_candidate_without_a_finite_value_loses(same):
    outputs = all_cats(same)
    outputs[3] = np.nan

    paired = same.of(outputs).paired(same.metric("auc"))

    assert paired.verdict == "loses to"
    assert paired.sentence() == (
        f"auc: the candidate loses to version {same.live.version}, no finite value and 1.0000 "
        "(the difference is not known)"
    )


def test_both_are_compared_on_the_rows_that_both_can_predict(tmp_path):
    """The candidate has a third class, whose rows are left out."""
    (tmp_path / "rows.csv").write_text(csv_text(synthetic_rows(), COLUMNS))
    three_classes = {"size": "number", "weight": "number", "kind": {"kind": "label", "classes": list(KINDS)}}
    comparisons = Comparisons(tmp_path, changed(three_classes))
    targets, comparison = comparisons.targets, comparisons.of(all_cats(comparisons, 3))

    same_rows = comparison.same_rows(is_judged=False)
    paired = comparison.paired(comparisons.metric("accuracy"))

    num_known = int((targets < 2).sum())
    assert (same_rows.num_rows, same_rows.num_test_rows) == (num_known, len(targets))
    assert same_rows.live["accuracy"] == 1.0
    assert same_rows.candidate["accuracy"] == paired.candidate
    assert same_rows.live["example_count"] == same_rows.candidate["example_count"] == num_known
    assert paired.published == 1.0
    assert paired.candidate == pytest.approx((targets == 0).sum() / num_known)
    assert paired.verdict == "loses to"
    compared_note, reported_note = same_rows.notes()
    assert compared_note.startswith(
        f"version {comparisons.live.version} was compared on {num_known} of {len(targets)} test rows"
    )
    assert "follow another rule" in reported_note


def test_a_note_lists_the_columns_that_the_live_version_lacks():
    metrics = SameRowsMetrics(
        version=7, live={}, candidate={}, num_rows=5, num_test_rows=5, missing_columns=("size", "height")
    )

    assert metrics.notes() == ["version 7 predicted without size, height, which the data has no longer"]
