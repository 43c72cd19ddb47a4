"""Our metrics and TFMA's or scikit-learn's: also weighted, with a class without rows, with rows in no slice."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from data.errors import ModelError
from models.evaluation.evaluation import Evaluation
from models.evaluation.metrics import MAE, RMSE, classification
from models.evaluation.predictions import Predictions

ROWS = 300


def _classes(present: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(classes)
    targets = generator.integers(0, present, ROWS)
    scores = generator.random((ROWS, classes)) + 0.6 * np.eye(classes)[targets]
    scores[:5] = np.eye(classes)[0]  # probability 1, also where it is wrong
    return targets, (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def _numbers() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    targets = generator.normal(1e3, 50, ROWS).astype(np.float32)
    return targets, (targets + generator.normal(0, 5, ROWS)).astype(np.float32)


CASES = {
    "two classes, weighted": (classification(("no", "yes")), *_classes(2, 2), True),
    "a class without rows": (classification(("a", "b", "c")), *_classes(2, 3), False),
    "numbers, weighted": ((RMSE, MAE), *_numbers(), True),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_metric_of_every_slice_is_that_of_tfma(case, tmp_path):
    from components.tfma_check import check_metrics

    measured, targets, values, weighted = CASES[case]
    generator = np.random.default_rng(1)
    weights = generator.random(ROWS) * 3 if weighted else None
    regions = pa.array(generator.choice(["north", "süd", None], ROWS).tolist(), pa.string()).dictionary_encode()
    predicted = Predictions(targets, values, weights=weights, slices={"region": regions})
    evaluation = Evaluation(measured)
    evaluation.add(predicted)
    result = evaluation.result()

    assert check_metrics(predicted, measured, result, tmp_path) == 3 * {"two classes, weighted": 3}.get(case, 2)

    name = measured[1].name
    result.slices["region=süd"][name] += 2e-6 * max(1, result.slices["region=süd"][name])
    with pytest.raises(ModelError, match=f"Metric {name} of region=süd is .* by Headrace and .* by TFMA"):
        check_metrics(predicted, measured, result, tmp_path / "again")


@pytest.mark.slow
def test_tfma_reads_our_metrics_as_its_results(tmp_path):
    import tensorflow_model_analysis as tfma

    from models.evaluation import tfma_files

    targets, values = _classes(2, 3)
    evaluation = Evaluation(classification(("a", "b", "c")), "kind")
    sliced = pa.DictionaryArray.from_arrays(targets.astype(np.int32), ["a", "b", "c"])
    evaluation.add(Predictions(targets, values, slices={"kind": sliced, "a=b": sliced}))
    evaluated = evaluation.result()

    tfma_files.write(tmp_path, evaluated)

    result = tfma.load_eval_result(str(tmp_path))
    for key, outputs in result.slicing_metrics:
        name = ",".join(f"{column}={value}" for column, value in key) or "overall"
        assert {metric: entry["doubleValue"] for metric, entry in outputs[""][""].items()} == evaluated.slices[name]
    assert len(result.slicing_metrics) == len(evaluated.slices)
    entries = result.plots[0][1][""][""]["multiClassConfusionMatrixAtThresholds"]["matrices"][0]["entries"]
    assert sum(entry["numWeightedExamples"] for entry in entries) == ROWS
    assert [list(spec.feature_keys) for spec in result.config.slicing_specs] == [[], ["kind"], ["a=b"]]


@pytest.mark.parametrize("weighted", [False, True])
def test_the_area_under_the_curve_is_that_of_scikit_learn_also_with_ties(weighted):
    targets, values = _classes(2, 2)
    values = np.round(values, 2)  # ties
    weights = np.random.default_rng(1).random(ROWS) if weighted else None
    evaluation = Evaluation(classification(("no", "yes")))
    evaluation.add(Predictions(targets, values, weights=weights))

    expected = roc_auc_score(targets, values[:, 1], sample_weight=weights)
    assert evaluation.result().slices["overall"]["auc"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_precision_recall_and_f1_of_each_class_are_those_of_scikit_learn(weighted):
    targets, values = _classes(2, 3)
    weights = np.random.default_rng(1).random(ROWS) if weighted else None
    evaluation = Evaluation(classification(("a", "b", "c")))
    evaluation.add(Predictions(targets, values, weights=weights))

    metrics = evaluation.result().slices["overall"]
    expected = precision_recall_fscore_support(
        targets, values.argmax(axis=1), labels=[0, 1, 2], sample_weight=weights, zero_division=np.nan
    )
    for metric, per_class in zip(("precision", "recall", "f1"), expected[:3], strict=True):
        values_of_classes = [metrics.get(f"{metric}@{name}", np.nan) for name in "abc"]
        assert values_of_classes == pytest.approx(list(per_class), nan_ok=True)
