import json

import pytest

from data.errors import ModelError

pytestmark = pytest.mark.slow  # loads TFX

ACCURACY = {"accuracy": {"min": 0.9, "max": None, "max_regression": 0.01}}
LOSS = {"loss": {"min": None, "max": 0.5, "max_regression": 0.0}}


def verdicts(metrics: dict, thresholds: dict, live: dict | None = None, **changes) -> list:
    """Returns the verdicts of a task whose loss is better the lower it is.

    With `live` both were asked about the same rows: `candidate` there, by default as on all rows.
    """
    from components.model_gate import judge

    compared = None if live is None else same_rows(live, changes.pop("candidate", metrics))
    return judge(metrics, thresholds, lower_is_better={"loss", "rmse"}, same_rows=compared, **changes)


def same_rows(live: dict, candidate: dict, **changes):
    """Returns the metrics of both on all of 100 test rows."""
    from components.live_model.comparison import SameRowsMetrics

    return SameRowsMetrics(version=7, live=live, candidate=candidate, num_rows=100, num_test_rows=100, **changes)


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
def test_a_model_is_judged_by_threshold_and_live_version(metrics, published, thresholds, passed):
    assert [verdict.passed for verdict in verdicts(metrics, thresholds, published)] == [passed]


@pytest.mark.parametrize(
    ("name", "value", "live", "bound", "max_regression", "passed"),
    [
        ("accuracy", 0.9, 0.905, 0.5, 0.005, True),  # 0.905 - 0.9 is 0.0050000000000000044
        ("accuracy", 0.8999, 0.905, 0.5, 0.005, False),
        ("loss", 0.905, 0.9, 1.0, 0.005, True),
        ("loss", 0.9051, 0.9, 1.0, 0.005, False),
        ("accuracy", 0.0, 0.3, 0.0, 0.1 + 0.2, True),  # which is 0.30000000000000004
        ("rmse", 9.05e-20, 9.0e-20, 1.0, 5.0e-22, True),
        ("rmse", 9.06e-20, 9.0e-20, 1.0, 5.0e-22, False),  # rounding is relative
        ("accuracy", 0.3 - 1e-16, 0.3, 0.1 + 0.2, 0.0, True),
        ("accuracy", 0.2999999, 0.2999999, 0.1 + 0.2, 0.0, False),
        ("loss", 0.1 + 0.2, 0.3, 0.3, 0.0, True),
        ("loss", 0.3000001, 0.3000001, 0.3, 0.0, False),
    ],
)
def test_a_bound_is_reached_up_to_the_rounding_of_floats(name, value, live, bound, max_regression, passed):
    side = "min" if name == "accuracy" else "max"

    (verdict,) = verdicts({name: value}, {name: {side: bound, "max_regression": max_regression}}, {name: live})

    assert verdict.passed == passed
    assert len(verdict.sentence()) < 100  # no seventeen digits


def test_the_direction_is_the_metrics_own():
    (verdict,) = verdicts({"rmse": 3.0}, {"rmse": {"max": 4.0, "min": None, "max_regression": 0.5}}, {"rmse": 2.0})

    assert verdict.reaches_bound
    assert verdict.regresses
    assert verdict.sentence() == "rmse 3.0000: expected <= 4, live 2.0000 (at most 0.5 worse)"


@pytest.mark.parametrize(
    ("candidate", "live", "passed", "told"),
    [
        ({}, 0.9, False, "on the rows that the live version can predict it has no finite value, live 0.9000 (at"),
        (0.5, {}, True, "not compared with the live version: it does not have a finite value on the same test rows"),
        ({}, {}, True, "not compared with the live version: neither has a finite value on the same test rows"),
    ],
    ids=["candidate", "live", "neither"],
)
def test_a_metric_without_a_value_on_the_same_rows_is_told_and_is_worse_than_any(candidate, live, passed, told):
    live, candidate = ({"accuracy": one} if one else {} for one in (live, candidate))

    (verdict,) = verdicts({"accuracy": 0.95}, ACCURACY, live, candidate=candidate)

    assert verdict.passed == passed
    assert verdict.sentence().startswith(f"accuracy 0.9500: expected >= 0.9; {told}")


def test_the_verdict_tells_all_the_numbers():
    (verdict,) = verdicts({"accuracy": 0.95}, ACCURACY, {"accuracy": 0.97})

    assert verdict.sentence() == "accuracy 0.9500: expected >= 0.9, live 0.9700 (at most 0.01 worse)"


