"""A pipeline that changes: what stands against a comparison with the live version, or against its weights."""

import pytest

from components.live_model.comparable import LiveModel, why_no_warm_start, why_not_comparable
from data.columnar import file_rows
from data.errors import ServingError
from tests.components.live_model.homes import BEFORE, COLUMNS, LABEL, changed, made_rows
from tests.data.corpus import csv_text

pytestmark = pytest.mark.slow  # loads TensorFlow and TFX

OTHER_CLASSES = {**BEFORE["features"], "kind": {"kind": "label", "classes": ["ant", "bee"]}}
OTHER_TARGET = changed({"size": "target", "weight": "number"}, ignore=["kind"])


def test_a_version_that_another_release_published_is_told_in_a_sentence(home):
    live = home.publish(BEFORE)
    strange = {**live.manifest, "spec": {**live.manifest["spec"], "unit": "EUR"}}

    with pytest.raises(ServingError, match=r"cannot be read .*--set evaluate.against_live=never"):
        LiveModel(live.version, live.folder, strange).inputs()


@pytest.mark.parametrize(
    ("columns", "settings", "task", "told"),
    [
        (["size", "mass", "kind"], changed({"size": "number", "mass": "number", "kind": LABEL}), None,
         "takes the column weight, which the data does not have"),
        (COLUMNS, changed(OTHER_CLASSES), None, "has none of the classes ant, bee"),
        (COLUMNS, BEFORE, "text_classification", "is of task tabular_classification, this one of text_classification"),
        (COLUMNS, OTHER_TARGET, None, "predicts kind, this one size"),
    ],
    ids=["renamed", "other classes", "other task", "other target"],
)  # fmt: skip
def test_what_cannot_be_compared_is_told_before_training(home, columns, settings, task, told):
    live = home.publish(BEFORE)
    renamed = [{**row, "mass": row["weight"]} for row in made_rows()]
    (home.folder / "rows.csv").write_text(csv_text(renamed, columns))
    _, dataset = home.load(settings)

    found = why_not_comparable(live, task or "tabular_classification", dataset, is_compared=True)

    assert found.startswith(f"version {live.version}, which is live, {told}; ")
    assert found.endswith("--set evaluate.against_live=never.")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (BEFORE, ""),
        (changed({"size": "number", "kind": LABEL}, ignore=["weight"]), "it takes other columns"),
        (changed({"weight": "number", "size": "number", "kind": LABEL}), "it takes other columns"),
        (changed(splits={"test": 0.2}), "its splits follow another rule"),
    ],
    ids=["the same", "column dropped", "another order", "other shares"],
)
def test_weights_are_taken_over_where_columns_and_splits_are_the_same(home, settings, told):
    live = home.publish(BEFORE)

    assert why_no_warm_start(live, home.load(settings)[1], {}) == told


def test_what_an_older_rule_split_is_not_begun_with_and_not_judged_by(home, monkeypatch):
    monkeypatch.setattr(file_rows, "RULE_VERSION", file_rows.RULE_VERSION - 1)
    live = home.publish(BEFORE)
    monkeypatch.undo()
    _, dataset = home.load(BEFORE)

    assert why_no_warm_start(live, dataset, {}) == "its splits follow another rule"
    assert not live.has_rule(dataset.rule(), {})  # so the comparison is reported, not enforced


def test_where_nothing_is_compared_a_missing_column_is_no_obstacle(home):
    live = home.publish(BEFORE)
    (home.folder / "rows.csv").write_text(csv_text(made_rows(), ["size", "kind"]))
    _, dataset = home.load(changed({"size": "number", "kind": LABEL}))

    assert why_not_comparable(live, "tabular_classification", dataset, is_compared=False) == ""
