"""TFMA as the referee of our metrics: it computes its own of the same predictions, 0.5 ms a row. Loads TFMA."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from data.errors import ModelError
from models.evaluation import OVERALL
from models.evaluation.evaluation import Evaluated
from models.evaluation.metrics import Metric, PerClass
from models.evaluation.predictions import Predictions

TARGET, PREDICTION, WEIGHT = "(target)", "(prediction)", "(weight)"  # columns beside those of slices
THRESHOLDS = 100_000  # TFMA's area under the curve is by thresholds, ours by sorting
NEAR, NEAR_AREA = 1e-6, 1e-3


def hold(predicted: Predictions, measured: Sequence[Metric | PerClass], found: Evaluated, folder: Path) -> int:
    """Returns how many of our numbers TFMA has too; they agree. Writes its result files into a folder.

    Raises:
        ModelError: A number is another.
    """
    result = tfma.analyze_raw_data(
        frame(predicted),
        eval_config(measured, list(predicted.slices), weighted=predicted.weights is not None),
        output_path=str(folder),
    )
    compared = 0
    for key, outputs in result.slicing_metrics:
        name = ",".join(f"{column}={value}" for column, value in key) or OVERALL
        for metric, value in _values(outputs):
            near = NEAR_AREA if metric == "auc" else NEAR
            ours = found.slices[name].get(metric, math.nan)
            if not (math.isclose(ours, value, rel_tol=near, abs_tol=near) or (math.isnan(ours) and math.isnan(value))):
                raise ModelError(f"Metric {metric} of {name} is {ours!r} by Headrace and {value!r} by TFMA; report it.")
            compared += 1
    return compared


def _values(outputs: dict) -> Iterable[tuple[str, float]]:
    for sub_keys in outputs.values():
        for metrics in sub_keys.values():
            for metric, value in metrics.items():
                yield metric, float(value["doubleValue"])


def frame(predicted: Predictions) -> pd.DataFrame:
    """Returns predictions as TFMA takes them, a row each."""
    columns = {TARGET: predicted.targets, PREDICTION: list(predicted.values)}
    if predicted.weights is not None:
        columns[WEIGHT] = predicted.weights
    return pd.DataFrame({**columns, **{name: values.to_pylist() for name, values in predicted.slices.items()}})


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
