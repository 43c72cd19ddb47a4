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
def test_the_gate_asks_for_as_much_as_the_settings(require, passing):
    from components.baseline import judge
    from data.errors import ModelError
    from models import progress

    for verdict in ("beats", "ties with", "loses to"):
        passes = verdict in passing
        asked, other = {"verdict": verdict, "sentence": "rmse: judged"}, {"verdict": "beats", "sentence": "rmse: other"}
        result = {**other, "trivial": asked} if require == "beat_trivial" else {**asked, "trivial": other}
        said = []
        refused = contextlib.nullcontext() if passes else pytest.raises(ModelError, match=f"is {require}.*rmse: judged")
        with progress.listening(said.append), refused:
            judge(result, require)

        # A stage that passes shows the best model, one that does not the comparison by which it is refused.
        assert said == [{"summary": result["sentence"] if passes else "rmse: judged"}]


def _rivals(folder, targets, generator):
    """Writes what the mean, and a good model, predicted."""
    predictions = {
        "mean": np.full(len(targets), targets.mean()),
        "ridge": targets + generator.normal(0, 0.1, len(targets)),
    }
    found = {}
    for name, values in predictions.items():
        np.save(folder / f"{name}.npy", values)
        found[name] = {"trivial": name == "mean", "metrics": {"rmse": RMSE.value(targets, values)}}
    (folder / "classical.json").write_text(json.dumps(found))


@pytest.mark.parametrize(
    ("error", "beside_best", "beside_trivial"),
    [
        (0.5, "loses to", "beats"),
        (1.0, "loses to", "ties with"),
        (300.0, "loses to", "loses to"),
        (0.05, "beats", "beats"),
    ],
)
def test_a_network_is_held_against_the_best_model_and_the_best_trivial_one(
    tmp_path, error, beside_best, beside_trivial
):
    from components.baseline import compare, judge
    from data.errors import ModelError
    from models.evaluation.predictions import Predictions

    generator = np.random.default_rng(0)
    targets = generator.normal(0, 1, 300)
    _rivals(tmp_path, targets, generator)

    found = compare(Predictions(targets, targets + generator.normal(0, error, 300)), tmp_path, RMSE)

    assert (found["best"], found["verdict"]) == ("ridge", beside_best)
    assert (found["trivial"]["best"], found["trivial"]["verdict"]) == ("mean", beside_trivial)
    assert f"rmse: the network {beside_trivial} mean, " in found["trivial"]["sentence"]
    if beside_trivial != "beats":
        with pytest.raises(ModelError, match=r"\(baseline.require is beat_trivial\) and was not published; rmse: the"):
            judge(found, "beat_trivial")


def test_rows_of_a_group_count_as_one(tmp_path):
    from components.baseline import compare
    from models.evaluation.predictions import Predictions

    generator, groups = np.random.default_rng(0), np.repeat(np.arange(8, dtype=np.int32), 50)
    # Three of eight users are easier than the mean thinks, all rows of a user alike.
    targets, values = generator.normal(0, 1, 400), np.zeros(400)
    values = targets * np.where(groups < 3, 1.0, -0.1)
    _rivals(tmp_path, targets, generator)

    by_row, by_group = (
        compare(Predictions(targets, values, groups=one), tmp_path, RMSE)["trivial"] for one in (None, groups)
    )

    assert (by_row["verdict"], by_group["verdict"]) == ("beats", "ties with")
    assert by_row["difference"] == by_group["difference"]
    assert by_group["sentence"].endswith(", by 8 groups of rows)")
    one_group = compare(Predictions(targets, values, groups=np.zeros(400, np.int32)), tmp_path, RMSE)["trivial"]
    assert (one_group["verdict"], one_group["interval"]) == ("ties with", [None, None])


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        (None, "auc: the network ties with majority, 0.6667 and 0.5000, and no difference can be seen: only 1 test"),
        (0, "no difference can be seen: all test rows are of one group"),
    ],
)
def test_of_one_row_of_a_class_no_difference_can_be_seen_and_the_gate_says_so(tmp_path, groups, sentence):
    from components.baseline import compare
    from models.evaluation.metrics import AUC
    from models.evaluation.predictions import Predictions

    targets, scores = np.array([0, 0, 0, 1]), np.array([0.1, 0.2, 0.9, 0.5])
    values, constant = (np.stack([1 - one, one], axis=1) for one in (scores, np.full(4, 0.5)))
    np.save(tmp_path / "majority.npy", constant)
    facts = {"majority": {"trivial": True, "metrics": {"auc": 0.5}}}
    (tmp_path / "classical.json").write_text(json.dumps(facts))
    groups = None if groups is None else np.zeros(4, np.int32)

    found = compare(Predictions(targets, values, groups), tmp_path, AUC, ("no", "yes"))["trivial"]

    assert sentence in found["sentence"]
    assert groups is not None or found["sentence"].endswith("only 1 test row is yes")


def test_a_model_whose_metric_is_no_finite_number_is_never_the_best():
    from components.baseline import best_model

    models = {"mean": {"metrics": {"rmse": 2.0}}, "ridge": {"metrics": {"rmse": None}}}

    assert best_model(models, RMSE) == "mean"
    assert best_model({"ridge": models["ridge"]}, RMSE) == "ridge"


def test_the_network_is_told_with_its_metrics_and_the_microseconds_that_a_row_took():
    from components.baseline import network_facts
    from models.evaluation.predictions import Predictions

    predicted = Predictions(np.zeros(4, np.float32), np.array([3.0, 4.0, 0.0, 0.0], np.float32), seconds=0.002)
    training = {"rows": 100, "seconds": 1.5, "peak_mib": 64.0}

    facts = network_facts(predicted, training, {"rmse": RMSE})

    assert facts.pop("features")
    assert facts == {
        "metrics": {"rmse": 2.5},  # the root of (9 + 16) / 4
        "rows": 100,
        "train_seconds": 1.5,
        "microseconds_per_row": pytest.approx(500.0),
        "peak_mib": 64.0,
    }