@pytest.mark.parametrize(
    ("name", "live", "told"),
    [
        ("accuracy", 0.90504, "live 0.90504 (at"),
        ("accuracy", 0.904, "live 0.9040 (at"),
        ("loss", 0.89496, "live 0.89496"),
    ],
)
def test_the_live_value_has_the_digits_that_show_on_which_side_it_lies(name, live, told):
    """Beside the best that is accepted, 0.905 and 0.895: in four digits the first would be seen to be just that."""
    side = "min" if name == "accuracy" else "max"

    (verdict,) = verdicts({name: 0.9}, {name: {side: 0.9, "max_regression": 0.005}}, {name: live})

    assert told in verdict.sentence()


def test_the_verdict_tells_how_well_the_value_is_known():
    (verdict,) = verdicts({"accuracy": 0.8996}, ACCURACY, intervals={"accuracy": [0.8712, 0.9223]})

    # In three digits, which the interval allows, it would be 0.900.
    assert verdict.sentence() == "accuracy 0.8996 (95 % 0.871 to 0.922): expected >= 0.9"


def test_the_worst_slices_are_told_with_their_intervals():
    from components.model_gate import worst_slices

    (verdict,) = verdicts({"loss": 0.6}, LOSS)
    slices = {"overall": {"loss": 0.6}, "a": {"loss": 0.71}, "b": {"loss": 1.4142}, "c": {"accuracy": 1.0}}

    told = worst_slices(slices, {"b": {"loss": [1.21, 1.62]}}, verdict)

    assert told == ["worst: b 1.41 (1.21 to 1.62), a 0.7100"]


def test_a_regression_counts_on_the_rows_that_both_were_asked_about():
    (verdict,) = verdicts({"accuracy": 0.97}, ACCURACY, {"accuracy": 0.97}, candidate={"accuracy": 0.95})

    assert not verdict.passed
    assert verdict.sentence().endswith(
        "on the rows that the live version can predict 0.9500, live 0.9700 (at most 0.01 worse)"
    )


def paired(verdict: str):
    """Returns a comparison by accuracy that came out like this."""
    from components.live_model.comparison import PairedComparison

    return PairedComparison(
        metric="accuracy", version=7, candidate=0.95, published=0.97, low=-0.03, high=-0.01, verdict=verdict
    )


@pytest.mark.parametrize(
    ("challenge", "verdict", "passed"),
    [
        ("not_worse", "beats", True),
        ("not_worse", "ties with", True),
        ("not_worse", "loses to", False),
        ("better", "beats", True),
        ("better", "ties with", False),
        ("better", "loses to", False),
    ],
)
def test_a_challenge_is_judged_though_all_thresholds_are_reached(challenge, verdict, passed):
    from components.model_gate import Decision

    for thresholds in (ACCURACY, {}):
        found = Decision(verdicts=verdicts({"accuracy": 0.95}, thresholds), paired=paired(verdict), challenge=challenge)

        assert found.passed == passed
        assert paired(verdict).sentence() in found.sentence()
        refusal = f"{paired(verdict).sentence()}; evaluate.challenge is {challenge}"
        assert (refusal in found.refusal({}, {})) == (not passed)


def test_a_refusal_says_that_the_live_version_was_asked_about_some_rows_only():
    from components.live_model.comparison import SameRowsMetrics
    from components.model_gate import Decision

    some = SameRowsMetrics(7, {"accuracy": 0.75}, {"accuracy": 0.5}, num_rows=154, num_test_rows=221)
    refused = Decision(
        verdicts=verdicts({"accuracy": 0.4}, ACCURACY), same_rows=some, paired=paired("loses to"), challenge="not_worse"
    )

    assert refused.refusal({}, {}).splitlines()[-1] == f"  {some.notes()[0]}"
    assert "154 of 221 test rows" in some.notes()[0]


def test_of_two_thresholds_one_that_is_missed_refuses_and_is_told_alone():
    from components.model_gate import Decision

    values = {"accuracy": 0.95, "loss": 0.6}
    found = Decision(verdicts=verdicts(values, ACCURACY | LOSS))

    assert [one.passed for one in found.verdicts] == [True, False]
    assert not found.passed
    assert found.sentence() == "accuracy 0.9500: expected >= 0.9; loss 0.6000: expected <= 0.5"
    assert found.refusal({}, {}).splitlines()[1:] == ["  loss 0.6000: expected <= 0.5"]
    assert not Decision(verdicts=verdicts(values, LOSS | ACCURACY)).passed


