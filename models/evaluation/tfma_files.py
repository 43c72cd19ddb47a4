"""Our metrics as the result files of TFMA, which `tfma.load_eval_result` and its notebook views read.

Only the messages of TFMA are loaded: the package itself takes three seconds.
"""

import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format, wrappers_pb2

from models import deferred
from models.evaluation.evaluation import EvaluationResult


def write(folder: Path, result: EvaluationResult) -> None:
    """Writes `metrics-*.tfrecord`, `plots-*.tfrecord` with the confusion matrix, and `eval_config.json`.

    A slice is a record with each metric's value; the metric of a class has its name after an `@`.
    """
    messages, config = _messages()
    records = [_metrics(messages, result.keys.get(name), metrics) for name, metrics in result.slices.items()]
    _write(folder / "metrics-00000-of-00001.tfrecord", records)
    plots = [] if result.confusion_matrix is None else [_plots(messages, result.confusion_matrix)]
    _write(folder / "plots-00000-of-00001.tfrecord", plots)
    columns = dict.fromkeys(column for column, _ in result.keys.values())
    specs = [config.SlicingSpec(), *(config.SlicingSpec(feature_keys=[column]) for column in columns)]
    run = config.EvalRun(
        eval_config=config.EvalConfig(slicing_specs=specs),
        version=importlib.metadata.version("tensorflow-model-analysis"),
        file_format="tfrecords",
    )
    (folder / "eval_config.json").write_text(json_format.MessageToJson(run))


def _messages() -> tuple[Any, Any]:
    """Returns the modules of TFMA's messages: metrics and config."""
    assert wrappers_pb2  # their messages are made of its, and they do not import it
    for package in ("tensorflow_model_analysis", "tensorflow_model_analysis.proto"):
        if package not in sys.modules:
            deferred.defer(package, alone=True)
    from tensorflow_model_analysis.proto import config_pb2, metrics_for_slice_pb2

    return metrics_for_slice_pb2, config_pb2


def _slice_key(messages: Any, column_and_value: tuple[str, str] | None) -> Any:
    key = messages.SliceKey()
    if column_and_value:
        column, value = column_and_value
        key.single_slice_keys.add(column=column, bytes_value=value.encode())
    return key


def _metrics(messages: Any, column_and_value: tuple[str, str] | None, metrics: dict[str, float]) -> Any:
    message = messages.MetricsForSlice(slice_key=_slice_key(messages, column_and_value))
    for metric, value in metrics.items():
        entry = message.metric_keys_and_values.add()
        entry.key.name = metric
        entry.value.double_value.value = value
    return message


def _plots(messages: Any, counts: np.ndarray) -> Any:
    message = messages.PlotsForSlice(slice_key=_slice_key(messages, None))
    matrices = message.plot_keys_and_values.add().value.multi_class_confusion_matrix_at_thresholds.matrices
    matrix = matrices.add(threshold=0.0)
    for true, predicted in zip(*(indices.tolist() for indices in counts.nonzero()), strict=True):
        count = float(counts[true, predicted])
        matrix.entries.add(actual_class_id=true, predicted_class_id=predicted, num_weighted_examples=count)
    return message


def _write(path: Path, records: list[Any]) -> None:
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record.SerializeToString())
