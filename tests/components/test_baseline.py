import contextlib
import json

import numpy as np
import pytest

from models.evaluation.metrics import RMSE

pytestmark = pytest.mark.slow  # loads TFX


@pytest.mark.parametrize(
    ("require", "passing"),
    [
        ("beat", {"beats"}),
        ("beat_trivial", {"beats"}),
        ("tie", {"beats", "ties with"}),
        ("report", {"beats", "ties with", "loses to"}),
    ],
)
def test_the_gate_requires_what_the_settings_say(require, passing):
    from components.baseline import judge
    from data.errors import ModelError
    from models import progress

    conclusions = {  # of a network that passes: what was required first
        "beat": "rmse: judged, as required",
        "tie": "rmse: judged, as required",
        "beat_trivial": "rmse: judged, as required; other",
        "report": "rmse: judged",
    }
    for verdict in ("beats", "ties with", "loses to"):
        passes = verdict in passing
        judged, other = (
            {"best": "mean", "verdict": verdict, "sentence": "rmse: judged"},
            {"best": "ridge", "verdict": "beats", "sentence": "rmse: other"},
        )
        result = (
            {"metric": "rmse", **other, "trivial": judged}
            if require == "beat_trivial"
            else {"metric": "rmse", **judged, "trivial": other}
        )
        reports = []
        expectation = (
            contextlib.nullcontext() if passes else pytest.raises(ModelError, match=f"is {require}.*rmse: judged")
        )
        with progress.listening(reports.append), expectation:
            judge(result, require)

        assert reports == [{"summary": conclusions[require] if passes else "rmse: judged"}]


def test_the_best_model_is_named_once_where_it_is_a_trivial_one():
    from components.baseline import conclusion

    trivial = {"best": "mean", "verdict": "beats", "sentence": "rmse: the network beats mean, 1 and 2"}

    sentence = conclusion({"metric": "rmse", **trivial, "trivial": trivial}, "beat_trivial")

    assert sentence == "rmse: the network beats mean, 1 and 2, as required"


def _write_classical_models(folder, targets, generator):
    """Writes the predictions of the mean and of a good model."""
    predictions = {
        "mean": np.full(len(targets), targets.mean()),
        "ridge": targets + generator.normal(0, 0.1, len(targets)),
    }
    models = {}
    for name, values in predictions.items():
        np.save(folder / f"{name}.npy", values)
        models[name] = {"trivial": name == "mean", "metrics": {"rmse": RMSE.value(targets, values)}}
    (folder / "classical.json").write_text(json.dumps(models))


@pytest.mark.parametrize(
    ("error", "best_verdict", "trivial_verdict"),
    [
        (0.5, "loses to", "beats"),
        (1.0, "loses to", "ties with"),
        (300.0, "loses to", "loses to"),
        (0.05, "beats", "beats"),
    ],
)
def test_a_network_is_compared_with_the_best_model_and_the_best_trivial_one(
    tmp_path, error, best_verdict, trivial_verdict
):
    from components.baseline import compare, judge
    from data.errors import ModelError
    from models.evaluation.predictions import Predictions

    generator = np.random.default_rng(0)
    targets = generator.normal(0, 1, 300)
    _write_classical_models(tmp_path, targets, generator)

    result = compare(Predictions(targets, targets + generator.normal(0, error, 300)), tmp_path, RMSE)

    assert (result["best"], result["verdict"]) == ("ridge", best_verdict)
    assert (result["trivial"]["best"], result["trivial"]["verdict"]) == ("mean", trivial_verdict)
    assert f"rmse: the network {trivial_verdict} mean, " in result["trivial"]["sentence"]
    if trivial_verdict != "beats":
        with pytest.raises(ModelError, match=r"\(baseline.require is beat_trivial\) and was not published; rmse: the"):
            judge(result, "beat_trivial")