def test_without_thresholds_and_challenge_a_model_passes():
    from components.model_gate import Decision

    assert Decision(verdicts=[]).passed
    assert Decision(verdicts=[]).sentence() == "no thresholds set"
    assert Decision(verdicts=[], note="why not").sentence() == "why not"


def test_where_the_splits_were_drawn_by_another_rule_a_regression_is_only_reported():
    from components.model_gate import Decision, judge

    decisions = []
    for is_judged in (True, False):
        compared = same_rows({"accuracy": 0.97}, {"accuracy": 0.95}, is_judged=is_judged)
        judged = judge({"accuracy": 0.95}, ACCURACY, lower_is_better=(), same_rows=compared)
        decisions.append(
            Decision(verdicts=judged, same_rows=compared, paired=paired("loses to"), challenge="not_worse")
        )

    assert [one.passed for one in decisions] == [False, True]
    assert "live 0.9700 (only reported)" in decisions[1].sentence()
    assert decisions[1].sentence().endswith("it may have been trained on these test rows")


def blessed(folder, thresholds: dict, *, allow_unblessed: bool) -> bool:
    """Blesses a model of accuracy 0.95 and loss 0.6, or refuses it."""
    from components.model_gate import Decision, bless

    values = {"accuracy": 0.95, "loss": 0.6}
    decision = Decision(verdicts=verdicts(values, thresholds), paired=paired("beats"), challenge="better")
    metrics = {"slices": {"overall": values, "a": {"loss": 0.9}}, "intervals": {"a": {"loss": [0.8, 1.0]}}}
    return bless(folder, decision, metrics, allow_unblessed=allow_unblessed)


def test_a_blessing_says_so_and_holds_verdicts_and_challenge(tmp_path):
    assert blessed(tmp_path, ACCURACY, allow_unblessed=False)

    verdict, challenge = (json.loads((tmp_path / name).read_text()) for name in ("verdict.json", "challenge.json"))
    assert {path.name for path in tmp_path.iterdir()} == {"BLESSED", "verdict.json", "challenge.json"}
    assert verdict[0]["sentence"] == "accuracy 0.9500: expected >= 0.9"
    assert (challenge["verdict"], challenge["version"], challenge["published"]) == ("beats", 7, 0.97)


def test_a_model_that_is_not_good_enough_is_blessed_by_no_means(tmp_path):
    """It goes on where that is asked for, unblessed."""
    with pytest.raises(ModelError, match=r"loss 0\.6000: expected <= 0\.5\n  worst: a 0\.90 \(0\.80 to 1\.00\)"):
        blessed(tmp_path, ACCURACY | LOSS, allow_unblessed=False)
    assert {path.name for path in tmp_path.iterdir()} == {"verdict.json", "challenge.json"}

    assert not blessed(tmp_path, ACCURACY | LOSS, allow_unblessed=True)
    assert {path.name for path in tmp_path.iterdir()} == {"NOT_BLESSED", "verdict.json", "challenge.json"}


@pytest.mark.parametrize(
    ("thresholds", "challenge", "needs_live"),
    [({}, "off", False), (ACCURACY, "off", True), ({}, "better", True), (ACCURACY, "not_worse", True)],
)
def test_the_live_version_is_asked_where_a_requirement_is_about_it(thresholds, challenge, needs_live):
    from components.model_gate import Requirements

    assert Requirements(thresholds, challenge, "accuracy").needs_live == needs_live


def test_a_metric_that_was_not_computed_is_refused():
    with pytest.raises(ModelError, match="Metric accuracy has no finite value; computed were loss"):
        verdicts({"loss": 0.1}, ACCURACY)


def test_the_candidate_itself_is_no_other_version(tmp_path):
    from components.live_model.comparison import Candidate
    from components.model_gate import other_live_version
    from models.serving.rollout.versions import publish

    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_text(name)
    version = publish(tmp_path / "first", tmp_path / "serving" / "digits", {})

    def found(name: str):
        candidate = Candidate(
            saved_model=str(tmp_path / name), metrics={}, evaluation=tmp_path, task=None, config=None, spec=None
        )
        return other_live_version(tmp_path / "serving" / "digits", candidate)

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
