"""Which rule the rows of a class follow, and whether splits are those of the live version."""

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


def test_the_rows_that_the_live_version_was_tested_on_are_known_by_their_digest():
    """Also where an older release published it, which wrote no rule down."""
    live = LiveModel(7, Path(), {"evaluation": {"data_digest": "rows"}})

    assert live.was_tested_on("rows")
    assert not live.was_tested_on("others")
    assert not live.has_rule({"version": 3}, {})
    assert not LiveModel(7, Path(), {}).was_tested_on("rows")


IMAGE = {"kind": "image", "height": 8, "width": 6, "channels": 1}
LABEL = {"kind": "label", "classes": ["cat", "dog"]}


def spec_of(**features) -> DatasetSpec:
    facts = {"name": "animals", "title": "", "licence": "", "features": {**features, "kind": LABEL} | features}
    return DatasetSpec.model_validate(facts)


def live_of(**features) -> LiveModel:
    """Returns a live version of data with these features."""
    return LiveModel(7, Path(), {"task": "any", "spec": spec_of(**features).model_dump(mode="json")})


@pytest.mark.parametrize(
    ("before", "after", "takes"),
    [
        ({"kind": "number"}, {"kind": "number"}, True),
        ({"kind": "number"}, {"kind": "number", "max": 9.0}, True),
        ({"kind": "number"}, {"kind": "category"}, False),
        ({"kind": "number"}, {"kind": "number", "optional": True}, False),  # rows without it cannot be asked about
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
def test_stored_values_are_taken_where_they_are_stored_alike(before, after, takes):
    assert takes_stored(live_of(x=before), spec_of(x=after)) == takes


def test_an_input_that_is_gone_is_no_obstacle_where_it_is_optional():
    for optional in (True, False):
        live = live_of(x={"kind": "number"}, y={"kind": "number", "optional": optional})
        assert takes_stored(live, spec_of(x={"kind": "number"}), missing=("y",)) == optional


@pytest.mark.parametrize(
    ("classes", "indices", "told"),
    [
        (["dog", "cat"], [1, 0], ""),
        (["ant", "dog"], [-1, 1], ""),  # one in common is enough
        (["ant", "bee"], [-1, -1], "version 7, which is live, has none of the classes ant, bee; "),
    ],
)
def test_classes_of_the_live_version_are_found_by_name(classes, indices, told):
    live, spec = live_of(x={"kind": "number"}), spec_of(x={"kind": "number"}, kind={**LABEL, "classes": classes})
    dataset = Dataset(spec=spec, digest=str, sources={})

    found = why_not_comparable(live, "any", dataset, is_compared=True)

    assert live_class_indices(live, spec) == indices
    assert found.startswith(told)
    assert bool(found) == bool(told)


def test_inputs_that_the_data_has_no_longer_are_those_without_a_column():
    live = live_of(x={"kind": "number"}, y={"kind": "number"})
    spec = spec_of(x={"kind": "number"})

    assert missing_inputs(live, Dataset(spec=spec, digest=str, sources={})) == ("y",)
    assert missing_inputs(live, Dataset(spec=spec, digest=str, sources={}, columns=lambda: ["x", "y", "kind"])) == ()
