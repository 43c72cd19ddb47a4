import json
import os
import shutil
import time

import pytest

from data.errors import ServingError

FACTS = {"pipeline": "p", "evaluation": {}}


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"weights")
    return folder


def test_a_version_is_whole_and_carries_its_facts(tmp_path, model):
    from models.serving.rollout.versions import publish, read_manifest

    before = int(time.time())
    version = publish(model, tmp_path / "serving", FACTS, mode=0o640)

    folder = tmp_path / "serving" / str(version)
    assert before <= version <= int(time.time())
    assert (folder / "variables" / "variables.index").read_bytes() == b"weights"
    assert read_manifest(folder)["pipeline"] == "p"
    assert {path.name for path in (tmp_path / "serving").iterdir()} == {str(version), ".lock"}
    for path in [folder, *folder.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o750 if path.is_dir() else 0o640)


def _modes(folder) -> set[tuple[bool, str]]:
    return {(path.is_dir(), oct(path.stat().st_mode & 0o777)) for path in [folder, *folder.rglob("*")]}


@pytest.mark.parametrize(
    ("umask", "mode", "file", "folder"),
    [
        (0o022, None, 0o644, 0o755),
        (0o077, None, 0o600, 0o700),
        (0o077, 0o644, 0o644, 0o755),
        (0o022, 0o440, 0o640, 0o750),
    ],
)
def test_published_files_follow_the_umask_or_the_mode_that_is_set(tmp_path, model, umask, mode, file, folder):
    from models.serving.rollout import rollouts
    from models.serving.rollout.versions import publish

    home = tmp_path / "home"
    before = os.umask(0o027)  # as a run makes its folders
    try:
        (home / "serving").mkdir(parents=True)
        os.umask(umask)
        version = publish(model, home / "serving" / "p", FACTS, mode=mode)
        rollouts.promote(home / "serving" / "p", version)
    finally:
        os.umask(before)

    assert _modes(home / "serving" / "p" / str(version)) == {(False, oct(file)), (True, oct(folder))}
    config = (home / "serving" / "p" / rollouts.CONFIG).stat().st_mode & 0o777
    assert config & 0o044 == file & 0o044
    assert (home / "serving").stat().st_mode & 0o055 >= folder & 0o055


def test_folders_whose_name_is_no_version_are_passed_over(tmp_path, model):
    from models.serving.rollout.versions import last_version, publish, versions

    for name in ("7", "007", str(2**63), "9" * 250, "\u0667", "7a"):
        (tmp_path / "serving" / name).mkdir(parents=True)
    (tmp_path / "serving" / "7" / "assets.extra").mkdir()
    (tmp_path / "serving" / "7" / "assets.extra" / "headrace.json").write_text("{}")

    version = publish(model, tmp_path / "serving", FACTS)

    assert versions(tmp_path / "serving") == [7, version]
    assert last_version(tmp_path / "serving") == version < 2**63


def test_the_same_model_is_not_published_twice(tmp_path, model):
    from models.serving.rollout.versions import publish, versions

    first = publish(model, tmp_path / "serving", FACTS)

    assert publish(model, tmp_path / "serving", FACTS) == first
    assert versions(tmp_path / "serving") == [first]


def test_versions_grow_though_the_clock_was_set_back(tmp_path, model):
    from models.serving.rollout.versions import model_digest, publish

    future = tmp_path / "serving" / "99999999999"
    (future / "assets.extra").mkdir(parents=True)
    (future / "assets.extra" / "headrace.json").write_text(json.dumps({"digest": "another"}))

    assert publish(model, tmp_path / "serving", FACTS) == 100000000000
    assert model_digest(tmp_path / "serving" / "100000000000") == model_digest(model)


def test_a_failure_while_copying_leaves_nothing_behind(tmp_path, model):
    from models.serving.rollout.versions import publish, versions

    (model / "dangling").symlink_to(tmp_path / "nowhere")

    with pytest.raises(Exception, match="dangling"):
        publish(model, tmp_path / "serving", FACTS)

    assert versions(tmp_path / "serving") == []
    assert [path.name for path in (tmp_path / "serving").iterdir()] == [".lock"]


def test_only_so_many_versions_stay_and_they_are_the_newest(tmp_path, model):
    from models.serving.rollout.versions import publish, versions

    published = []
    for number in range(4):
        (model / "saved_model.pb").write_bytes(b"graph %d" % number)
        published.append(publish(model, tmp_path / "serving", FACTS, keep=2))

    assert published == sorted(set(published))
    assert versions(tmp_path / "serving") == published[-2:]


def test_a_folder_that_headrace_did_not_publish_is_named(tmp_path, model):
    from models.serving.rollout.versions import publish

    (tmp_path / "serving" / "7").mkdir(parents=True)

    with pytest.raises(ServingError, match=r"serving/7 has no readable assets.extra/headrace.json; move it away"):
        publish(model, tmp_path / "serving", FACTS)


def test_a_version_was_published_when_its_manifest_says_wherever_it_was_copied_to(tmp_path, model):
    """`headrace versions` showed when a home was copied."""
    from models.serving.rollout.versions import MANIFEST, publish, published_at, read_manifest

    before = int(time.time())
    first, second = (publish(model, tmp_path / name, FACTS) for name in ("serving", "older"))
    copied = shutil.copytree(tmp_path / "serving" / str(first), tmp_path / "copy" / str(first))
    for path in [copied, *copied.rglob("*")]:
        os.utime(path, (1, 1))
    of_older = tmp_path / "older" / str(second)
    known = read_manifest(of_older)
    (of_older / MANIFEST).write_text(json.dumps({name: known[name] for name in known if name != "published"}))
    by_hand = tmp_path / "by_hand" / "7"
    by_hand.mkdir(parents=True)
    os.utime(by_hand, (5, 5))

    assert before <= published_at(copied) <= time.time()
    assert published_at(of_older) == second
    assert published_at(by_hand) == 5
