"""Candidate and live version on the same test rows: what is measured, what is taken as recorded, and who is better."""

from dataclasses import replace

import numpy as np
import pytest

from components.artifact_files import PREDICTIONS
from components.evaluator import definition
from components.live_model.comparable import LiveModel
from components.live_model.comparison import Candidate, LiveComparison, SameRowsMetrics
from models.evaluation.predictions import Predictions
from tests.components.live_model.homes import BEFORE, COLUMNS, Home, changed, made_rows
from tests.data.corpus import csv_text
from tests.models.evaluation.stored import store

pytestmark = pytest.mark.slow  # loads TensorFlow and TFX

KINDS = ("cat", "dog", "ant")


class Compared:
    """A candidate of the same classes whose predictions are stored, beside a live version that is always right."""

    def __init__(self, folder, settings: dict):
        self.home = Home(folder)
        self.live = self.home.publish(BEFORE)
        kinds = settings["features"]["kind"]["classes"]
        (folder / "rows.csv").write_text(csv_text(made_rows(90, tuple(kinds)), COLUMNS))
        self.question, rows, self.spec = self.home.ask(self.live, settings)
        self.targets = np.array([row["kind"] for row in rows])
        self.folder = folder

    def by(self, outputs: np.ndarray, groups: np.ndarray | None = None, **recorded) -> LiveComparison:
        """Returns the comparison of a candidate with these outputs, and with what was recorded of the live version."""
        folder = self.folder / f"evaluation-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        store(PREDICTIONS.path(folder), Predictions(self.targets, outputs, groups))
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
        return LiveComparison(live, self.question, candidate)

    def metric(self, name: str):
        return self.home.task.config().compared(self.spec)[name]


@pytest.fixture(scope="module")
def same(tmp_path_factory) -> Compared:
    folder = tmp_path_factory.mktemp("same")
    (folder / "rows.csv").write_text(csv_text(made_rows(), COLUMNS))
    return Compared(folder, BEFORE)


def all_cats(compared: Compared, num_classes: int = 2) -> np.ndarray:
    return np.eye(num_classes)[np.zeros(len(compared.targets), int)]


def test_what_was_recorded_of_the_same_rows_by_the_same_definition_is_taken(same):
    found = same.by(all_cats(same)).same_rows(is_judged=True)

    assert found.live == {"accuracy": 0.125}
    assert found.candidate["accuracy"] == 0.25  # as its evaluation has it
    assert found.num_rows == found.num_test_rows == len(same.targets)
    assert found.is_judged
    assert found.notes() == []


def test_of_other_rows_or_by_another_definition_the_live_version_is_measured_anew(same):
    outputs, today = all_cats(same), definition(same.home.task.config(), same.spec)
    others = [
        {"data_digest": "of other rows"},
        {"definition": {}},
        {"definition": {**today, "version": today["version"] - 1}},
        {"definition": {**today, "metrics": today["metrics"][:-1]}},
        {"definition": {**today, "slices": [*today["slices"], "size"]}},
    ]

    for recorded in others:
        assert same.by(outputs, **recorded).same_rows(is_judged=True).live["accuracy"] == 1.0, recorded


def test_what_was_recorded_is_not_taken_where_the_live_version_is_asked_otherwise(same):
    comparison = same.by(all_cats(same))
    comparison._shared_rows = replace(same.question, is_as_stored=False)

    assert comparison.same_rows(is_judged=True).live["accuracy"] == 1.0


def test_rows_of_a_group_count_as_one_beside_the_live_version(same):
    accuracy, count = same.metric("accuracy"), len(same.targets)

    alone = same.by(all_cats(same)).paired(accuracy)
    pairs = same.by(all_cats(same), (np.arange(count) // 2).astype(np.int32)).paired(accuracy)
    one = same.by(all_cats(same), np.zeros(count, np.int32)).paired(accuracy)

    assert alone.verdict == "loses to"
    assert alone.high < 0
    assert (pairs.low, pairs.high) != (alone.low, alone.high)
    assert (one.low, one.high, one.verdict) == (-np.inf, np.inf, "ties with")
    assert one.sentence().endswith("1.0000 (the difference is not known)")


def test_a_candidate_without_a_value_loses(same):
    outputs = all_cats(same)
    outputs[3] = np.nan

    found = same.by(outputs).paired(same.metric("auc"))

    assert found.verdict == "loses to"
    assert found.sentence() == (
        f"auc: the candidate loses to version {same.live.version}, no finite value and 1.0000 "
        "(the difference is not known)"
    )


def test_both_are_measured_and_compared_on_the_rows_that_both_are_asked_about(tmp_path):
    """The candidate knows a third class, which the live version is not asked about."""
    (tmp_path / "rows.csv").write_text(csv_text(made_rows(), COLUMNS))
    three = {"size": "number", "weight": "number", "kind": {"kind": "label", "classes": list(KINDS)}}
    compared = Compared(tmp_path, changed(three))
    targets, comparison = compared.targets, compared.by(all_cats(compared, 3))

    same_rows = comparison.same_rows(is_judged=False)
    paired = comparison.paired(compared.metric("accuracy"))

    known = int((targets < 2).sum())
    assert (same_rows.num_rows, same_rows.num_test_rows) == (known, len(targets))
    assert same_rows.live["accuracy"] == 1.0
    assert same_rows.candidate["accuracy"] == paired.candidate
    assert same_rows.live["example_count"] == same_rows.candidate["example_count"] == known
    assert paired.published == 1.0
    assert paired.candidate == pytest.approx((targets == 0).sum() / known)
    assert paired.verdict == "loses to"
    asked, reported = same_rows.notes()
    assert asked.startswith(f"version {compared.live.version} was compared on {known} of {len(targets)} test rows")
    assert "follow another rule" in reported


def test_columns_that_the_live_version_went_without_are_told():
    found = SameRowsMetrics(
        version=7, live={}, candidate={}, num_rows=5, num_test_rows=5, missing_columns=("size", "height")
    )

    assert found.notes() == ["version 7 predicted without size, height, which the data has no longer"]
