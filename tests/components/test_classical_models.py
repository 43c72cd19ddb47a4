"""How a reference model is trained and measured, on tiny frames, without a pipeline."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from data.spec import DatasetSpec, LabelFeature, NumberFeature, TargetFeature
from models.evaluation.metrics import MAE, RMSE, classification

LABELS = DatasetSpec(
    name="x", title="", licence="", features={"n": NumberFeature(), "kind": LabelFeature(classes=("a", "b", "c"))}
)
PRICES = DatasetSpec(name="x", title="", licence="", features={"n": NumberFeature(), "price": TargetFeature()})


def _frame(target: str, values: list) -> pd.DataFrame:
    return pd.DataFrame({"n": np.arange(float(len(values))), target: values})


def _fit(estimator, spec, frames, metrics, max_rows=None):
    from components.classical import fit
    from models.tasks.reference import Candidate

    return fit(Candidate(estimator, "none", max_rows, trivial=True), frames, spec, metrics, 1)


def test_a_number_is_predicted_and_measured_by_hand():
    frames = {"train": _frame("price", [1.0, 2.0, 6.0]), "test": _frame("price", [3.0, 7.0])}

    result, predictions = _fit(DummyRegressor(), PRICES, frames, {"rmse": RMSE, "mae": MAE})

    assert predictions.tolist() == [3.0, 3.0]  # the mean
    assert result["metrics"] == {"rmse": pytest.approx(np.sqrt(8)), "mae": 2.0}
    assert (result["rows"], result["features"], result["trivial"]) == (3, "none", True)
    assert result["train_seconds"] > 0
    assert result["microseconds_per_row"] > 0


def test_classes_that_training_lacks_have_no_probability():
    frames = {"train": _frame("kind", [0, 2, 2, 2]), "test": _frame("kind", [2, 1])}
    (accuracy,) = (one for one in classification(("a", "b", "c")) if getattr(one, "name", "") == "accuracy")

    result, predictions = _fit(DummyClassifier(strategy="prior"), LABELS, frames, {"accuracy": accuracy})

    np.testing.assert_allclose(predictions, [[0.25, 0.0, 0.75]] * 2)
    assert result["metrics"] == {"accuracy": 0.5}


@pytest.mark.parametrize(("max_rows", "rows"), [(None, 40), (40, 40), (41, 40), (39, 39), (5, 5)])
def test_no_more_rows_are_learned_from_than_the_model_can_afford(max_rows, rows):
    frames = {"train": _frame("price", list(range(40))), "test": _frame("price", [1.0])}

    result, predictions = _fit(DummyRegressor(), PRICES, frames, {"mae": MAE}, max_rows)
    again, _ = _fit(DummyRegressor(), PRICES, frames, {"mae": MAE}, max_rows)

    assert result["rows"] == rows
    assert (predictions[0] == pytest.approx(19.5)) == (rows == 40)
    assert again["metrics"] == result["metrics"]  # the seed's


@pytest.mark.parametrize(("values", "lower", "best"), [([0.5, 0.9], False, "1"), ([0.5, 0.9], True, "0")])
def test_the_best_model_goes_by_the_direction_of_the_metric(values, lower, best):
    from components.baseline import best_model

    metric = RMSE if lower else classification(("a", "b"))[1]
    models = {str(index): {"metrics": {metric.name: value}} for index, value in enumerate(values)}

    assert best_model(models, metric) == best
    assert best_model({**models, "none": {"metrics": {metric.name: None}}}, metric) == best


def test_a_missing_date_is_nan_and_a_number_of_any_size_is_kept(tmp_path):
    from components.classical import read_frame
    from data.spec import DateFeature
    from tests.components.test_classical import _write_table

    spec, rows = _write_table(tmp_path)
    (name,) = spec.of(DateFeature)

    column = read_frame(str(tmp_path), "train", spec)[name]

    assert column.isna().tolist() == [name not in row for row in rows]
    assert column.dropna().tolist() == [row[name] for row in rows if name in row]


def test_of_classes_with_one_test_row_those_with_none_are_not_told():
    from components.baseline import _why_unknown

    targets = np.array([0, 0, 2, 3])

    assert _why_unknown(targets, ("a", "b", "c", "d"), None).startswith("only 1 test row is c")
    assert _why_unknown(targets, ("a", "b", "c", "d"), 1) == "all test rows are of one group"
    assert _why_unknown(targets[:2], ("a", "b"), 2) == "there are too few test rows"
    assert _why_unknown(targets, (), None) == "there are too few test rows"
