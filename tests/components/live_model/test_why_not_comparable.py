"""After a change of a pipeline: why there is no comparison with the live version, and no warm start from it."""

import pytest

from components.live_model.comparable import LiveModel, why_no_warm_start, why_not_comparable
from data.columnar import file_rows
from data.errors import ServingError
from tests.components.live_model.homes import BEFORE, COLUMNS, LABEL, changed, synthetic_rows
from tests.data.corpus import csv_text

pytestmark = pytest.mark.slow  # loads TensorFlow and TFX

OTHER_CLASSES = {**BEFORE["features"], "kind": {"kind": "label", "classes": ["ant", "bee"]}}
OTHER_TARGET = changed({"size": "target", "weight": "number"}, ignore=["kind"])


def test_features_that_another_release_wrote_are_an_error_in_one_sentence(home):
    live = home.publish(BEFORE)
    manifest = {**live.manifest, "spec": {**live.manifest["spec"], "unit": "EUR"}}

    with pytest.raises(ServingError, match=r"cannot be read .*--set evaluate.against_live=never"):
        LiveModel(live.version, live.folder, manifest).inputs()


@pytest.mark.parametrize(
    ("columns", "settings", "task", "reason"),
    [
        (["size", "mass", "kind"], changed({"size": "number", "mass": "number", "kind": LABEL}), None,
         "takes the column weight, which the data does not have"),
        (COLUMNS, changed(OTHER_CLASSES), None, "has none of the classes ant, bee"),
        (COLUMNS, BEFORE, "text_classification", "is of task tabular_classification, this one of text_classification"),
        (COLUMNS, OTHER_TARGET, None, "predicts kind, this one size"),
    ],
    ids=["renamed", "other classes", "other task", "other target"],
)  # fmt: skip
def test_a_candidate_that_cannot_be_compared_is_refused_before_training(home, columns, settings, task, reason):
    live = home.publish(BEFORE)
    rows = [{**row, "mass": row["weight"]} for row in synthetic_rows()]
    (home.folder / "rows.csv").write_text(csv_text(rows, columns))
    _, dataset = home.load(settings)

    why_not = why_not_comparable(live, task or "tabular_classification", dataset, is_compared=True)

    assert why_not.startswith(f"version {live.version}, which is live, {reason}; ")
    assert why_not.endswith("--set evaluate.against_live=never.")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (BEFORE, ""),
        (changed({"size": "number", "kind": LABEL}, ignore=["weight"]), "it takes other columns"),
        (changed({"weight": "number", "size": "number", "kind": LABEL}), "it takes other columns"),
        (changed(splits={"test": 0.2}), "its splits follow another rule"),
    ],
    ids=["the same", "column dropped", "another order", "other shares"],
)
def test_a_warm_start_needs_the_same_columns_and_splits(home, settings, reason):
    live = home.publish(BEFORE)

    assert why_no_warm_start(live, home.load(settings)[1], {}) == reason


def test_a_version_split_by_an_older_rule_gives_no_warm_start_and_judges_no_candidate(home, monkeypatch):
    monkeypatch.setattr(file_rows, "RULE_VERSION", file_rows.RULE_VERSION - 1)
    live = home.publish(BEFORE)
    monkeypatch.undo()
    _, dataset = home.load(BEFORE)

    assert why_no_warm_start(live, dataset, {}) == "its splits follow another rule"
    assert not live.has_rule(dataset.rule(), {})  # so a regression is reported and stops no run


def test_a_missing_column_is_no_reason_where_nothing_is_compared(home):
    live = home.publish(BEFORE)
    (home.folder / "rows.csv").write_text(csv_text(synthetic_rows(), ["size", "kind"]))
    _, dataset = home.load(changed({"size": "number", "kind": LABEL}))

    assert why_not_comparable(live, "tabular_classification", dataset, is_compared=False) == ""
