import json
import time
from dataclasses import replace

import pytest
from google.protobuf import text_format

from data.errors import ConfigError
from models.serving import rollout
from models.serving.rollout import Canary, Rollout


@pytest.fixture
def folder(tmp_path):
    """A pipeline `digits` with versions 1, 2 and 3."""
    for version in (1, 2, 3):
        (tmp_path / "digits" / str(version)).mkdir(parents=True)
    return tmp_path / "digits"


def config(folder):
    """Returns the one model of the config file, as TF Serving reads it."""
    from models.serving.config_files import ModelServerConfig

    parsed = text_format.Parse((folder / rollout.CONFIG).read_text(), ModelServerConfig())
    (model,) = parsed.model_config_list.config
    return model


def test_without_a_file_the_newest_version_is_live(folder):
    assert rollout.read(folder) == Rollout()
    assert rollout.ensure(folder) == folder / rollout.CONFIG
    assert config(folder).base_path == str(folder)
    assert not config(folder).HasField("model_version_policy")


def test_promote_pins_a_version_and_keeps_the_one_before_loaded(folder):
    rollout.promote(folder, 1)
    after = rollout.promote(folder, 2, "better")

    assert after == rollout.read(folder) == Rollout(2, previous=1)
    assert list(config(folder).model_version_policy.specific.versions) == [1, 2]
    assert dict(config(folder).version_labels) == {"stable": 2}


def test_a_version_above_the_one_that_is_live_does_not_stay_loaded(folder):
    after = rollout.promote(folder, 1)  # 3 was live: requests without a label would still get it

    assert after == Rollout(1)
    assert list(config(folder).model_version_policy.specific.versions) == [1]


def test_rollback_goes_back_step_by_step_and_then_says_that_there_is_nothing(folder):
    rollout.promote(folder, 2)
    rollout.promote(folder, 3)

    assert rollout.rollback(folder) == Rollout(2)
    assert rollout.rollback(folder) == Rollout(1)
    with pytest.raises(ConfigError, match="no version before 1; there is nothing to go back to"):
        rollout.rollback(folder)


def test_rollback_without_a_pin_leaves_the_newest_version(folder):
    assert rollout.rollback(folder) == Rollout(2)


def test_a_canary_is_labelled_beside_the_stable_version_and_rollback_ends_it(folder):
    rollout.promote(folder, 1)

    after = rollout.start_canary(folder, Canary(3, 12.5, p95_ms=20))

    assert after.canary == rollout.read(folder).canary
    assert replace(after.canary, since=0) == Canary(3, 12.5, 0.01, 20)
    assert abs(after.canary.since - time.time()) < 60
    assert dict(config(folder).version_labels) == {"stable": 1, "canary": 3}
    assert list(config(folder).model_version_policy.specific.versions) == [1, 3]
    assert rollout.rollback(folder) == Rollout(1)


def test_a_canary_is_taken_back_once_and_the_stable_version_stays(folder):
    rollout.promote(folder, 1)
    rollout.start_canary(folder, rollout.Canary(3, 25))

    assert rollout.take_back(folder, 3, "too slow")
    assert not rollout.take_back(folder, 3, "too slow")
    assert not rollout.take_back(folder, 2, "another")
    assert rollout.read(folder).stable == 1
    assert rollout.audit(folder)[-1]["why"] == "too slow"


def test_a_canary_is_promoted_by_itself_only_while_it_is_one(folder):
    rollout.promote(folder, 1)
    rollout.start_canary(folder, Canary(3, 25, promote_after_s=60))

    assert not rollout.promote_canary(folder, 2, "another")
    assert rollout.promote_canary(folder, 3, "good")
    assert not rollout.promote_canary(folder, 3, "good")
    assert rollout.read(folder) == Rollout(3, previous=1)
    assert (rollout.audit(folder)[-1]["what"], rollout.audit(folder)[-1]["why"]) == ("promote", "good")


def test_a_canary_of_the_newest_version_leaves_the_one_before_it_stable(folder):
    assert rollout.start_canary(folder, Canary(3, 10)).stable == 2


def test_latest_follows_what_is_published(folder):
    rollout.promote(folder, 2)

    assert rollout.promote(folder, None) == Rollout()
    assert not config(folder).version_labels


def test_versions_that_are_not_there_are_refused_and_nothing_changes(folder):
    rollout.promote(folder, 2)
    before = (folder / rollout.CONFIG).read_text()

    with pytest.raises(ConfigError, match="digits has no version 9; published are 1, 2, 3"):
        rollout.promote(folder, 9)
    with pytest.raises(ConfigError, match="Version 2 is what digits serves already"):
        rollout.start_canary(folder, Canary(2, 10))
    assert (folder / rollout.CONFIG).read_text() == before


def test_every_change_leaves_a_line_that_says_who_what_and_why(folder):
    rollout.promote(folder, 2, "better on sevens")
    rollout.rollback(folder, "complaints")

    first, second = rollout.audit(folder)
    assert (first["what"], first["why"], first["after"]["stable"]) == ("promote", "better on sevens", 2)
    assert (second["what"], second["before"]["stable"], second["after"]["stable"]) == ("rollback", 2, 1)
    assert first["who"]
    assert first["time"]


def test_a_file_that_was_changed_by_hand_is_refused(folder):
    rollout.promote(folder, 2)
    (folder / rollout.CONFIG).write_text("model_config_list {}\n")

    with pytest.raises(ConfigError, match=r"models.config:1 does not begin as Headrace writes it"):
        rollout.read(folder)


def test_what_is_live_survives_publishing_and_tidying_up(tmp_path, folder):
    from models.serving.versions import publish, versions

    rollout.promote(folder, 1)
    rollout.promote(folder, 2)
    for version in (1, 2, 3):
        (folder / str(version) / "assets.extra").mkdir()
        (folder / str(version) / "assets.extra" / "headrace.json").write_text(json.dumps({"digest": ""}))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"x")

    new = publish(tmp_path / "model", folder, {}, keep=1, kept=rollout.read(folder).kept())

    assert versions(folder) == [1, 2, new]
