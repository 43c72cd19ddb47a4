"""Messages of PredictionService and ModelService: an input is a byte for the method, and the message."""

import asyncio
import itertools

import numpy as np
from google.protobuf.message import DecodeError, Message

from benchmarks.fuzzing import serving
from benchmarks.fuzzing.findings import Finding

MODULES = (
    "models.serving.protocol.tensors",
    "models.serving.protocol.signatures",
    "models.serving.protocol.example_calls",
    "models.serving.server.api.grpc_api",
    "models.serving.server.inference",
    "models.serving.server.live",
)
METHODS = ("Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata", "GetModelStatus")
WORDS = (
    "tiny", "serving_default", "two", "strings", "judge", "classify", "regress", "total", "x", "a", "b", "text",
    "inputs", "tensorflow/serving/classify", "tensorflow/serving/regress", "signature_def",
)  # fmt: skip
EXPECTED_CODES = {
    "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED", "OUT_OF_RANGE",
}  # fmt: skip
SMALL = 2**20  # greatest size in bytes of a tensor that TensorFlow reads as well


def seeds() -> list[bytes]:
    """Returns valid messages of each method, and of tensors of each type and coding."""
    messages = [*_predict_seeds(), *_example_seeds(), *_model_seeds()]
    return [bytes([METHODS.index(name)]) + message.SerializeToString() for name, message in messages]


def _predict_seeds() -> list[tuple[str, Message]]:
    import tensorflow as tf

    from models.serving.protocol.tensors import fill
    from tests.models.serving.models import example, request

    texts = request("tiny", "strings")
    texts.inputs["text"].CopyFrom(tf.make_tensor_proto([b"", b""]))
    texts.inputs["text"].ClearField("string_val")
    texts.inputs["text"].tensor_content = b"\x01\x02abc"
    texts.output_filter.append("upper")
    messages = [
        request("tiny", x=np.float32([[1, 2]])),
        request("tiny", "two", a=np.float32([1, 2]), b=np.int32([2, 3])),
        request("tiny", "strings", text=[b"abc", b"def"]),
        request("tiny", "classify", inputs=[example(v=1.0).SerializeToString()]),
        texts,
    ]
    dtypes = (
        np.float32, np.float64, np.float16, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32,
        np.uint64, np.bool_, tf.bfloat16.as_numpy_dtype,
    )  # fmt: skip
    for dtype, as_content in itertools.product(dtypes, (False, True)):
        message = request("tiny")
        fill(message.inputs["x"], np.ones((2, 2), dtype), as_content=as_content)
        messages.append(message)
    return [("Predict", message) for message in messages]


def _example_seeds() -> list[tuple[str, Message]]:
    from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

    from tests.models.serving.models import example

    messages: list[tuple[str, Message]] = []
    multi = inference_pb2.MultiInferenceRequest()
    multi.input.example_list.examples.append(example(v=0.25))
    for request_class, name in (
        (classification_pb2.ClassificationRequest, "classify"),
        (regression_pb2.RegressionRequest, "regress"),
    ):
        plain, context = request_class(), request_class()
        plain.input.example_list.examples.append(example(v=0.25))
        context.input.example_list_with_context.context.CopyFrom(example(v=0.25))
        context.input.example_list_with_context.examples.append(example(w=1.0))
        messages += [(name.capitalize(), plain), (name.capitalize(), context)]
        task = multi.tasks.add(method_name=f"tensorflow/serving/{name}")
        for spec in (plain.model_spec, context.model_spec, task.model_spec):
            spec.name, spec.signature_name = "tiny", name
    return [*messages, ("MultiInference", multi)]


def _model_seeds() -> list[tuple[str, Message]]:
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

    metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    status = get_model_status_pb2.GetModelStatusRequest()
    for message in (metadata, status):
        message.model_spec.name = "tiny"
        message.model_spec.version.value = 7
    return [("GetModelMetadata", metadata), ("GetModelStatus", status)]


class _Refused(Exception):
    """Raised where a handler aborts a call."""


class _Context:
    """The context of a call, as a handler receives it."""

    def __init__(self):
        self.code, self.details = None, ""

    def time_remaining(self) -> float:
        return 30.0

    def invocation_metadata(self) -> tuple:
        return ()

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    async def abort(self, code, details: str) -> None:
        self.code, self.details = code, details
        raise _Refused


class Target:
    """Passes messages to the handlers, and compares each tensor with TensorFlow's reading of it."""

    def __init__(self):
        from models.serving.server.api import grpc_api

        caller = serving.caller()
        self._loop = asyncio.new_event_loop()
        methods = [*grpc_api._prediction_methods(caller.engine), *grpc_api._model_methods(caller, False)]
        self._request_classes = {method.name: method.request for method in methods}
        self._handlers = {method.name: grpc_api._handler(caller, method).unary_unary for method in methods}
        self._errors = serving.errors()

    def __call__(self, content: bytes) -> None:
        """Makes one call."""
        name = METHODS[content[0] % len(METHODS)] if content else "Predict"
        context = _Context()
        self._errors.error = None
        try:
            self._loop.run_until_complete(self._handlers[name](content[1:], context))
        except _Refused:
            if self._errors.error is not None:
                raise self._errors.error from None
            if context.code.name not in EXPECTED_CODES:
                raise Finding(f"{context.code.name}: {context.details[:60]}") from None
            context.details.encode()
        if name == "Predict":
            self._read_tensors(content[1:])

    def close(self) -> None:
        """Closes the loop, and removes the log handler."""
        self._loop.close()
        self._errors.close()

    def _read_tensors(self, serialized: bytes) -> None:
        try:
            request = self._request_classes["Predict"].FromString(serialized)
        except DecodeError:
            return
        for tensor in request.inputs.values():
            _compare(tensor)


def _compare(tensor) -> None:
    """Raises Finding where a tensor is read differently from TensorFlow, or does not survive a round trip."""
    import tensorflow as tf

    from models.serving.protocol.tensors import fill, to_array

    try:
        array = to_array(tensor, SMALL)
    except ValueError:
        return
    if array.nbytes > SMALL or not array.size:
        return
    try:
        parsed = tf.io.parse_tensor(tensor.SerializeToString(), tf.dtypes.as_dtype(tensor.dtype))
        expected = np.asarray(parsed.numpy(), array.dtype if array.dtype == object else None)
    except tf.errors.OpError as error:
        raise Finding(f"TensorFlow refuses a tensor that we read: {tensor.dtype}") from error
    if not _same(array, expected):
        raise Finding(f"a tensor of {array.dtype} is read differently from TensorFlow")
    for as_content in (False, True):
        copy = type(tensor)()
        fill(copy, array, as_content=as_content)
        if not _same(to_array(copy), array):
            raise Finding(f"a tensor of {array.dtype} does not survive a round trip")


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    if first.shape != second.shape:
        return False
    if first.dtype == object or first.dtype != second.dtype:
        return first.tolist() == second.tolist()
    if first.dtype.kind in "fV":  # NaNs are equal, also those of ml_dtypes' types, whose kind is `V`
        return bool(np.all((first == second) | ((first != first) & (second != second))))
    return first.tobytes() == second.tobytes()
