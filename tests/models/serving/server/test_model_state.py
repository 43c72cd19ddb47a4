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


def test_the_highest_wanted_version_is_loaded_first_unless_its_retry_is_not_due():
    state = model("model_version_policy { all {} }")
    state.follow(THREE)
    state.versions[3].not_before = 5.0

    assert state.start_loading(now=4.0) == (2, state.versions[2])
    assert states(state) == {1: START, 2: LOADING, 3: START}
    assert state.start_loading(now=6.0) == (3, state.versions[3])


def test_an_old_version_is_unloaded_only_once_a_wanted_one_is_available():
    state = model()
    state.follow(ONE)
    state.versions[1].state = AVAILABLE
    state.follow(TWO)

    assert state.start_unloading() == []
    state.versions[2].state = AVAILABLE
    assert state.start_unloading() == [state.versions[1]]
    assert states(state) == {1: UNLOADING, 2: AVAILABLE}


def test_all_versions_are_unloaded_if_none_is_wanted():
    state = model()
    state.follow(ONE)
    state.versions[1].state = AVAILABLE

    state.leave()

    assert state.start_unloading() == [state.versions[1]]
    assert not state.config.base_path


def test_a_failed_version_is_not_loaded_again_until_its_folder_was_removed():
    state = model()
    state.follow(ONE)
    state.versions[1].state, state.versions[1].error = END, ServingStatus(Code.NOT_FOUND, "gone")

    state.follow(ONE)
    assert states(state) == {1: END}
    assert state.is_settled()
    assert state.failures() == ["{name: m version: 1} due to error: NOT_FOUND: gone"]
    state.follow({})
    assert states(state) == {}
    assert not state.is_settled()
    state.follow(ONE)
    assert states(state) == {1: START}


def test_an_unwanted_load_is_ended():
    state = model()
    state.follow(ONE)
    state.follow(TWO)

    state.give_up_unwanted()

    assert states(state) == {1: END, 2: START}


@pytest.mark.parametrize(("early", "labels", "is_refused"), [(False, {}, True), (True, {"stable": 2}, False)])
def test_a_label_is_assigned_to_an_unavailable_version_only_if_it_may_come_early(early, labels, is_refused):
    state = model('version_labels { key: "stable" value: 2 }')
    state.follow(TWO)

    refusal = state.assign_labels(early=early)

    assert state.labels == labels
    assert (refusal is not None) == is_refused


def test_an_assigned_label_waits_for_its_version_even_if_it_may_come_early():
    state = model('version_labels { key: "stable" value: 2 }')
    state.follow(TWO)
    state.labels = {"stable": 1}

    refusal = state.assign_labels(early=True)

    assert state.labels == {"stable": 1}
    assert "Request to assign label to version 2 of model m, which is not currently" in refusal.message
    state.versions[2].state = AVAILABLE
    assert state.assign_labels(early=True) is None
    assert state.labels == {"stable": 2}


def test_the_default_label_is_the_newest_versions():
    state = model()
    state.follow(TWO)
    assert state.live(default_label="stable") is None
    state.versions[2].state, state.versions[2].servable = AVAILABLE, object()
    assert state.live(default_label="stable").labels == {"stable": 2}
    assert state.live().labels == {}


def test_an_assigned_label_replaces_the_default_one_without_a_gap():
    state = model('model_version_policy { all {} } version_labels { key: "stable" value: 1 }')
    state.follow(TWO)
    state.versions[2].state, state.versions[2].servable = AVAILABLE, object()

    state.assign_labels(early=True)
    assert state.live(default_label="stable").labels == {"stable": 2}
    state.versions[1].state, state.versions[1].servable = AVAILABLE, object()
    assert state.live(default_label="stable").labels == {"stable": 1}
