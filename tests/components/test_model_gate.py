import json

import pytest

from data.errors import ModelError

pytestmark = pytest.mark.slow  # loads TFX

ACCURACY = {"accuracy": {"min": 0.9, "max": None, "max_regression": 0.01}}
LOSS = {"loss": {"min": None, "max": 0.5, "max_regression": 0.0}}


def verdicts(metrics: dict, thresholds: dict, live: dict | None = None, **changes) -> list:
    """Returns verdicts on metrics of which lower loss and rmse are better.

    With `live`, its metrics on the same rows, those of the candidate are `candidate`, by default `metrics`.
    """
    from components.model_gate import judge

    same_rows_metrics = None if live is None else same_rows(live, changes.pop("candidate", metrics))
    return judge(metrics, thresholds, lower_is_better={"loss", "rmse"}, same_rows=same_rows_metrics, **changes)


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
        ("accuracy", 0.0, 0.3, 0.0, 0.1 + 0.2, True),  # 0.1 + 0.2 is 0.30000000000000004
        ("rmse", 9.05e-20, 9.0e-20, 1.0, 5.0e-22, True),
        ("rmse", 9.06e-20, 9.0e-20, 1.0, 5.0e-22, False),  # the tolerance is relative
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
    assert len(verdict.sentence()) < 100  # values are rounded


def test_of_an_error_lower_values_are_better():
    (verdict,) = verdicts({"rmse": 3.0}, {"rmse": {"max": 4.0, "min": None, "max_regression": 0.5}}, {"rmse": 2.0})

    assert verdict.reaches_bound
    assert verdict.regresses
    assert verdict.sentence() == "rmse 3.0000: expected <= 4, live 2.0000 (at most 0.5 worse)"


@pytest.mark.parametrize(
    ("candidate", "live", "passed", "text"),
    [
        ({}, 0.9, False, "on the rows that the live version can predict it has no finite value, live 0.9000 (at"),
        (0.5, {}, True, "not compared with the live version: it does not have a finite value on the same test rows"),
        ({}, {}, True, "not compared with the live version: neither has a finite value on the same test rows"),
    ],
    ids=["candidate", "live", "neither"],
)
def test_a_metric_without_a_value_on_the_same_rows_is_named_and_is_worse_than_any_value(candidate, live, passed, text):
    live, candidate = ({"accuracy": value} if value else {} for value in (live, candidate))

    (verdict,) = verdicts({"accuracy": 0.95}, ACCURACY, live, candidate=candidate)

    assert verdict.passed == passed
    assert verdict.sentence().startswith(f"accuracy 0.9500: expected >= 0.9; {text}")


def test_the_sentence_of_a_verdict_has_value_threshold_and_live_value():
    (verdict,) = verdicts({"accuracy": 0.95}, ACCURACY, {"accuracy": 0.97})

    assert verdict.sentence() == "accuracy 0.9500: expected >= 0.9, live 0.9700 (at most 0.01 worse)"


@pytest.mark.parametrize(
    ("name", "live", "text"),
    [
        ("accuracy", 0.90504, "live 0.90504 (at"),
        ("accuracy", 0.904, "live 0.9040 (at"),
        ("loss", 0.89496, "live 0.89496"),
    ],
)
def test_the_live_value_has_digits_enough_to_show_whether_it_is_reached(name, live, text):
    """The bounds are 0.905 and 0.895: in four digits the first live value would be 0.9050."""
    side = "min" if name == "accuracy" else "max"

    (verdict,) = verdicts({name: 0.9}, {name: {side: 0.9, "max_regression": 0.005}}, {name: live})

    assert text in verdict.sentence()


def test_the_sentence_of_a_verdict_has_the_interval():
    (verdict,) = verdicts({"accuracy": 0.8996}, ACCURACY, intervals={"accuracy": [0.8712, 0.9223]})

    # In three digits, which the interval allows, it would be 0.900.
    assert verdict.sentence() == "accuracy 0.8996 (95 % 0.871 to 0.922): expected >= 0.9"


def test_the_worst_slices_are_listed_with_their_intervals():
    from components.model_gate import worst_slices

    (verdict,) = verdicts({"loss": 0.6}, LOSS)
    slices = {"overall": {"loss": 0.6}, "a": {"loss": 0.71}, "b": {"loss": 1.4142}, "c": {"accuracy": 1.0}}

    lines = worst_slices(slices, {"b": {"loss": [1.21, 1.62]}}, verdict)

    assert lines == ["worst: b 1.41 (1.21 to 1.62), a 0.7100"]


def test_a_regression_is_judged_on_the_rows_that_both_can_predict():
    (verdict,) = verdicts({"accuracy": 0.97}, ACCURACY, {"accuracy": 0.97}, candidate={"accuracy": 0.95})

    assert not verdict.passed
    assert verdict.sentence().endswith(
        "on the rows that the live version can predict 0.9500, live 0.9700 (at most 0.01 worse)"
    )


def paired(verdict: str):
    """Returns a paired comparison by accuracy with this verdict."""
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
        decision = Decision(
            verdicts=verdicts({"accuracy": 0.95}, thresholds), paired=paired(verdict), challenge=challenge
        )

        assert decision.passed == passed
        assert paired(verdict).sentence() in decision.sentence()
        refusal = f"{paired(verdict).sentence()}; evaluate.challenge is {challenge}"
        assert (refusal in decision.refusal({}, {})) == (not passed)


