"""The split rule of a class, rules of the live version's splits, and inputs and classes in common."""

from pathlib import Path

import pytest

from components.live_model.comparable import (
    LiveModel,
    live_class_indices,
    missing_inputs,
    split_plan,
    takes_stored,
    why_not_comparable,
)
from data import local
from data.config import DataConfig
from data.spec import Dataset, DatasetSpec
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
    ("frauds", "live_stratified", "live_classes", "expected"),
    [
        (20, None, [], ["fraud", "theft"]),  # nothing is live
        (20, ["fraud", "theft"], CLASSES, ["fraud", "theft"]),
        (200, ["fraud", "theft"], CLASSES, ["fraud", "theft"]),  # has grown
        (20, ["theft"], CLASSES, ["theft"]),  # has shrunk
        (20, ["theft"], ["ok", "theft"], ["fraud", "theft"]),  # is new
        (20, [], CLASSES, []),  # was published when no class was stratified
    ],
)
def test_a_class_of_the_live_version_keeps_its_split_rule(tmp_path, frauds, live_stratified, live_classes, expected):
    dataset = _dataset(tmp_path, frauds)
    live = None
    if live_stratified is not None:
        live = _live(dataset, {"stratified": {"label": live_stratified}} if live_stratified else {}, live_classes)

    assert split_plan(live, dataset).get("stratified", {}).get("label", []) == expected


def test_no_class_keeps_the_rule_of_a_version_with_other_splits(tmp_path):
    live = _live(_dataset(tmp_path, 20, splits={"test": 0.2}), {}, CLASSES)

    assert split_plan(live, _dataset(tmp_path, 20)) == {"stratified": {"label": ["fraud", "theft"]}}


@pytest.mark.parametrize(("validation", "is_same"), [(480, True), (540, True), (541, False)])
def test_splits_by_time_agree_if_all_test_rows_are_newer_than_the_live_versions_training_rows(
    tmp_path, validation, is_same
):
    dataset = _dataset(tmp_path, 20, roles={"time": "x"})
    plan = {"time": {"kind": "number", "starts": {"validation": validation, "test": 570}}}
    live = _live(dataset, plan, CLASSES)

    assert split_plan(live, dataset) == {"time": {"kind": "number", "starts": {"validation": 480.0, "test": 540.0}}}
    assert live.has_rule(dataset.rule(), split_plan(live, dataset)) == is_same


def test_the_test_split_of_the_live_version_is_recognised_by_its_digest():
    """Also of a version that an older release published, whose manifest has no split rule."""
    live = LiveModel(7, Path(), {"evaluation": {"data_digest": "rows"}})

    assert live.was_tested_on("rows")
    assert not live.was_tested_on("others")
    assert not live.has_rule({"version": 3}, {})
    assert not LiveModel(7, Path(), {}).was_tested_on("rows")


IMAGE = {"kind": "image", "height": 8, "width": 6, "channels": 1}
LABEL = {"kind": "label", "classes": ["cat", "dog"]}


def spec_of(**features) -> DatasetSpec:
    values = {"name": "animals", "title": "", "licence": "", "features": {**features, "kind": LABEL} | features}
    return DatasetSpec.model_validate(values)


def live_of(**features) -> LiveModel:
    """Returns a live version trained on data with these features."""
    return LiveModel(7, Path(), {"task": "any", "spec": spec_of(**features).model_dump(mode="json")})


@pytest.mark.parametrize(
    ("before", "after", "takes"),
    [
        ({"kind": "number"}, {"kind": "number"}, True),
        ({"kind": "number"}, {"kind": "number", "max": 9.0}, True),
        ({"kind": "number"}, {"kind": "category"}, False),
        ({"kind": "number"}, {"kind": "number", "optional": True}, False),  # it cannot predict rows without it
        ({"kind": "number", "optional": True}, {"kind": "number"}, True),
        ({"kind": "number", "optional": True}, {"kind": "number", "optional": True}, True),
        ({"kind": "date", "format": "%Y"}, {"kind": "date", "format": "%Y"}, True),
        ({"kind": "date", "format": "%Y"}, {"kind": "date", "format": "%d.%m.%Y"}, False),
        (IMAGE, IMAGE, True),
        (IMAGE, {**IMAGE, "height": 7}, False),
        (IMAGE, {**IMAGE, "width": 7}, False),
        (IMAGE, {**IMAGE, "channels": 3}, False),
    ],
)
def test_the_live_version_takes_stored_values_of_the_same_type(before, after, takes):
    assert takes_stored(live_of(x=before), spec_of(x=after)) == takes


def test_the_data_may_lack_an_input_that_is_optional():
    for optional in (True, False):
        live = live_of(x={"kind": "number"}, y={"kind": "number", "optional": optional})
        assert takes_stored(live, spec_of(x={"kind": "number"}), missing=("y",)) == optional


@pytest.mark.parametrize(
    ("classes", "indices", "reason"),
    [
        (["dog", "cat"], [1, 0], ""),
        (["ant", "dog"], [-1, 1], ""),  # one in common is enough
        (["ant", "bee"], [-1, -1], "version 7, which is live, has none of the classes ant, bee; "),
    ],
)
def test_classes_of_the_live_version_are_matched_by_name(classes, indices, reason):
    live, spec = live_of(x={"kind": "number"}), spec_of(x={"kind": "number"}, kind={**LABEL, "classes": classes})
    dataset = Dataset(spec=spec, digest=str, sources={})

    why_not = why_not_comparable(live, "any", dataset, is_compared=True)

    assert live_class_indices(live, spec) == indices
    assert why_not.startswith(reason)
    assert bool(why_not) == bool(reason)


def test_missing_inputs_are_those_without_a_column():
    live = live_of(x={"kind": "number"}, y={"kind": "number"})
    spec = spec_of(x={"kind": "number"})

    assert missing_inputs(live, Dataset(spec=spec, digest=str, sources={})) == ("y",)
    assert missing_inputs(live, Dataset(spec=spec, digest=str, sources={}, columns=lambda: ["x", "y", "kind"])) == ()