def test_rows_of_a_group_count_as_one(tmp_path):
    from components.baseline import compare
    from models.evaluation.predictions import Predictions

    generator, groups = np.random.default_rng(0), np.repeat(np.arange(8, dtype=np.int32), 50)
    # The predictions are exact for three of eight groups, and worse than the mean for the others.
    targets, values = generator.normal(0, 1, 400), np.zeros(400)
    values = targets * np.where(groups < 3, 1.0, -0.1)
    _write_classical_models(tmp_path, targets, generator)

    by_row, by_group = (
        compare(Predictions(targets, values, groups=row_groups), tmp_path, RMSE)["trivial"]
        for row_groups in (None, groups)
    )

    assert (by_row["verdict"], by_group["verdict"]) == ("beats", "ties with")
    assert by_row["difference"] == by_group["difference"]
    assert by_group["sentence"].endswith(", by 8 groups of rows)")
    one_group = compare(Predictions(targets, values, groups=np.zeros(400, np.int32)), tmp_path, RMSE)["trivial"]
    assert (one_group["verdict"], one_group["interval"]) == ("ties with", [None, None])


def test_rows_count_by_their_weights_in_both_models(tmp_path):
    from components.baseline import compare, network_facts
    from models.evaluation.predictions import Predictions

    generator, is_right = np.random.default_rng(0), np.arange(400) % 4 == 0
    targets = generator.normal(0, 1, 400)
    values = np.where(is_right, targets + 0.01, -targets)
    _write_classical_models(tmp_path, targets, generator)

    alike, weighted = (Predictions(targets, values, weights=weights) for weights in (None, is_right * 2.0))

    assert compare(alike, tmp_path, RMSE)["trivial"]["verdict"] == "loses to"
    assert compare(weighted, tmp_path, RMSE)["verdict"] == "beats"
    facts = network_facts(weighted, {"rows": 9, "seconds": 1.0, "peak_mib": 1.0}, {"rmse": RMSE})
    assert facts["metrics"]["rmse"] == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        (None, "auc: the network ties with majority, 0.6667 and 0.5000, and no difference can be seen: only 1 test"),
        (0, "no difference can be seen: all test rows are of one group"),
    ],
)
def test_the_gate_says_why_a_difference_is_not_known(tmp_path, groups, sentence):
    from components.baseline import compare
    from models.evaluation.metrics import AUC
    from models.evaluation.predictions import Predictions

    targets, scores = np.array([0, 0, 0, 1]), np.array([0.1, 0.2, 0.9, 0.5])
    values, constant = (np.stack([1 - positive, positive], axis=1) for positive in (scores, np.full(4, 0.5)))
    np.save(tmp_path / "majority.npy", constant)
    models = {"majority": {"trivial": True, "metrics": {"auc": 0.5}}}
    (tmp_path / "classical.json").write_text(json.dumps(models))
    groups = None if groups is None else np.zeros(4, np.int32)

    comparison = compare(Predictions(targets, values, groups), tmp_path, AUC, ("no", "yes"))["trivial"]

    assert sentence in comparison["sentence"]
    assert groups is not None or comparison["sentence"].endswith("only 1 test row is yes")


def test_a_model_whose_metric_is_no_finite_number_is_never_the_best():
    from components.baseline import best_model

    models = {"mean": {"metrics": {"rmse": 2.0}}, "ridge": {"metrics": {"rmse": None}}}

    assert best_model(models, RMSE) == "mean"
    assert best_model({"ridge": models["ridge"]}, RMSE) == "ridge"


def test_facts_of_the_network_have_its_metrics_and_microseconds_per_row():
    from components.baseline import network_facts
    from models.evaluation.predictions import Predictions

    predictions = Predictions(np.zeros(4, np.float32), np.array([3.0, 4.0, 0.0, 0.0], np.float32), seconds=0.002)
    training = {"rows": 100, "seconds": 1.5, "peak_mib": 64.0}

    facts = network_facts(predictions, training, {"rmse": RMSE})

    assert facts.pop("features")
    assert facts == {
        "metrics": {"rmse": 2.5},  # the root of (9 + 16) / 4
        "rows": 100,
        "train_seconds": 1.5,
        "microseconds_per_row": pytest.approx(500.0),
        "peak_mib": 64.0,
    }
