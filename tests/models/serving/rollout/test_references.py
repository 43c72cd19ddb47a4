import pytest

from models.serving.rollout import rollouts
from models.serving.rollout.references import profile_path, references, remove_profiles


@pytest.fixture
def paths(tmp_path):
    """Profiles of the versions 2 and 3 of three versions, the last accepted data, and the folder of versions."""
    profiles, accepted, serving = tmp_path / "profiles", tmp_path / "accepted.npz", tmp_path / "serving"
    for version in (1, 2, 3):
        (serving / str(version)).mkdir(parents=True)
    profiles.mkdir()
    for path in (profile_path(profiles, 2), profile_path(profiles, 3), accepted):
        path.touch()
    return profiles, accepted, serving


def test_new_data_is_compared_with_the_newest_version_and_then_the_last_accepted(paths):
    live, last = references(*paths)

    assert (live.path.name, live.name) == ("3.npz", "the data of the live version 3")
    assert (last.path.name, last.name) == ("accepted.npz", "the last accepted data")
    assert live.note == last.note == ""


def test_after_a_rollback_the_reference_is_the_data_of_the_live_version(paths):
    rollouts.rollback(paths[2])

    live, _ = references(*paths)

    assert live.name == "the data of the live version 2"


def test_requests_are_compared_with_the_data_of_the_version_that_answered_if_it_has_a_profile(paths):
    known, _ = references(*paths, version=2)
    unknown, _ = references(*paths, version=1)

    assert known.name == "the data of version 2"
    assert unknown.name == "the data of the live version 3"


def test_a_live_version_without_a_profile_leaves_the_last_accepted_data_and_a_note(paths):
    rollouts.promote(paths[2], 1)

    (last,) = references(*paths)

    assert last.path == paths[1]
    assert last.note == "there is no profile of the data of the live version 1, the last accepted data is the reference"


def test_without_a_live_version_the_last_accepted_data_is_the_only_reference(paths, tmp_path):
    (last,) = references(paths[0], paths[1], tmp_path / "nothing")

    assert (last.path, last.note) == (paths[1], "")


def test_profiles_are_removed_with_their_versions(paths):
    remove_profiles(paths[0], [1, 3])

    assert [path.name for path in paths[0].iterdir()] == ["3.npz"]
