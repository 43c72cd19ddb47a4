"""`evaluate.tfma: true` on tiny predictions of each kind of task, and the tolerance where TFMA is not exact."""

import numpy as np
import pyarrow as pa
import pytest

from data.errors import ModelError
from models.evaluation.evaluation import Evaluation
from models.evaluation.metrics import AUC, MAE, RATING_RMSE, RMSE, classification, ndcg_at, recall_at
from models.evaluation.predictions import Predictions

pytestmark = pytest.mark.slow  # loads TFMA

ROWS = 60
TWO = classification(("no", "yes"))


def _scores(second_class: np.ndarray) -> np.ndarray:
    return np.stack([1 - second_class, second_class], axis=1).astype(np.float32)


def _label(targets: np.ndarray, classes: tuple[str, ...]) -> dict[str, pa.DictionaryArray]:
    return {"kind": pa.DictionaryArray.from_arrays(targets.astype(np.int32), classes)}


def _check(metrics, predictions, folder):
    """Returns how many values of an evaluation were compared with TFMA's."""
    from components.tfma_check import check_metrics

    evaluation = Evaluation(metrics, "kind")
    evaluation.add(predictions)
    return check_metrics(predictions, metrics, evaluation.result(), folder)


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def test_two_classes_with_slices_of_one_class(generator, tmp_path):
    targets = np.arange(ROWS) % 2
    predictions = Predictions(targets, _scores(generator.random(ROWS)), slices=_label(targets, ("no", "yes")))

    assert _check(TWO, predictions, tmp_path) == 3 + 2 * 2  # the slices have no area under the curve


def test_many_classes(generator, tmp_path):
    targets, scores = np.arange(ROWS) % 3, generator.random((ROWS, 3))
    scores = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)

    assert _check(classification(("a", "b", "c")), Predictions(targets, scores), tmp_path) == 2


def test_numbers_with_a_column_of_slices_that_has_no_value(generator, tmp_path):
    targets = generator.normal(size=ROWS).astype(np.float32)
    place = pa.array(["a", "b"] * (ROWS // 2)).dictionary_encode()
    slices = {"a=b": place, "empty": pa.array([None] * ROWS, pa.string()).dictionary_encode()}

    assert _check((RMSE, MAE), Predictions(targets, targets + 1, slices=slices), tmp_path) == 3 * 2


def test_result_files_are_written_for_metrics_that_tfma_lacks(generator, tmp_path):
    import tensorflow_model_analysis as tfma

    ranks = np.stack([np.arange(ROWS) % 20, generator.random(ROWS)], axis=1).astype(np.float32)
    metrics = recall_at(10), ndcg_at(10), RATING_RMSE

    assert _check(metrics, Predictions(np.ones(ROWS, np.float32), ranks), tmp_path) == 0
    assert tfma.load_eval_result(str(tmp_path)).slicing_metrics[0][1][""][""]["recall_at_10"]["doubleValue"] == 0.5


def test_a_rare_class_whose_scores_lie_between_two_thresholds(generator, tmp_path):
    targets = (np.arange(ROWS) < 3).astype(np.int64)
    scores = (2e-6 + 2e-6 * targets + 1e-6 * generator.random(ROWS)).astype(np.float64)  # ours 1.0, TFMA's 0.5

    assert _check(TWO, Predictions(targets, np.stack([1 - scores, scores], axis=1)), tmp_path) == 3


def test_an_area_that_differs_by_more_than_the_tolerance_is_an_error(generator, tmp_path):
    from components.tfma_check import area_tolerance, check_metrics

    targets = np.arange(ROWS) % 2
    predictions = Predictions(targets, _scores(np.linspace(0.1, 0.9, ROWS)))
    evaluation = Evaluation((AUC,))
    evaluation.add(predictions)
    evaluated = evaluation.result()
    evaluated.slices["overall"]["auc"] += 1e-3

    assert area_tolerance(predictions, np.ones(ROWS, bool)) == 0.0
    with pytest.raises(ModelError, match=r"Metric auc of overall is .* than the 1e-06 that its 100,000 thresholds"):
        check_metrics(predictions, (AUC,), evaluated, tmp_path)


def test_the_tolerance_is_half_of_the_share_of_pairs_between_two_thresholds():
    from components.tfma_check import area_tolerance

    # Of 2 x 2 pairs one, 0.5 and 0.500001, is a tie to TFMA.
    predictions = Predictions(np.array([1, 0, 1, 0]), _scores(np.array([0.5, 0.500001, 0.9, 0.1])))

    assert area_tolerance(predictions, np.ones(4, bool)) == pytest.approx(1 / 8)
