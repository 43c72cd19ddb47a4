import pytest

from models.serving.rollout import rollouts
from models.serving.rollout.references import profile_path, references, remove_profiles


@pytest.fixture
def places(tmp_path):
    """Profiles of the versions 2 and 3 of three versions, the last accepted data, and the folder of versions."""
    profiles, accepted, serving = tmp_path / "profiles", tmp_path / "accepted.npz", tmp_path / "serving"
    for version in (1, 2, 3):
        (serving / str(version)).mkdir(parents=True)
    profiles.mkdir()
    for path in (profile_path(profiles, 2), profile_path(profiles, 3), accepted):
        path.touch()
    return profiles, accepted, serving


def test_data_is_held_against_that_of_the_newest_version_and_then_the_last_accepted(places):
    live, last = references(*places)

    assert (live.path.name, live.name) == ("3.npz", "the data of the live version 3")
    assert (last.path.name, last.name) == ("accepted.npz", "the last accepted data")
    assert live.note == last.note == ""


def test_after_a_rollback_it_is_the_data_of_the_version_that_is_live_again(places):
    rollouts.rollback(places[2])

    live, _ = references(*places)

    assert live.name == "the data of the live version 2"


def test_requests_are_held_against_the_data_of_the_version_that_answered_where_it_is_known(places):
    known, _ = references(*places, version=2)
    unknown, _ = references(*places, version=1)

    assert known.name == "the data of version 2"
    assert unknown.name == "the data of the live version 3"


def test_a_live_version_without_a_profile_leaves_the_last_accepted_data_and_a_note(places):
    rollouts.promote(places[2], 1)

    (last,) = references(*places)

    assert last.path == places[1]
    assert last.note == "there is no profile of the data of the live version 1, the last accepted data is the reference"


def test_before_anything_is_live_there_is_the_last_accepted_data_alone(places, tmp_path):
    (last,) = references(places[0], places[1], tmp_path / "nothing")

    assert (last.path, last.note) == (places[1], "")


def test_profiles_leave_with_their_versions(places):
    remove_profiles(places[0], [1, 3])

    assert [path.name for path in places[0].iterdir()] == ["3.npz"]
