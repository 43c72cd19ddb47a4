import json
import shutil
import time
from dataclasses import replace

import pytest
from google.protobuf import text_format

from data.errors import ConfigError
from models.serving.rollout import rollouts
from models.serving.rollout.rollouts import Canary, Rollout


@pytest.fixture
def folder(tmp_path):
    """A pipeline `digits` with versions 1, 2 and 3."""
    for version in (1, 2, 3):
        (tmp_path / "digits" / str(version)).mkdir(parents=True)
    return tmp_path / "digits"


def config(folder):
    """Returns the one model of the config file, as TF Serving reads it."""
    from models.serving.protocol.config_files import ModelServerConfig

    parsed = text_format.Parse((folder / rollouts.CONFIG).read_text(), ModelServerConfig())
    (model,) = parsed.model_config_list.config
    return model


def test_without_a_file_the_newest_version_is_live(folder):
    assert rollouts.read(folder) == Rollout()
    assert rollouts.ensure(folder) == folder / rollouts.CONFIG
    assert config(folder).base_path == str(folder)
    assert not config(folder).HasField("model_version_policy")


@pytest.mark.parametrize("name", ["moved", 'a "quoted" [1] \\ home'])
def test_a_folder_that_has_moved_is_served_and_not_the_one_before(folder, tmp_path, name):
    rollouts.promote(folder, 2)
    moved = tmp_path / name / "digits"
    shutil.copytree(folder, moved)

    rollouts.ensure(moved)

    assert config(moved).base_path == str(moved)
    assert rollouts.read(moved) == rollouts.read(folder) == Rollout(2)
    assert config(folder).base_path == str(folder)


def test_the_live_version_is_the_promoted_one_else_the_newest(folder):
    newest = rollouts.live_version(folder)
    rollouts.promote(folder, 1)
    promoted = rollouts.live_version(folder)
    rollouts.start_canary(folder, Canary(3, 10))
    beside_a_canary = rollouts.live_version(folder)

    assert (newest, promoted, beside_a_canary) == (3, 1, 1)


def test_a_promoted_version_that_is_gone_is_told_with_what_to_do(folder):
    rollouts.promote(folder, 1)
    assert rollouts.why_not_live(folder) == ""
    (folder / "1").rmdir()

    with pytest.raises(ConfigError, match="which is pinned as the live one, is gone") as error:
        rollouts.live_version(folder)

    assert str(error.value) == rollouts.why_not_live(folder)
    rollouts.promote(folder, None)
    assert rollouts.live_version(folder) == 3
    assert rollouts.live_version(folder.parent / "none") is None


def test_promote_pins_a_version_and_keeps_the_one_before_loaded(folder):
    rollouts.promote(folder, 1)
    after = rollouts.promote(folder, 2, "better")

    assert after == rollouts.read(folder) == Rollout(2, previous=1)
    assert list(config(folder).model_version_policy.specific.versions) == [1, 2]
    assert dict(config(folder).version_labels) == {"stable": 2}


def test_a_version_above_the_one_that_is_live_does_not_stay_loaded(folder):
    after = rollouts.promote(folder, 1)  # 3 was live: requests without a label would still get it

    assert after == Rollout(1)
    assert list(config(folder).model_version_policy.specific.versions) == [1]


def test_rollback_goes_back_step_by_step_and_then_says_that_there_is_nothing(folder):
    rollouts.promote(folder, 2)
    rollouts.promote(folder, 3)

    assert rollouts.rollback(folder) == Rollout(2)
    assert rollouts.rollback(folder) == Rollout(1)
    with pytest.raises(ConfigError, match="no version before 1; there is nothing to go back to"):
        rollouts.rollback(folder)


def test_rollback_without_a_pin_leaves_the_newest_version(folder):
    assert rollouts.rollback(folder) == Rollout(2)


