"""Predict by gRPC, and what all calls share."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    predict_pb2,
)

from tests.models.serving.models import request
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

ONE = [[1.0, 2.0]]


def test_predict_returns_typed_fields_version_and_signature(server):
    response = server.prediction.Predict(request("tiny", x=np.float32(ONE)), timeout=PATIENCE_S)

    assert response.outputs["y"].float_val == [1.5, 2.5]
    assert [dim.size for dim in response.outputs["y"].tensor_shape.dim] == [1, 2]
    assert (response.model_spec.name, response.model_spec.signature_name) == ("tiny", "serving_default")
    assert response.model_spec.version.value == 7


def test_predict_accepts_typed_fields_and_repeats_the_last_value(server):
    message = predict_pb2.PredictRequest()
    message.model_spec.name = "tiny"
    message.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32(ONE)))
    message.inputs["x"].tensor_content = b""
    message.inputs["x"].float_val.append(3)

    response = server.prediction.Predict(message, timeout=PATIENCE_S)

    assert response.outputs["y"].float_val == [3.5, 3.5]


def test_a_thousand_rows_are_predicted_in_their_order(server):
    rows = np.arange(2000, dtype=np.float32).reshape(1000, 2)
    message = predict_pb2.PredictRequest()
    message.model_spec.name = "tiny"
    message.inputs["x"].dtype = 1
    for size in rows.shape:
        message.inputs["x"].tensor_shape.dim.add().size = size
    message.inputs["x"].float_val.extend(rows.ravel().tolist())

    response = server.prediction.Predict(message, timeout=PATIENCE_S)

    np.testing.assert_array_equal(response.outputs["y"].float_val, rows.ravel() + np.float32(0.5))


def test_only_the_outputs_of_the_filter_are_returned(server):
    message = request("tiny", "two", a=np.float32([1]), b=np.int32([2]))
    message.output_filter.append("whole")

    response = server.prediction.Predict(message, timeout=PATIENCE_S)

    assert list(response.outputs) == ["whole"]
    assert response.outputs["whole"].int_val == [2]


def _with(base, **changes):
    """Returns a copy of a request, changed by `name=function`."""
    message = type(base)()
    message.CopyFrom(base)
    for change in changes.values():
        change(message)
    return message


X = request("tiny", x=np.float32(ONE))
TWO = request("tiny", "two", a=np.float32([1]), b=np.int32([2]))
SETS = "len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}."
REFUSED = [
    ("no spec", predict_pb2.PredictRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    ("no name", request(""), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    ("no model", request("other"), "NOT_FOUND", "Servable not found for request: Latest(other)"),
    (
        "no version",
        _with(X, v=lambda r: setattr(r.model_spec.version, "value", 99)),
        "NOT_FOUND",
        "Servable not found for request: Specific(tiny, 99)",
    ),
    (
        "no label",
        _with(X, v=lambda r: setattr(r.model_spec, "version_label", "canary")),
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: canary",
    ),
    (
        "no signature",
        request("tiny", "nope", x=np.float32(ONE)),
        "FAILED_PRECONDITION",
        'Serving signature key "nope" not found.',
    ),
    (
        "too few",
        request("tiny", "two", a=np.float32([1])),
        "INVALID_ARGUMENT",
        f"input size does not match signature: 1!=2 {SETS}",
    ),
    (
        "another name",
        request("tiny", "two", a=np.float32([1]), z=np.int32([2])),
        "INVALID_ARGUMENT",
        "Signature input alias: b(feed name: two_b:0) not found in request and no default value provided. Inputs "
        "expected to be in the request {a,b}, or default input alias set: ",
    ),
    (
        "no tensor",
        _with(X, t=lambda r: setattr(r.inputs["x"], "tensor_content", b"abc")),
        "INVALID_ARGUMENT",
        "tensor parsing error: x",
    ),
    (
        "huge",
        _with(X, t=lambda r: setattr(r.inputs["x"].tensor_shape.dim[0], "size", 2**50)),
        "INVALID_ARGUMENT",
        "tensor parsing error: x",
    ),
    (
        "unknown output",
        _with(X, o=lambda r: r.output_filter.append("q")),
        "INVALID_ARGUMENT",
        "output tensor alias not found in signature: q Outputs expected to be in the set {y}.",
    ),
    (
        "output twice",
        _with(X, o=lambda r: r.output_filter.extend(["y", "y"])),
        "INVALID_ARGUMENT",
        "duplicate output tensor alias: y",
    ),
    (
        "wrong type",
        request("tiny", x=np.int32([[1, 2]])),
        "INVALID_ARGUMENT",
        "Expects arg[0] to be float but int32 is provided",
    ),
]


@pytest.mark.parametrize(("message", "code", "words"), [pytest.param(*one[1:], id=one[0]) for one in REFUSED])
def test_predict_refuses_with_tf_servings_message(server, message, code, words):
    assert server.refusal(server.prediction.Predict, message) == (code, words)


def test_a_shape_that_an_op_cannot_take_is_refused_by_the_op_and_not_by_the_server(server):
    vector = server.prediction.Predict(request("tiny", x=np.float32([1, 2, 3])), timeout=PATIENCE_S)
    assert vector.outputs["y"].float_val == [1.5, 2.5, 3.5]

    code, words = server.refusal(
        server.prediction.Predict, request("tiny", "two", a=np.float32([1, 2]), b=np.int32([1, 2, 3]))
    )
    assert code == "INVALID_ARGUMENT"
    assert words.startswith("Incompatible shapes: [")
    assert "{{node " in words


def test_a_request_of_thirty_bytes_cannot_allocate_a_gigabyte(server):
    message = request("tiny", x=np.float32([[1, 2]]))
    message.inputs["x"].tensor_shape.dim[0].size = 50_000_000

    assert server.refusal(server.prediction.Predict, message) == ("INVALID_ARGUMENT", "tensor parsing error: x")


def test_a_refused_request_does_not_spoil_the_next(server):
    server.refusal(server.prediction.Predict, request("tiny", "two", a=np.float32([1]), z=np.int32([2])))

    assert server.prediction.Predict(TWO, timeout=PATIENCE_S).outputs["sum"].float_val == [3]


def test_a_deadline_ends_a_slow_call(server):
    with pytest.raises(grpc.RpcError) as error:
        server.prediction.Predict(request("spinning", steps=np.int32(2_000_000_000)), timeout=0.5)

    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert server.prediction.Predict(X, timeout=PATIENCE_S).outputs["y"].float_val == [1.5, 2.5]


def test_bytes_that_are_no_request_are_refused(server):
    call = server.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")

    assert server.refusal(call, b"\xff\xff\xff") == ("INVALID_ARGUMENT", "The request is no PredictRequest.")


def test_session_run_is_not_served_as_in_the_open_source_server(server):
    call = server.channel.unary_unary("/tensorflow.serving.SessionService/SessionRun")

    assert server.refusal(call, b"")[0] == "UNIMPLEMENTED"


def test_a_message_beyond_the_limit_is_refused(server):
    large = request("tiny", x=np.zeros((200_000, 2), np.float32))

    assert server.refusal(server.prediction.Predict, large)[0] == "RESOURCE_EXHAUSTED"


def test_health_is_served_with_its_flag(server):
    health = health_pb2_grpc.HealthStub(server.channel)
    Request = health_pb2.HealthCheckRequest

    for service in ("", "PredictionService", "ModelService"):
        response = health.Check(Request(service=service), timeout=PATIENCE_S)
        assert response.status == health_pb2.HealthCheckResponse.SERVING
    assert server.refusal(health.Check, Request(service="other"))[0] == "NOT_FOUND"
    watched = health.Watch(Request(), timeout=PATIENCE_S)
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
    watched.cancel()
