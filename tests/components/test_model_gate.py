import json

import pytest

from data.errors import ModelError

pytestmark = pytest.mark.slow  # loads TFX

ACCURACY = {"accuracy": {"min": 0.9, "max": None, "max_regression": 0.01}}
LOSS = {"loss": {"min": None, "max": 0.5, "max_regression": 0.0}}


@pytest.mark.parametrize(
    ("metrics", "published", "thresholds", "passed"),
    [
        ({"accuracy": 0.9}, None, ACCURACY, True),
        ({"accuracy": 0.8999}, None, ACCURACY, False),
        ({"accuracy": 0.95}, {"accuracy": 0.955}, ACCURACY, True),
        ({"accuracy": 0.95}, {"accuracy": 0.97}, ACCURACY, False),
        ({"accuracy": 0.95}, {"accuracy": 0.5}, ACCURACY, True),
        ({"loss": 0.5}, None, LOSS, True),
        ({"loss": 0.51}, None, LOSS, False),
        ({"loss": 0.4}, {"loss": 0.3}, LOSS, False),
        ({"loss": 0.3}, {"loss": 0.4}, LOSS, True),
    ],
)
def test_a_model_is_held_against_threshold_and_last_version(metrics, published, thresholds, passed):
    from components.model_gate import judge

    assert [verdict.passed for verdict in judge(metrics, _beside(metrics, published), thresholds)] == [passed]


def _beside(candidate: dict, live: dict | None, **changes):
    """Returns what both come to, as the gate is given it; None without a live version."""
    from components.live_model.contest import Beside

    return Beside(7, live, candidate, 100, 100, **changes) if live else None


def test_the_verdict_tells_all_the_numbers():
    from components.model_gate import judge

    (verdict,) = judge({"accuracy": 0.95}, _beside({"accuracy": 0.95}, {"accuracy": 0.97}), ACCURACY)

    assert verdict.sentence() == "accuracy 0.9500: expected >= 0.9, live 0.9700 (at most 0.01 worse)"


def test_the_verdict_tells_how_well_the_value_is_known():
    from components.model_gate import judge

    (verdict,) = judge({"accuracy": 0.8996}, None, ACCURACY, {"accuracy": [0.8712, 0.9223]})

    # In three digits, which the interval allows, it would be 0.900.
    assert verdict.sentence() == "accuracy 0.8996 (95 % 0.871 to 0.922): expected >= 0.9"


def test_the_worst_slices_are_told_with_their_intervals():
    from components.model_gate import judge, worst_slices

    (verdict,) = judge({"loss": 0.6}, None, LOSS)
    slices = {"overall": {"loss": 0.6}, "a": {"loss": 0.71}, "b": {"loss": 1.4142}, "c": {"accuracy": 1.0}}

    told = worst_slices(slices, {"b": {"loss": [1.21, 1.62]}}, verdict)

    assert told == ["worst: b 1.41 (1.21 to 1.62), a 0.7100"]


def test_a_regression_counts_on_the_rows_that_both_were_asked_about():
    from components.model_gate import judge

    (verdict,) = judge({"accuracy": 0.97}, _beside({"accuracy": 0.95}, {"accuracy": 0.97}), ACCURACY)

    assert not verdict.passed
    assert verdict.sentence().endswith(
        "on the rows that the live version was asked about 0.9500, live 0.9700 (at most 0.01 worse)"
    )


def test_where_the_splits_were_drawn_by_another_rule_a_regression_is_only_reported():
    from components.live_model.contest import Duel
    from components.model_gate import Decision, judge

    duel = Duel("accuracy", 7, 0.95, 0.97, -0.03, -0.01, "loses to")
    decisions = []
    for is_judged in (True, False):
        beside = _beside({"accuracy": 0.95}, {"accuracy": 0.97}, is_judged=is_judged)
        decisions.append(Decision(judge({"accuracy": 0.95}, beside, ACCURACY), beside, duel, "not_worse"))

    assert [one.passed for one in decisions] == [False, True]
    assert "live 0.9700 (only reported)" in decisions[1].sentence()
    assert decisions[1].sentence().endswith("it may have been trained on these test rows")


def test_a_metric_that_was_not_computed_is_refused():
    from components.model_gate import judge

    with pytest.raises(ModelError, match="Metric accuracy has no finite value; computed were loss"):
        judge({"loss": 0.1}, None, ACCURACY)


def test_the_candidate_itself_is_no_rival(tmp_path):
    from components.live_model.contest import Candidate
    from components.model_gate import rival
    from models.serving.rollout.versions import publish

    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_text(name)
    version = publish(tmp_path / "first", tmp_path / "serving" / "digits", {})

    def found(name: str):
        candidate = Candidate(str(tmp_path / name), {}, tmp_path, None, None, None)
        return rival(tmp_path / "serving" / "digits", candidate)

    assert found("first") is None
    assert found("second").version == version


def test_after_a_rollback_the_live_model_is_compared_with_not_the_newest(tmp_path):
    from components.live_model.comparable import LiveModel
    from models.serving.rollout import rollouts

    for version in (1, 2):
        folder = tmp_path / "digits" / str(version) / "assets.extra"
        folder.mkdir(parents=True)
        (folder / "headrace.json").write_text(json.dumps({"digest": str(version)}))

    newest = LiveModel.of(tmp_path / "digits")
    rollouts.promote(tmp_path / "digits", 1)
    live = LiveModel.of(tmp_path / "digits")

    assert (newest.version, live.version) == (2, 1)
    assert live.folder.name == live.manifest["digest"] == "1"
