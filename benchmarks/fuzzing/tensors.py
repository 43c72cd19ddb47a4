"""Messages of PredictionService and ModelService: an input is a byte that picks the method, and the message."""

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
FINE = {"INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED", "OUT_OF_RANGE"}
SMALL = 2**20  # bytes of a tensor that TensorFlow, too, is asked to read


def seeds() -> list[bytes]:
    """Returns valid messages of each method, and of tensors of each type and coding."""
    found = [*_predict_seeds(), *_example_seeds(), *_model_seeds()]
    return [bytes([METHODS.index(name)]) + message.SerializeToString() for name, message in found]


def _predict_seeds() -> list[tuple[str, Message]]:
    import tensorflow as tf

    from models.serving.protocol.tensors import fill
    from tests.models.serving.models import example, request

    texts = request("tiny", "strings")
    texts.inputs["text"].CopyFrom(tf.make_tensor_proto([b"", b""]))
    texts.inputs["text"].ClearField("string_val")
    texts.inputs["text"].tensor_content = b"\x01\x02abc"
    texts.output_filter.append("upper")
    found = [
        request("tiny", x=np.float32([[1, 2]])),
        request("tiny", "two", a=np.float32([1, 2]), b=np.int32([2, 3])),
        request("tiny", "strings", text=[b"abc", b"def"]),
        request("tiny", "classify", inputs=[example(v=1.0).SerializeToString()]),
        texts,
    ]
    kinds = (
        np.float32, np.float64, np.float16, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32,
        np.uint64, np.bool_, tf.bfloat16.as_numpy_dtype,
    )  # fmt: skip
    for kind, as_content in itertools.product(kinds, (False, True)):
        message = request("tiny")
        fill(message.inputs["x"], np.ones((2, 2), kind), as_content=as_content)
        found.append(message)
    return [("Predict", message) for message in found]


def _example_seeds() -> list[tuple[str, Message]]:
    from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

    from tests.models.serving.models import example

    found: list[tuple[str, Message]] = []
    several = inference_pb2.MultiInferenceRequest()
    several.input.example_list.examples.append(example(v=0.25))
    for kind, name in (
        (classification_pb2.ClassificationRequest, "classify"),
        (regression_pb2.RegressionRequest, "regress"),
    ):
        plain, context = kind(), kind()
        plain.input.example_list.examples.append(example(v=0.25))
        context.input.example_list_with_context.context.CopyFrom(example(v=0.25))
        context.input.example_list_with_context.examples.append(example(w=1.0))
        found += [(name.capitalize(), plain), (name.capitalize(), context)]
        task = several.tasks.add(method_name=f"tensorflow/serving/{name}")
        for spec in (plain.model_spec, context.model_spec, task.model_spec):
            spec.name, spec.signature_name = "tiny", name
    return [*found, ("MultiInference", several)]


def _model_seeds() -> list[tuple[str, Message]]:
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

    metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    status = get_model_status_pb2.GetModelStatusRequest()
    for message in (metadata, status):
        message.model_spec.name = "tiny"
        message.model_spec.version.value = 7
    return [("GetModelMetadata", metadata), ("GetModelStatus", status)]


class _Refused(Exception):
    """What a call is ended with."""


class _Context:
    """What a handler sees of a call."""

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
    """Hands messages to the handlers, and reads each tensor on its own, beside TensorFlow."""

    def __init__(self):
        from models.serving.server.api import grpc_api

        caller = serving.caller()
        self._loop = asyncio.new_event_loop()
        methods = [*grpc_api._prediction_methods(caller.engine), *grpc_api._model_methods(caller, False)]
        self._kinds = {one.name: one.request for one in methods}
        self._handlers = {one.name: grpc_api._handler(caller, one).unary_unary for one in methods}
        self._errors = serving.errors()

    def __call__(self, content: bytes) -> None:
        """Asks once."""
        name = METHODS[content[0] % len(METHODS)] if content else "Predict"
        context = _Context()
        self._errors.error = None
        try:
            self._loop.run_until_complete(self._handlers[name](content[1:], context))
        except _Refused:
            if self._errors.error is not None:
                raise self._errors.error from None
            if context.code.name not in FINE:
                raise Finding(f"{context.code.name}: {context.details[:60]}") from None
            context.details.encode()
        if name == "Predict":
            self._read_tensors(content[1:])

    def close(self) -> None:
        """Takes no more of what is logged."""
        self._loop.close()
        self._errors.close()

    def _read_tensors(self, serialized: bytes) -> None:
        try:
            request = self._kinds["Predict"].FromString(serialized)
        except DecodeError:
            return
        for tensor in request.inputs.values():
            _compare(tensor)


def _compare(tensor) -> None:
    """Raises Finding where a tensor is not read as TensorFlow does, or does not come back from an array."""
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
        raise Finding(f"TensorFlow refuses a tensor that is read here: {tensor.dtype}") from error
    if not _same(array, expected):
        raise Finding(f"a tensor of {array.dtype} is read otherwise than TensorFlow does")
    for as_content in (False, True):
        back = type(tensor)()
        fill(back, array, as_content=as_content)
        if not _same(to_array(back), array):
            raise Finding(f"a tensor of {array.dtype} does not come back")


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype == object or one.dtype != other.dtype:
        return one.tolist() == other.tolist()
    if one.dtype.kind in "fV":  # one NaN is as good as another; of ml_dtypes' types, too, which are `V`
        return bool(np.all((one == other) | ((one != one) & (other != other))))
    return one.tobytes() == other.tobytes()
