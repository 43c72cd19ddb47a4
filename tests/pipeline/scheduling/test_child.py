import json

import pytest

from models.serving.rollout import rollouts
from pipeline.scheduling import child
from pipeline.scheduling.store import FAILED, REFUSED, SUCCEEDED, Outcome, Schedule


def _publish(home, version: int) -> None:
    (home / "serving" / "digits" / str(version)).mkdir(parents=True)


def _run_publishing(home, version: int | None, state: str = SUCCEEDED) -> Outcome:
    def run_pipeline() -> Outcome:
        if version:
            _publish(home, version)
        return Outcome(state, 0, "20260101-1", "published 8")

    return child.run_as_canary(home, Schedule("digits", "digits", canary=10.0, promote_after=7200.0), run_pipeline)


def test_a_published_version_becomes_a_canary_and_the_live_version_stays(tmp_path):
    _publish(tmp_path, 7)

    outcome = _run_publishing(tmp_path, 8)

    rollout = rollouts.read(tmp_path / "serving" / "digits")
    assert rollout.stable == 7
    assert (rollout.canary.version, rollout.canary.percent, rollout.canary.promote_after_s) == (8, 10.0, 7200.0)
    assert outcome.message == "published 8, as a canary with 10 % of the requests"


def test_a_version_that_cannot_be_a_canary_is_published_and_not_live(tmp_path):
    _publish(tmp_path, 7)
    _publish(tmp_path, 8)
    for version, features in ((7, {"size": {"kind": "number"}}), (8, {"age": {"kind": "number"}})):
        manifest = tmp_path / "serving" / "digits" / str(version) / "assets.extra" / "headrace.json"
        manifest.parent.mkdir(exist_ok=True)
        manifest.write_text(json.dumps({"spec": {"features": features}}))
    (tmp_path / "serving" / "digits" / "8").rename(tmp_path / "8")

    def run_pipeline() -> Outcome:
        (tmp_path / "8").rename(tmp_path / "serving" / "digits" / "8")
        return Outcome(SUCCEEDED, 0, "20260101-1", "published 8")

    outcome = child.run_as_canary(tmp_path, Schedule("digits", "digits", canary=10.0), run_pipeline)

    assert outcome.message.startswith("published 8, not a canary: Version 8 of digits cannot be a canary")
    assert rollouts.read(tmp_path / "serving" / "digits") == rollouts.Rollout(7)


def test_a_version_that_a_person_pinned_stays_pinned(tmp_path):
    for version in (6, 7):
        _publish(tmp_path, version)
    rollouts.promote(tmp_path / "serving" / "digits", 6)

    _run_publishing(tmp_path, 8)

    rollout = rollouts.read(tmp_path / "serving" / "digits")
    assert (rollout.stable, rollout.canary.version) == (6, 8)


@pytest.mark.parametrize(("version", "state"), [(None, SUCCEEDED), (None, REFUSED)])
def test_without_a_new_version_there_is_no_canary(tmp_path, version, state):
    _publish(tmp_path, 7)

    assert _run_publishing(tmp_path, version, state).message == "published 8"

    assert rollouts.read(tmp_path / "serving" / "digits").canary is None


def test_the_first_version_goes_live(tmp_path):
    _run_publishing(tmp_path, 8)

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
def test_the_result_of_a_run_is_one_sentence(code, out, err, state, message):
    outcome = child.outcome_of(code, json.dumps(out) if out else "", err)

    assert (outcome.state, outcome.exit_code, outcome.message) == (state, code, message)
