"""Which rule the rows of a class follow, and whether splits are those of the live version."""

from pathlib import Path

import pytest

from components.live_model.comparable import LiveModel, split_plan
from data import local
from data.config import DataConfig
from tests.data.corpus import csv_text

CLASSES = ["ok", "fraud", "theft"]


def _dataset(folder: Path, frauds: int, **settings):
    rows = [{"x": i, "label": "fraud" if i < frauds else "theft" if i < frauds + 9 else "ok"} for i in range(600)]
    (folder / "rows.csv").write_text(csv_text(rows, ["x", "label"]))
    features = {"x": "number", "label": {"kind": "label", "classes": CLASSES}}
    return local.dataset(
        DataConfig.model_validate({"files": "rows.csv", "features": features, **settings}), "mine", folder
    )


def _live(dataset, plan: dict, classes: list[str]) -> LiveModel:
    features = {"label": {"kind": "label", "classes": classes}}
    return LiveModel(1, Path(), {"split": dataset.rule(), "split_plan": plan, "spec": {"features": features}})


@pytest.mark.parametrize(
    ("frauds", "stratified", "known", "found"),
    [
        (20, None, [], ["fraud", "theft"]),  # nothing is live
        (20, ["fraud", "theft"], CLASSES, ["fraud", "theft"]),
        (200, ["fraud", "theft"], CLASSES, ["fraud", "theft"]),  # has grown
        (20, ["theft"], CLASSES, ["theft"]),  # has shrunk
        (20, ["theft"], ["ok", "theft"], ["fraud", "theft"]),  # is new
        (20, [], CLASSES, []),  # was published when no class was stratified
    ],
)
def test_a_class_keeps_its_rule_while_a_live_version_knows_it(tmp_path, frauds, stratified, known, found):
    dataset = _dataset(tmp_path, frauds)
    live = None
    if stratified is not None:
        live = _live(dataset, {"stratified": {"label": stratified}} if stratified else {}, known)

    assert split_plan(live, dataset).get("stratified", {}).get("label", []) == found


def test_a_version_with_splits_by_another_rule_binds_no_class(tmp_path):
    live = _live(_dataset(tmp_path, 20, splits={"test": 0.2}), {}, CLASSES)

    assert split_plan(live, _dataset(tmp_path, 20)) == {"stratified": {"label": ["fraud", "theft"]}}


@pytest.mark.parametrize(("validation", "is_same"), [(480, True), (540, True), (541, False)])
def test_by_time_all_test_rows_are_newer_than_what_the_live_version_learned_from(tmp_path, validation, is_same):
    dataset = _dataset(tmp_path, 20, roles={"time": "x"})
    plan = {"time": {"kind": "number", "starts": {"validation": validation, "test": 570}}}
    live = _live(dataset, plan, CLASSES)

    assert split_plan(live, dataset) == {"time": {"kind": "number", "starts": {"validation": 480.0, "test": 540.0}}}
    assert live.has_rule(dataset.rule(), split_plan(live, dataset)) == is_same
