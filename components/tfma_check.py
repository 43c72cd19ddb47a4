"""Checks metrics by TFMA, which computes its own from the same predictions in 0.5 ms a row. Loads TFMA."""

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
from models.evaluation.evaluation import EvaluationResult
from models.evaluation.metrics import Metric, PerClass
from models.evaluation.predictions import Predictions

TARGET, PREDICTION, WEIGHT = "(target)", "(prediction)", "(weight)"  # columns in addition to those of slices
# Of TFMA's area under the curve, which takes scores between two of them as equal; Headrace sorts the scores.
THRESHOLDS = 100_000
TOLERANCE = 1e-6


def check_metrics(
    predictions: Predictions, metrics: Sequence[Metric | PerClass], evaluated: EvaluationResult, folder: Path
) -> int:
    """Compares an evaluation with TFMA's, writes TFMA's result files, and returns how many values were compared.

    If TFMA has none of the metrics, the files hold the evaluation's values.

    Args:
        predictions: The predictions.
        metrics: The metrics of the evaluation.
        evaluated: Their values and intervals.
        folder: Receives TFMA's result files.

    Raises:
        ModelError: A value differs from TFMA's.
    """
    slice_by = [name for name, values in predictions.slices.items() if values.null_count < len(values)]
    if not any(isinstance(metric, Metric) and metric.tfma for metric in metrics):
        tfma_files.write(folder, evaluated)
        return 0
    result = tfma.analyze_raw_data(
        frame(predictions, slice_by),
        eval_config(metrics, slice_by, has_weights=predictions.weights is not None),
        output_path=str(folder),
    )
    rows_of_slice = _rows_of_slices(predictions)
    num_compared = 0
    for key, outputs in result.slicing_metrics:
        name = ",".join(f"{column}={value}" for column, value in key) or OVERALL
        for metric, value in _values(outputs):
            ours = evaluated.slices[name].get(metric, math.nan)
            if math.isnan(ours) and (math.isnan(value) or value == 0.0):
                continue  # rows of one class have no area under the curve; TFMA returns 0.0
            tolerance, reason = TOLERANCE, ""
            if metric == "auc":
                tolerance += area_tolerance(predictions, rows_of_slice(name))
                reason = f", further apart than the {tolerance:.2g} that its {THRESHOLDS:,} thresholds explain"
            if not math.isclose(ours, value, rel_tol=TOLERANCE, abs_tol=tolerance):
                raise ModelError(
                    f"Metric {metric} of {name} is {ours!r} by Headrace and {value!r} by TFMA{reason}; report it."
                )
            num_compared += 1
    return num_compared


def _rows_of_slices(predictions: Predictions) -> Callable[[str], np.ndarray]:
    """Returns a function from a slice's name to the mask of its rows, bool `(rows,)`."""
    values = {column: np.array(slices.to_pylist(), object) for column, slices in predictions.slices.items()}
    all_rows = np.ones(len(predictions.targets), bool)

    def rows(name: str) -> np.ndarray:
        columns = [column for column in values if name.startswith(f"{column}=")]
        return next((values[column] == name[len(column) + 1 :] for column in columns), all_rows)

    return rows


def area_tolerance(predictions: Predictions, rows: np.ndarray) -> float:
    """Returns the greatest error of TFMA's area under the curve of the rows in a mask, bool `(rows,)`.

    TFMA counts a pair of a positive and a negative row as half where both scores lie between the same two thresholds:
    the error is at most half of the share of such pairs. Neighbouring bins count too, since a score close to a
    threshold may be rounded to its other side.
    """
    scores, is_positive = predictions.values[rows, 1].astype(np.float64), predictions.targets[rows] == 1
    weights = np.ones(len(scores)) if predictions.weights is None else predictions.weights[rows]
    bins = np.floor(scores * (THRESHOLDS - 1)).astype(np.int64)
    positives, negatives = (
        np.bincount(bins[mask], weights[mask], THRESHOLDS + 1) for mask in (is_positive, ~is_positive)
    )
    near_negatives = negatives + np.append(negatives[1:], 0.0) + np.append(0.0, negatives[:-1])
    pairs = positives.sum() * negatives.sum()
    return float(np.dot(positives, near_negatives) / (2 * pairs)) if pairs else 0.0


def _values(outputs: dict) -> Iterable[tuple[str, float]]:
    """Yields name and value of each metric in TFMA's outputs of a slice."""
    for sub_keys in outputs.values():
        for metrics in sub_keys.values():
            for metric, value in metrics.items():
                yield metric, float(value["doubleValue"])


def frame(predictions: Predictions, slice_by: Sequence[str]) -> pd.DataFrame:
    """Returns the input of TFMA: targets, predictions, weights and the columns `slice_by`, a row for each example."""
    columns = {TARGET: predictions.targets, PREDICTION: list(predictions.values)}
    if predictions.weights is not None:
        columns[WEIGHT] = predictions.weights
    return pd.DataFrame({**columns, **{name: predictions.slices[name].to_pylist() for name in slice_by}})


def eval_config(
    metrics: Iterable[Metric | PerClass], slice_by: Sequence[str], *, has_weights: bool
) -> config_pb2.EvalConfig:
    """Returns TFMA's config, for the columns of `frame`, of those metrics that TFMA has.

    Args:
        metrics: The metrics of an evaluation.
        slice_by: Columns by whose values metrics are broken down.
        has_weights: Whether rows have weights.
    """
    known = [metric for metric in metrics if isinstance(metric, Metric) and metric.tfma]
    specs = [config_pb2.MetricsSpec(metrics=[_config(metric) for metric in known if not metric.of_second_class])]
    if of_second_class := [_config(metric) for metric in known if metric.of_second_class]:
        options = config_pb2.BinarizationOptions(class_ids={"values": [1]})
        specs.append(config_pb2.MetricsSpec(metrics=of_second_class, binarize=options))
    weights = {"example_weight_key": WEIGHT} if has_weights else {}
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
