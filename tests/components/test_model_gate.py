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

    assert [verdict.passed for verdict in judge(metrics, published, thresholds)] == [passed]


def test_the_verdict_tells_all_the_numbers():
    from components.model_gate import judge

    (verdict,) = judge({"accuracy": 0.95}, {"accuracy": 0.97}, ACCURACY)

    assert verdict.sentence() == "accuracy 0.9500: expected >= 0.9, live 0.9700 (at most 0.01 worse)"


def test_a_metric_that_was_not_computed_is_refused():
    from components.model_gate import judge

    with pytest.raises(ModelError, match="Metric accuracy has no finite value; computed were loss"):
        judge({"loss": 0.1}, None, ACCURACY)


def test_precision_recall_and_f1_follow_from_the_confusion_matrix():
    import numpy as np

    from components.evaluator import per_class

    # 8 of 10 cats right, 2 called dogs; 3 of 4 dogs right, 1 called a cat; no birds.
    found = per_class(np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]]), ("cat", "dog", "bird"))

    assert found == {
        "precision@cat": pytest.approx(8 / 9),
        "precision@dog": pytest.approx(3 / 5),
        "precision@bird": 0.0,
        "recall@cat": pytest.approx(0.8),
        "recall@dog": pytest.approx(0.75),
        "recall@bird": 0.0,
        "f1@cat": pytest.approx(2 * 8 / (9 + 10)),
        "f1@dog": pytest.approx(2 * 3 / (5 + 4)),
        "f1@bird": 0.0,
    }


@pytest.mark.parametrize(
    ("candidate", "published", "verdict"), [(0.9, 0.6, "beats"), (0.6, 0.9, "loses to"), (0.8, 0.8, "ties with")]
)
def test_candidate_and_published_model_are_compared_on_the_same_rows(
    tmp_path, monkeypatch, candidate, published, verdict
):
    """The published model's answers are written here, in the place of a SavedModel's."""
    import numpy as np

    from components import model_gate, predictions
    from components.artifact_files import PREDICTIONS
    from models.evaluation.metrics import Metric, accuracy
    from tests.pipeline.made_up import answers, spec_of

    targets, values = answers(candidate, 200, 2)
    np.savez(tmp_path / PREDICTIONS.name, targets=targets, values=values, seconds=1.0)
    (tmp_path / "serving" / "7").mkdir(parents=True)

    def write(folder, saved_model, examples_uri, spec, task):
        assert saved_model == str(tmp_path / "serving" / "7")
        np.savez(folder / PREDICTIONS.name, targets=targets, values=answers(published, 200, 2)[1], seconds=1.0)

    monkeypatch.setattr(predictions, "write", write)

    duel = model_gate.duelled(
        Metric("accuracy", accuracy), tmp_path / "serving", tmp_path, "", spec_of(("a", "b")), None
    )

    assert duel.verdict == verdict
    assert (duel.candidate, duel.published) == (pytest.approx(candidate), pytest.approx(published))
    assert duel.sentence().startswith(
        f"accuracy: the candidate {verdict} version 7, {candidate:.4f} and {published:.4f}"
    )


def test_after_a_rollback_the_live_model_is_compared_with_not_the_newest(tmp_path):
    from components.model_gate import published_metrics
    from models.serving.rollout import rollouts

    evaluation = {"data_digest": "rows", "eval_config": "config"}
    for version, accuracy in ((1, 0.95), (2, 0.72)):
        manifest = {"digest": str(version), "evaluation": {**evaluation, "slices": {"overall": {"accuracy": accuracy}}}}
        folder = tmp_path / "digits" / str(version) / "assets.extra"
        folder.mkdir(parents=True)
        (folder / "headrace.json").write_text(json.dumps(manifest))

    def compared() -> dict[str, float] | None:
        return published_metrics(tmp_path / "digits", "another", evaluation, "", None, [])

    newest = compared()
    rollouts.promote(tmp_path / "digits", 1)

    assert (newest, compared()) == ({"accuracy": 0.72}, {"accuracy": 0.95})
