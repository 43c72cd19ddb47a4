"""Warm-up requests: written when a model is exported, replayed before a version gets requests."""

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from models.serving.protocol.statuses import Code, ServingStatus, invalid
from models.serving.protocol.tensors import fill

FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_RECORDS = 1000
PredictionLog = prediction_log_pb2.PredictionLog


def write(model: Path, requests: Iterable[tuple[str, Mapping[str, np.ndarray], Mapping[str, np.ndarray]]]) -> None:
    """Writes warm-up requests into a SavedModel's folder, each with the predictions of the model in memory.

    Args:
        model: Folder of the SavedModel.
        requests: Signature name, inputs and outputs of each request, both by alias.
    """
    (model / FILE).parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(model / FILE)) as writer:
        for signature, inputs, outputs in requests:
            log = PredictionLog()
            # The name is not checked on replay; a folder is served under any.
            log.predict_log.request.model_spec.name = "model"
            log.predict_log.request.model_spec.signature_name = signature
            for alias, value in inputs.items():
                fill(log.predict_log.request.inputs[alias], value)
            for alias, value in outputs.items():
                fill(log.predict_log.response.outputs[alias], value)
            writer.write(log.SerializeToString())


def read(model: Path) -> Iterator[PredictionLog]:
    """Yields the warm-up requests of a version; none if it has no such file.

    Raises:
        ServingStatus: The file is damaged or has too many records; the message is TF Serving's.
    """
    path = model / FILE
    if not path.exists():
        return
    try:
        for number, record in enumerate(tf.data.TFRecordDataset(str(path)).as_numpy_iterator()):
            if number >= MAX_RECORDS:
                raise invalid(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}")
            try:
                yield PredictionLog.FromString(record)
            except DecodeError:
                raise invalid(f"Failed to parse warmup record: {record[:64]!r} from {path}") from None
    except tf.errors.DataLossError as error:
        raise ServingStatus(
            Code.DATA_LOSS, f"{error.message}. Please verify your warmup data is in TFRecord format."
        ) from None


def replay(model: Path, engine, iterations: int) -> float:
    """Sends a version its warm-up requests and returns the duration in seconds.

    Args:
        model: Folder of the SavedModel.
        engine: An `inference.Engine` that serves only this version.
        iterations: How often each request is sent.

    Raises:
        ServingStatus: A request failed, or is of a type that cannot be replayed.
    """
    begin = time.perf_counter()
    for log in read(model):
        kind = log.WhichOneof("log_type")
        if kind is None:
            continue
        call = {
            "predict_log": engine.predict,
            "classify_log": engine.classify,
            "regress_log": engine.regress,
            "multi_inference_log": engine.multi_inference,
        }.get(kind)
        if call is None:
            number = PredictionLog.DESCRIPTOR.fields_by_name[kind].number
            raise ServingStatus(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
        request = getattr(log, kind).request
        specs = [task.model_spec for task in request.tasks] if kind == "multi_inference_log" else [request.model_spec]
        for spec in specs:
            spec.name = engine.manager.name
            spec.ClearField("version")
            spec.ClearField("version_label")
        for _ in range(max(1, iterations)):
            call(request)
    return time.perf_counter() - begin
