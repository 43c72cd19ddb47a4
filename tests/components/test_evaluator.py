"""Metrics of stored predictions, and the files of an evaluation."""

import json

import numpy as np
import pyarrow as pa
import pytest

from data.spec import CategoryFeature, DatasetSpec, LabelFeature, NumberFeature
from models.evaluation.evaluation import Evaluation, EvaluationResult
from models.evaluation.predictions import Predictions
from models.tasks.tabular_classification.config import TabularClassificationConfig
from tests.models.evaluation.stored import store

pytestmark = pytest.mark.slow  # loads TensorFlow and TFX

CLASSES = ("yes", "no")  # not sorted
SPEC = DatasetSpec(
    name="made up",
    title="",
    licence="",
    features={"size": NumberFeature(), "place": CategoryFeature(), "kind": LabelFeature(classes=CLASSES)},
)
CONFIG = TabularClassificationConfig(slice_by=("place",))


def random_predictions(seed: int, count: int = 200) -> Predictions:
    """Returns predictions of two classes; all rows are of one place, which depends on the seed."""
    generator = np.random.default_rng(seed)
    targets, yes = generator.integers(0, 2, count), generator.uniform(size=count).astype(np.float32)
    slices = {
        "kind": pa.DictionaryArray.from_arrays(targets.astype(np.int32), list(CLASSES)),
        "place": pa.DictionaryArray.from_arrays((targets * 0 + seed).astype(np.int32), ["south", "north"]),
    }
    return Predictions(targets, np.stack([yes, 1 - yes], axis=1), slices=slices)


@pytest.fixture
def evaluation(tmp_path):
    """Returns a folder with predictions in two files, and the predictions of each file."""
    parts = [random_predictions(0), random_predictions(1)]
    for index, part in enumerate(parts):
        store(tmp_path / "predictions", part, index)
    return tmp_path, parts


def test_files_are_evaluated_in_their_order_and_slices_of_classes_keep_the_labels_order(evaluation):
    from components.evaluator import evaluate

    folder, (first, second) = evaluation
    expected = Evaluation(CONFIG.metrics(SPEC), "kind")
    expected.add(first)
    expected.add(second)

    result = evaluate(folder / "predictions", CONFIG, SPEC)

    assert list(result.slices) == ["overall", "kind=yes", "kind=no", "place=north", "place=south"]
    assert result.as_json() == expected.result().as_json()  # to the last bit, which depends on the order
    assert result.slices["overall"]["example_count"] == 400


def test_metrics_are_written_with_the_digest_of_the_rows_and_the_definition(evaluation):
    from components.evaluator import evaluate, write_metrics

    folder, _ = evaluation
    (folder / "examples").mkdir()
    summary = {split: {"rows": 400, "digest": f"of {split}"} for split in ("train", "validation", "test")}
    (folder / "examples" / "summary.json").write_text(json.dumps(summary))
    result = evaluate(folder / "predictions", CONFIG, SPEC)

    write_metrics(folder, result, CONFIG, SPEC, examples_uri=str(folder / "examples"), tfma=False)

    written = json.loads((folder / "metrics.json").read_text())
    assert written.keys() == {"slices", "intervals", "confusion_matrix", "definition", "data_digest"}
    assert written["data_digest"] == "of test"
    assert written["slices"] == result.slices
    assert (folder / "metrics").exists() or list(folder.glob("metrics-*"))  # TFMA's


def test_the_definition_lists_metrics_and_slices():
    from components.evaluator import definition

    assert definition(CONFIG, SPEC) == {
        "version": 2,
        "metrics": [
            "auc",
            "accuracy",
            "f1@no",
            "loss",
            "expected_calibration_error",
            *(
                f"{metric}@{name}"
                for metric in ("precision", "recall", "f1")
                for name in CLASSES
                if f"{metric}@{name}" != "f1@no"
            ),
            "example_count",
        ],
        "slices": ["kind", "place"],
    }


def test_metrics_are_described_with_the_digits_that_their_intervals_allow():
    from components.evaluator import describe

    values = {"accuracy": 0.61154, "f1@yes": 0.5, "rmse": 172.0669367313385, "example_count": 1381.0}
    result = EvaluationResult(
        {"overall": values}, {"overall": {"accuracy": (0.562, 0.659), "rmse": (150.0, 194.0)}}, None
    )

    assert describe(result) == "accuracy 0.612, rmse 172, 1,381 rows"
