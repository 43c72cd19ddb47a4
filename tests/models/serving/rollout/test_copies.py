"""A version is a copy of the model: what differs from it, or was left by another try, is never published."""

import os
import time
from pathlib import Path

import pytest

from data.errors import ServingError
from models.serving.rollout import rollouts
from models.serving.rollout.inputs import changed_inputs
from models.serving.rollout.versions import (
    FIRST_TIMESTAMP,
    is_version,
    last_version,
    model_digest,
    publish,
    published_at,
    read_manifest,
    versions,
)


def _model(folder: Path, content: str = "graph") -> Path:
    (folder / "variables").mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_text(content)
    (folder / "variables" / "variables.index").write_text("weights")
    return folder


def test_a_copy_that_differs_from_the_model_is_not_published(tmp_path):
    """A file of the model that has another content each time it is read."""
    first = publish(_model(tmp_path / "model"), tmp_path / "serving", {})
    (tmp_path / "model" / "variables" / "variables.data").symlink_to("/proc/sys/kernel/random/uuid")

    for _ in range(8):  # whichever of the digests is the greater
        with pytest.raises(ServingError, match=r"^The copy of .*model in .*serving differs from it; nothing was publ"):
            publish(tmp_path / "model", tmp_path / "serving", {})

    assert versions(tmp_path / "serving") == [first]
    assert {path.name for path in (tmp_path / "serving").iterdir()} == {str(first), ".lock"}


def test_what_a_killed_process_left_is_removed(tmp_path):
    for name in (".staging-17-99", ".staging-removed-7"):
        (tmp_path / "serving" / name / "variables").mkdir(parents=True)

    version = publish(_model(tmp_path / "model"), tmp_path / "serving", {})

    assert {path.name for path in (tmp_path / "serving").iterdir()} == {str(version), ".lock"}


def test_live_versions_stay_beyond_those_that_are_kept(tmp_path):
    made = []
    for number in range(4):
        model, kept = _model(tmp_path / "model", f"graph {number}"), made[:1]
        made.append(publish(model, tmp_path / "serving", {}, keep=1, kept=kept))

    assert versions(tmp_path / "serving") == [made[0], made[3]]
    assert {path.name for path in (tmp_path / "serving").iterdir()} == {str(made[0]), str(made[3]), ".lock"}
    assert last_version(tmp_path / "serving") == made[3]


def test_all_versions_stay_where_no_number_is_given(tmp_path):
    made = [publish(_model(tmp_path / "model", f"graph {number}"), tmp_path / "serving", {}) for number in range(3)]

    assert versions(tmp_path / "serving") == made == list(range(made[0], made[0] + 3))


def test_the_manifest_says_which_model_and_when_and_may_be_overruled(tmp_path):
    before = int(time.time())
    model = _model(tmp_path / "model")
    (model / "assets.extra").mkdir()  # TF Serving's folder of additional files, such as warm-up requests

    version = publish(model, tmp_path / "serving", {"by": "me"})

    manifest = read_manifest(tmp_path / "serving" / str(version))
    assert manifest.keys() == {"digest", "version", "published", "by"}
    assert (manifest["digest"], manifest["version"]) == (model_digest(model), version)
    assert before <= manifest["published"] <= time.time()
    assert model_digest(tmp_path / "serving" / str(version)) == model_digest(model)  # its manifest does not count


def test_the_digest_is_of_names_and_contents(tmp_path):
    first = model_digest(_model(tmp_path / "one"))
    other = _model(tmp_path / "two")
    assert model_digest(other) == first

    (other / "variables" / "variables.index").rename(other / "variables" / "variables.indey")
    renamed = model_digest(other)
    (other / "saved_model.pb").write_text("grape")

    assert len({first, renamed, model_digest(other)}) == 3


@pytest.mark.parametrize(
    ("name", "expected"), [("0", True), ("7", True), ("07", False), (str(2**63 - 1), True), (str(2**63), False)]
)
def test_a_version_is_a_number_within_64_bits(name, expected):
    assert is_version(name) == expected


def test_without_a_folder_there_is_no_version(tmp_path):
    assert versions(tmp_path / "none") == []
    assert last_version(tmp_path / "none") is None


@pytest.mark.parametrize(("version", "is_time"), [(FIRST_TIMESTAMP, True), (FIRST_TIMESTAMP - 1, False)])
def test_a_version_without_a_manifest_was_published_at_its_number_where_that_is_a_time(tmp_path, version, is_time):
    folder = tmp_path / str(version)
    folder.mkdir()
    os.utime(folder, (5, 5))

    assert published_at(folder) == (version if is_time else 5)


def test_a_manifest_that_is_no_object_is_refused(tmp_path):
    (tmp_path / "7" / "assets.extra").mkdir(parents=True)
    (tmp_path / "7" / "assets.extra" / "headrace.json").write_text("[]")

    with pytest.raises(ServingError, match=r"7 has no readable assets.extra/headrace.json; move it away"):
        read_manifest(tmp_path / "7")


@pytest.mark.parametrize(("mode", "folder_mode"), [(0o640, 0o750), (0o600, 0o700), (0o444, 0o755)])
def test_whoever_may_read_the_files_may_enter_the_folders(tmp_path, mode, folder_mode):
    (tmp_path / "home").mkdir(mode=0o700)

    version = publish(_model(tmp_path / "model"), tmp_path / "home" / "serving", {}, mode=mode)

    folder = tmp_path / "home" / "serving" / str(version)
    assert (folder / "variables").stat().st_mode & 0o777 == folder_mode
    assert (folder / "saved_model.pb").stat().st_mode & 0o777 == mode | 0o600  # its owner may replace it
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700 | (folder_mode & 0o055)


@pytest.mark.parametrize(("before", "after"), [("number", "category"), ("category", "number")])
def test_clients_are_told_of_another_kind(tmp_path, before, after):
    features = [{"size": {"kind": kind}, "label": {"kind": "label"}} for kind in (before, after)]
    first, second = (
        publish(_model(tmp_path / "model", str(number)), tmp_path / "serving", {"spec": {"features": one}})
        for number, one in enumerate(features)
    )

    assert changed_inputs(tmp_path / "serving", first, second) == f"size is a {after}, was a {before}"
    assert changed_inputs(tmp_path / "serving", first, first) == ""


def test_only_the_canary_itself_is_taken_back(tmp_path):
    made = [publish(_model(tmp_path / "model", str(number)), tmp_path / "serving", {}) for number in range(3)]
    rollouts.promote(tmp_path / "serving", made[0])
    rollouts.start_canary(tmp_path / "serving", rollouts.Canary(made[1], 10.0))

    assert not rollouts.take_back(tmp_path / "serving", made[0], "slow")
    assert not rollouts.take_back(tmp_path / "serving", made[2], "slow")
    assert rollouts.take_back(tmp_path / "serving", made[1], "slow")
    assert not rollouts.take_back(tmp_path / "serving", made[1], "slow")  # it has ended


def test_the_version_before_is_an_older_one(tmp_path):
    first, second = (publish(_model(tmp_path / "model", str(number)), tmp_path / "serving", {}) for number in range(2))

    assert rollouts.promote(tmp_path / "serving", first).previous is None
    assert rollouts.promote(tmp_path / "serving", first).previous is None  # not itself
    assert rollouts.promote(tmp_path / "serving", second).previous == first
    assert (tmp_path / "serving" / rollouts.CONFIG).stat().st_mode & 0o111 == 0
