"""Our metrics beside TFMA's and scikit-learn's: also weighted, with a class without rows, with rows in no slice."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from models.evaluation.evaluation import Evaluation
from models.evaluation.metrics import MAE, RMSE, classification
from models.evaluation.predictions import Predictions

ROWS = 300


def _classes(present: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(classes)
    targets = generator.integers(0, present, ROWS)
    scores = generator.random((ROWS, classes)) + 0.6 * np.eye(classes)[targets]
    scores[:5] = np.eye(classes)[0]  # as sure as can be, also where it is wrong
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
def test_every_metric_and_slice_is_tfmas(case):
    import tensorflow_model_analysis as tfma

    from models.evaluation.tfma_config import eval_config

    measured, targets, values, weighted = CASES[case]
    generator = np.random.default_rng(1)
    weights = generator.random(ROWS) * 3 if weighted else None
    places = generator.choice(["north", "süd", ""], ROWS)
    frame = pd.DataFrame({"label": targets, "prediction": list(values), "place": places})
    if weights is not None:
        frame["weight"] = weights
    evaluation = Evaluation(measured)
    sliced = {"place": pa.array(places.tolist()).dictionary_encode()}
    evaluation.add(Predictions(targets, values, weights=weights, slices=sliced))
    ours = evaluation.result().slices

    result = tfma.analyze_raw_data(frame, eval_config(measured, ["place"], weighted=weighted))

    compared = 0
    for key, outputs in result.slicing_metrics:
        name = ",".join(f"{column}={value}" for column, value in key) or "overall"
        for sub_keys in outputs.values():
            for metrics in sub_keys.values():
                for metric, value in metrics.items():
                    if metric == "example_count":  # TFMA's is the sum of weights
                        continue
                    # Its area under the curve is by thresholds; see the next test.
                    near = 1e-4 if metric == "auc" else 1e-6
                    assert ours[name][metric] == pytest.approx(value["doubleValue"], rel=near), (name, metric)
                    compared += 1
    assert compared == 4 * {"two classes, weighted": 3}.get(case, 2)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_area_under_the_curve_is_scikit_learns_also_with_ties(weighted):
    targets, values = _classes(2, 2)
    values = np.round(values, 2)  # ties
    weights = np.random.default_rng(1).random(ROWS) if weighted else None
    evaluation = Evaluation(classification(("no", "yes")))
    evaluation.add(Predictions(targets, values, weights=weights))

    expected = roc_auc_score(targets, values[:, 1], sample_weight=weights)
    assert evaluation.result().slices["overall"]["auc"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_precision_recall_and_f1_of_each_class_are_scikit_learns(weighted):
    targets, values = _classes(2, 3)
    weights = np.random.default_rng(1).random(ROWS) if weighted else None
    evaluation = Evaluation(classification(("a", "b", "c")))
    evaluation.add(Predictions(targets, values, weights=weights))

    found = evaluation.result().slices["overall"]
    expected = precision_recall_fscore_support(
        targets, values.argmax(axis=1), labels=[0, 1, 2], sample_weight=weights, zero_division=0
    )
    for metric, per_class in zip(("precision", "recall", "f1"), expected[:3], strict=True):
        assert [found[f"{metric}@{name}"] for name in "abc"] == pytest.approx(list(per_class))