def test_a_refusal_says_that_only_some_rows_were_compared():
    from components.live_model.comparison import SameRowsMetrics
    from components.model_gate import Decision

    metrics = SameRowsMetrics(7, {"accuracy": 0.75}, {"accuracy": 0.5}, num_rows=154, num_test_rows=221)
    decision = Decision(
        verdicts=verdicts({"accuracy": 0.4}, ACCURACY),
        same_rows=metrics,
        paired=paired("loses to"),
        challenge="not_worse",
    )

    assert decision.refusal({}, {}).splitlines()[-1] == f"  {metrics.notes()[0]}"
    assert "154 of 221 test rows" in metrics.notes()[0]


def test_one_of_two_thresholds_refuses_and_only_that_one_is_named():
    from components.model_gate import Decision

    values = {"accuracy": 0.95, "loss": 0.6}
    decision = Decision(verdicts=verdicts(values, ACCURACY | LOSS))

    assert [verdict.passed for verdict in decision.verdicts] == [True, False]
    assert not decision.passed
    assert decision.sentence() == "accuracy 0.9500: expected >= 0.9; loss 0.6000: expected <= 0.5"
    assert decision.refusal({}, {}).splitlines()[1:] == ["  loss 0.6000: expected <= 0.5"]
    assert not Decision(verdicts=verdicts(values, LOSS | ACCURACY)).passed


def test_without_thresholds_and_challenge_a_model_passes():
    from components.model_gate import Decision

    assert Decision(verdicts=[]).passed
    assert Decision(verdicts=[]).sentence() == "no thresholds set"
    assert Decision(verdicts=[], note="why not").sentence() == "why not"


def test_a_regression_is_only_reported_if_the_live_versions_splits_follow_another_rule():
    from components.model_gate import Decision, judge

    decisions = []
    for is_judged in (True, False):
        metrics = same_rows({"accuracy": 0.97}, {"accuracy": 0.95}, is_judged=is_judged)
        judged = judge({"accuracy": 0.95}, ACCURACY, lower_is_better=(), same_rows=metrics)
        decisions.append(Decision(verdicts=judged, same_rows=metrics, paired=paired("loses to"), challenge="not_worse"))

    assert [decision.passed for decision in decisions] == [False, True]
    assert "live 0.9700 (only reported)" in decisions[1].sentence()
    assert decisions[1].sentence().endswith("it may have been trained on these test rows")


def blessed(folder, thresholds: dict, *, allow_unblessed: bool) -> bool:
    """Blesses a model of accuracy 0.95 and loss 0.6, or refuses it."""
    from components.model_gate import Decision, bless

    values = {"accuracy": 0.95, "loss": 0.6}
    decision = Decision(verdicts=verdicts(values, thresholds), paired=paired("beats"), challenge="better")
    metrics = {"slices": {"overall": values, "a": {"loss": 0.9}}, "intervals": {"a": {"loss": [0.8, 1.0]}}}
    return bless(folder, decision, metrics, allow_unblessed=allow_unblessed)


def test_a_blessing_holds_its_mark_verdicts_and_challenge(tmp_path):
    assert blessed(tmp_path, ACCURACY, allow_unblessed=False)

    verdict, challenge = (json.loads((tmp_path / name).read_text()) for name in ("verdict.json", "challenge.json"))
    assert {path.name for path in tmp_path.iterdir()} == {"BLESSED", "verdict.json", "challenge.json"}
    assert verdict[0]["sentence"] == "accuracy 0.9500: expected >= 0.9"
    assert (challenge["verdict"], challenge["version"], challenge["published"]) == ("beats", 7, 0.97)


def test_a_model_that_is_not_good_enough_is_never_blessed(tmp_path):
    """With `allow_unblessed` the run goes on without a blessing."""
    with pytest.raises(ModelError, match=r"loss 0\.6000: expected <= 0\.5\n  worst: a 0\.90 \(0\.80 to 1\.00\)"):
        blessed(tmp_path, ACCURACY | LOSS, allow_unblessed=False)
    assert {path.name for path in tmp_path.iterdir()} == {"verdict.json", "challenge.json"}

    assert not blessed(tmp_path, ACCURACY | LOSS, allow_unblessed=True)
    assert {path.name for path in tmp_path.iterdir()} == {"NOT_BLESSED", "verdict.json", "challenge.json"}


@pytest.mark.parametrize(
    ("thresholds", "challenge", "needs_live"),
    [({}, "off", False), (ACCURACY, "off", True), ({}, "better", True), (ACCURACY, "not_worse", True)],
)
def test_the_live_version_is_needed_for_thresholds_and_challenges(thresholds, challenge, needs_live):
    from components.model_gate import Requirements

    assert Requirements(thresholds, challenge, "accuracy").needs_live == needs_live


def test_a_metric_that_was_not_computed_is_refused():
    with pytest.raises(ModelError, match="Metric accuracy has no finite value; computed were loss"):
        verdicts({"loss": 0.1}, ACCURACY)


def test_the_candidate_is_not_compared_with_itself(tmp_path):
    from components.live_model.comparison import Candidate
    from components.model_gate import other_live_version
    from models.serving.rollout.versions import publish

    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_text(name)
    version = publish(tmp_path / "first", tmp_path / "serving" / "digits", {})

    def live_version(name: str):
        candidate = Candidate(
            saved_model=str(tmp_path / name), metrics={}, evaluation=tmp_path, task=None, config=None, spec=None
        )
        return other_live_version(tmp_path / "serving" / "digits", candidate)

    assert live_version("first") is None
    assert live_version("second").version == version


def test_after_a_rollback_the_candidate_is_compared_with_the_live_version_not_the_newest(tmp_path):
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
