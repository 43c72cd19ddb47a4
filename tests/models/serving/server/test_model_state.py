"""Which versions are loaded and unloaded when, without loading any."""

from pathlib import Path

import pytest
from google.protobuf import text_format

from models.serving.protocol.model_configs import ModelConfig
from models.serving.protocol.statuses import Code, ServingStatus
from models.serving.server.model_state import AVAILABLE, END, LOADING, START, UNLOADING, ModelState

ONE, TWO, THREE = ({number: Path(f"/m/{number}") for number in range(1, last + 1)} for last in (1, 2, 3))


def model(inside: str = "") -> ModelState:
    return ModelState(text_format.Parse(f'name: "m" base_path: "/m" {inside}', ModelConfig()))


def states(one: ModelState) -> dict[int, int]:
    return {number: version.state for number, version in one.versions.items()}


def test_the_highest_wanted_version_is_loaded_first_and_one_that_waits_is_passed_over():
    found = model("model_version_policy { all {} }")
    found.follow(THREE)
    found.versions[3].not_before = 5.0

    assert found.start_loading(now=4.0) == (2, found.versions[2])
    assert states(found) == {1: START, 2: LOADING, 3: START}
    assert found.start_loading(now=6.0) == (3, found.versions[3])


def test_an_old_version_leaves_only_once_a_wanted_one_is_available():
    found = model()
    found.follow(ONE)
    found.versions[1].state = AVAILABLE
    found.follow(TWO)

    assert found.start_unloading() == []
    found.versions[2].state = AVAILABLE
    assert found.start_unloading() == [found.versions[1]]
    assert states(found) == {1: UNLOADING, 2: AVAILABLE}


def test_all_versions_leave_when_none_is_wanted():
    found = model()
    found.follow(ONE)
    found.versions[1].state = AVAILABLE

    found.leave()

    assert found.start_unloading() == [found.versions[1]]
    assert not found.config.base_path


def test_a_version_that_failed_is_not_tried_again_until_its_folder_was_away():
    found = model()
    found.follow(ONE)
    found.versions[1].state, found.versions[1].error = END, ServingStatus(Code.NOT_FOUND, "gone")

    found.follow(ONE)
    assert states(found) == {1: END}
    assert found.is_settled()
    assert found.failures() == ["{name: m version: 1} due to error: NOT_FOUND: gone"]
    found.follow({})
    assert states(found) == {}
    assert not found.is_settled()
    found.follow(ONE)
    assert states(found) == {1: START}


def test_a_load_that_is_not_wanted_any_more_is_given_up():
    found = model()
    found.follow(ONE)
    found.follow(TWO)

    found.give_up_unwanted()

    assert states(found) == {1: END, 2: START}


@pytest.mark.parametrize(("early", "labels", "is_refused"), [(False, {}, True), (True, {"stable": 2}, False)])
def test_a_label_points_to_a_version_that_is_not_available_only_where_it_may_come_early(early, labels, is_refused):
    found = model('version_labels { key: "stable" value: 2 }')
    found.follow(TWO)

    refusal = found.assign_labels(early=early)

    assert found.labels == labels
    assert (refusal is not None) == is_refused


def test_a_label_that_points_elsewhere_waits_for_its_version_even_where_it_may_come_early():
    found = model('version_labels { key: "stable" value: 2 }')
    found.follow(TWO)
    found.labels = {"stable": 1}

    refusal = found.assign_labels(early=True)

    assert found.labels == {"stable": 1}
    assert "Request to assign label to version 2 of model m, which is not currently" in refusal.message
    found.versions[2].state = AVAILABLE
    assert found.assign_labels(early=True) is None
    assert found.labels == {"stable": 2}


def test_the_default_label_points_to_the_newest_version():
    found = model()
    found.follow(TWO)
    assert found.live(default_label="stable") is None
    found.versions[2].state, found.versions[2].servable = AVAILABLE, object()
    assert found.live(default_label="stable").labels == {"stable": 2}
    assert found.live().labels == {}


def test_a_pinned_label_takes_over_from_the_default_one_without_a_gap():
    found = model('model_version_policy { all {} } version_labels { key: "stable" value: 1 }')
    found.follow(TWO)
    found.versions[2].state, found.versions[2].servable = AVAILABLE, object()

    found.assign_labels(early=True)
    assert found.live(default_label="stable").labels == {"stable": 2}
    found.versions[1].state, found.versions[1].servable = AVAILABLE, object()
    assert found.live(default_label="stable").labels == {"stable": 1}