def test_a_canary_is_labelled_beside_the_stable_version_and_rollback_ends_it(folder):
    rollouts.promote(folder, 1)
    before = time.time()

    after = rollouts.start_canary(folder, Canary(3, 12.5, p95_ms=20))

    assert after.canary == rollouts.read(folder).canary
    assert replace(after.canary, since=0) == Canary(3, 12.5, 0.01, 20)
    assert before <= after.canary.since <= time.time()
    assert dict(config(folder).version_labels) == {"stable": 1, "canary": 3}
    assert list(config(folder).model_version_policy.specific.versions) == [1, 3]
    assert rollouts.rollback(folder) == Rollout(1)


def test_a_canary_is_taken_back_once_and_the_stable_version_stays(folder):
    rollouts.promote(folder, 1)
    rollouts.start_canary(folder, rollouts.Canary(3, 25))

    assert rollouts.take_back(folder, 3, "too slow")
    assert not rollouts.take_back(folder, 3, "too slow")
    assert not rollouts.take_back(folder, 2, "another")
    assert rollouts.read(folder).stable == 1
    assert rollouts.audit(folder)[-1]["why"] == "too slow"


def test_a_canary_is_promoted_by_itself_only_while_it_is_one(folder):
    rollouts.promote(folder, 1)
    rollouts.start_canary(folder, Canary(3, 25, promote_after_s=60))

    assert not rollouts.promote_canary(folder, 2, "another")
    assert rollouts.promote_canary(folder, 3, "good")
    assert not rollouts.promote_canary(folder, 3, "good")
    assert rollouts.read(folder) == Rollout(3, previous=1)
    assert (rollouts.audit(folder)[-1]["what"], rollouts.audit(folder)[-1]["why"]) == ("promote", "good")


def test_a_canary_of_the_newest_version_leaves_the_one_before_it_stable(folder):
    assert rollouts.start_canary(folder, Canary(3, 10)).stable == 2


def test_latest_follows_what_is_published(folder):
    rollouts.promote(folder, 2)

    assert rollouts.promote(folder, None) == Rollout()
    assert not config(folder).version_labels


def test_versions_that_are_not_there_are_refused_and_nothing_changes(folder):
    rollouts.promote(folder, 2)
    before = (folder / rollouts.CONFIG).read_text()

    with pytest.raises(ConfigError, match="digits has no version 9; published are 1, 2, 3"):
        rollouts.promote(folder, 9)
    with pytest.raises(ConfigError, match="Version 2 is what digits serves already"):
        rollouts.start_canary(folder, Canary(2, 10))
    assert (folder / rollouts.CONFIG).read_text() == before


def test_every_change_leaves_a_line_that_says_who_what_and_why(folder):
    rollouts.promote(folder, 2, "better on sevens")
    rollouts.rollback(folder, "complaints")

    first, second = rollouts.audit(folder)
    assert (first["what"], first["why"], first["after"]["stable"]) == ("promote", "better on sevens", 2)
    assert (second["what"], second["before"]["stable"], second["after"]["stable"]) == ("rollback", 2, 1)
    assert first["who"]
    assert first["time"]


def test_a_file_that_was_changed_by_hand_is_refused(folder):
    rollouts.promote(folder, 2)
    (folder / rollouts.CONFIG).write_text("model_config_list {}\n")

    with pytest.raises(ConfigError, match=r"models.config:1 does not begin as Headrace writes it"):
        rollouts.read(folder)


def test_what_is_live_survives_publishing_and_tidying_up(tmp_path, folder):
    from models.serving.rollout.versions import publish, versions

    rollouts.promote(folder, 1)
    rollouts.promote(folder, 2)
    for version in (1, 2, 3):
        (folder / str(version) / "assets.extra").mkdir()
        (folder / str(version) / "assets.extra" / "headrace.json").write_text(json.dumps({"digest": ""}))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"x")

    new = publish(tmp_path / "model", folder, {}, keep=1, kept=rollouts.read(folder).kept())

    assert versions(folder) == [1, 2, new]
