"""TFMA as the referee of our metrics: it computes its own of the same predictions, 0.5 ms a row. Loads TFMA."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from data.errors import ModelError
from models.evaluation import OVERALL, tfma_files
from models.evaluation.evaluation import Evaluated
from models.evaluation.metrics import Metric, PerClass
from models.evaluation.predictions import Predictions

TARGET, PREDICTION, WEIGHT = "(target)", "(prediction)", "(weight)"  # columns beside those of slices
THRESHOLDS = 100_000  # of TFMA's area under the curve: scores between two of them are equal to it, ours is by sorting
TOLERANCE = 1e-6


def hold(predicted: Predictions, measured: Sequence[Metric | PerClass], found: Evaluated, folder: Path) -> int:
    """Returns how many of our numbers TFMA has too; they agree. Writes its result files into a folder.

    Of a task whose metrics TFMA has not, the files hold ours.

    Raises:
        ModelError: A number is another.
    """
    slice_by = [name for name, values in predicted.slices.items() if values.null_count < len(values)]
    if not any(isinstance(one, Metric) and one.tfma for one in measured):
        tfma_files.write(folder, found)
        return 0
    result = tfma.analyze_raw_data(
        frame(predicted, slice_by),
        eval_config(measured, slice_by, weighted=predicted.weights is not None),
        output_path=str(folder),
    )
    rows_of_slice = _rows_of_slices(predicted)
    compared = 0
    for key, outputs in result.slicing_metrics:
        name = ",".join(f"{column}={value}" for column, value in key) or OVERALL
        for metric, value in _values(outputs):
            ours = found.slices[name].get(metric, math.nan)
            if math.isnan(ours) and (math.isnan(value) or value == 0.0):
                continue  # TFMA's 0.0 of rows of one class, whose area under the curve is not defined
            tolerance, reason = TOLERANCE, ""
            if metric == "auc":
                tolerance += area_tolerance(predicted, rows_of_slice(name))
                reason = f", further apart than the {tolerance:.2g} that its {THRESHOLDS:,} thresholds explain"
            if not math.isclose(ours, value, rel_tol=TOLERANCE, abs_tol=tolerance):
                raise ModelError(
                    f"Metric {metric} of {name} is {ours!r} by Headrace and {value!r} by TFMA{reason}; report it."
                )
            compared += 1
    return compared


def _rows_of_slices(predicted: Predictions) -> Callable[[str], np.ndarray]:
    """Returns a function of a slice's name that returns which rows are in it, bool `(rows,)`."""
    texts = {column: np.array(values.to_pylist(), object) for column, values in predicted.slices.items()}
    every = np.ones(len(predicted.targets), bool)

    def rows(name: str) -> np.ndarray:
        columns = [column for column in texts if name.startswith(f"{column}=")]
        return next((texts[column] == name[len(column) + 1 :] for column in columns), every)

    return rows


def area_tolerance(predicted: Predictions, rows: np.ndarray) -> float:
    """Returns how far TFMA's area under the curve of some rows, bool `(rows,)`, may be from the exact one.

    A pair of a row of each class counts as half where both scores lie between the same two thresholds, whichever is
    higher: at most half of the share of such pairs. Scores beside a threshold may be rounded to the other side.
    """
    scores, positive = predicted.values[rows, 1].astype(np.float64), predicted.targets[rows] == 1
    weights = np.ones(len(scores)) if predicted.weights is None else predicted.weights[rows]
    bins = np.floor(scores * (THRESHOLDS - 1)).astype(np.int64)
    above, below = (np.bincount(bins[one], weights[one], THRESHOLDS + 1) for one in (positive, ~positive))
    near = below + np.append(below[1:], 0.0) + np.append(0.0, below[:-1])
    pairs = above.sum() * below.sum()
    return float(np.dot(above, near) / (2 * pairs)) if pairs else 0.0


def _values(outputs: dict) -> Iterable[tuple[str, float]]:
    for sub_keys in outputs.values():
        for metrics in sub_keys.values():
            for metric, value in metrics.items():
                yield metric, float(value["doubleValue"])


def frame(predicted: Predictions, slice_by: Sequence[str]) -> pd.DataFrame:
    """Returns predictions and some columns of slices as TFMA takes them, a row each."""
    columns = {TARGET: predicted.targets, PREDICTION: list(predicted.values)}
    if predicted.weights is not None:
        columns[WEIGHT] = predicted.weights
    return pd.DataFrame({**columns, **{name: predicted.slices[name].to_pylist() for name in slice_by}})


def eval_config(
    measured: Iterable[Metric | PerClass], slice_by: Sequence[str], *, weighted: bool
) -> config_pb2.EvalConfig:
    """Returns TFMA's config of those metrics that it has too, of the columns of `frame`.

    Args:
        measured: Our metrics.
        slice_by: Columns by whose values everything is broken down.
        weighted: Whether rows have weights.
    """
    names = [one for one in measured if isinstance(one, Metric) and one.tfma]
    specs = [config_pb2.MetricsSpec(metrics=[_config(one) for one in names if not one.of_second_class])]
    if of_second := [_config(one) for one in names if one.of_second_class]:
        options = config_pb2.BinarizationOptions(class_ids={"values": [1]})
        specs.append(config_pb2.MetricsSpec(metrics=of_second, binarize=options))
    weights = {"example_weight_key": WEIGHT} if weighted else {}
    return config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(label_key=TARGET, prediction_key=PREDICTION, **weights)],
        metrics_specs=specs,
        slicing_specs=[config_pb2.SlicingSpec(), *(config_pb2.SlicingSpec(feature_keys=[name]) for name in slice_by)],
    )


def _config(metric: Metric) -> config_pb2.MetricConfig:
    assert metric.tfma
    class_name, settings = metric.tfma
    if class_name == "AUC":
        settings = settings | {"num_thresholds": THRESHOLDS}
    return config_pb2.MetricConfig(class_name=class_name, config=json.dumps(settings))
