import json

import pytest

from models.serving.rollout import rollouts
from pipeline.scheduling import child
from pipeline.scheduling.store import FAILED, REFUSED, SUCCEEDED, Outcome, Schedule


def _publish(home, version: int) -> None:
    (home / "serving" / "digits" / str(version)).mkdir(parents=True)


def _trial(home, version: int | None, state: str = SUCCEEDED) -> Outcome:
    def work() -> Outcome:
        if version:
            _publish(home, version)
        return Outcome(state, 0, "20260101-1", "published 8")

    return child.on_trial(home, Schedule("digits", "digits", canary=10.0, promote_after=7200.0), work)


def test_what_a_run_publishes_goes_on_trial_and_what_was_live_stays(tmp_path):
    _publish(tmp_path, 7)

    outcome = _trial(tmp_path, 8)

    found = rollouts.read(tmp_path / "serving" / "digits")
    assert found.stable == 7
    assert (found.canary.version, found.canary.percent, found.canary.promote_after_s) == (8, 10.0, 7200.0)
    assert outcome.message == "published 8, on trial with 10 % of the requests"


def test_what_cannot_go_on_trial_is_published_and_not_live(tmp_path):
    _publish(tmp_path, 7)
    _publish(tmp_path, 8)
    for version, features in ((7, {"size": {"kind": "number"}}), (8, {"age": {"kind": "number"}})):
        manifest = tmp_path / "serving" / "digits" / str(version) / "assets.extra" / "headrace.json"
        manifest.parent.mkdir(exist_ok=True)
        manifest.write_text(json.dumps({"spec": {"features": features}}))
    (tmp_path / "serving" / "digits" / "8").rename(tmp_path / "8")

    def work() -> Outcome:
        (tmp_path / "8").rename(tmp_path / "serving" / "digits" / "8")
        return Outcome(SUCCEEDED, 0, "20260101-1", "published 8")

    outcome = child.on_trial(tmp_path, Schedule("digits", "digits", canary=10.0), work)

    assert outcome.message.startswith("published 8, not on trial: Version 8 of digits cannot be a canary")
    assert rollouts.read(tmp_path / "serving" / "digits") == rollouts.Rollout(7)


def test_a_version_that_a_person_pinned_stays_pinned(tmp_path):
    for version in (6, 7):
        _publish(tmp_path, version)
    rollouts.promote(tmp_path / "serving" / "digits", 6)

    _trial(tmp_path, 8)

    found = rollouts.read(tmp_path / "serving" / "digits")
    assert (found.stable, found.canary.version) == (6, 8)


@pytest.mark.parametrize(("version", "state"), [(None, SUCCEEDED), (None, REFUSED)])
def test_without_a_new_version_nothing_goes_on_trial(tmp_path, version, state):
    _publish(tmp_path, 7)

    assert _trial(tmp_path, version, state).message == "published 8"

    assert rollouts.read(tmp_path / "serving" / "digits").canary is None


def test_the_first_version_goes_live(tmp_path):
    _trial(tmp_path, 8)

    assert rollouts.read(tmp_path / "serving" / "digits") == rollouts.Rollout()


@pytest.mark.parametrize(
    ("code", "out", "err", "state", "message"),
    [
        (0, {"published": "/a/serving/digits/7", "run": "r"}, "", SUCCEEDED, "published 7"),
        (0, {"published": None, "run": "r"}, "", SUCCEEDED, "nothing was published"),
        (
            4,
            {"error": "Not good:\n  accuracy 0.1\n  worst: a", "run": "r"},
            "",
            REFUSED,
            "Not good: accuracy 0.1; worst: a",
        ),
        (3, {"error": "Bad rows", "run": "r"}, "", REFUSED, "Bad rows"),
        (2, {"error": "typo", "exit_code": 2}, "headrace: typo\n", FAILED, "typo"),
        (1, None, "headrace: KeyError: 'a'\n", FAILED, "KeyError: 'a'"),
        (-9, None, "", FAILED, "headrace run ended with -9"),
    ],
)
def test_what_came_of_a_run_is_told_in_a_sentence(code, out, err, state, message):
    outcome = child.outcome_of(code, json.dumps(out) if out else "", err)

    assert (outcome.state, outcome.exit_code, outcome.message) == (state, code, message)
