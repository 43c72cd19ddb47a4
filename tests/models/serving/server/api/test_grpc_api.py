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


def test_predict_answers_in_typed_fields_and_names_version_and_signature(server):
    answer = server.prediction.Predict(request("tiny", x=np.float32(ONE)), timeout=PATIENCE_S)

    assert answer.outputs["y"].float_val == [1.5, 2.5]
    assert [dim.size for dim in answer.outputs["y"].tensor_shape.dim] == [1, 2]
    assert (answer.model_spec.name, answer.model_spec.signature_name) == ("tiny", "serving_default")
    assert answer.model_spec.version.value == 7


def test_predict_takes_typed_fields_and_fills_up_with_the_last_value(server):
    asked = predict_pb2.PredictRequest()
    asked.model_spec.name = "tiny"
    asked.inputs["x"].CopyFrom(tf.make_tensor_proto(np.float32(ONE)))
    asked.inputs["x"].tensor_content = b""
    asked.inputs["x"].float_val.append(3)

    answer = server.prediction.Predict(asked, timeout=PATIENCE_S)

    assert answer.outputs["y"].float_val == [3.5, 3.5]


def test_a_thousand_rows_come_back_as_they_went(server):
    rows = np.arange(2000, dtype=np.float32).reshape(1000, 2)
    asked = predict_pb2.PredictRequest()
    asked.model_spec.name = "tiny"
    asked.inputs["x"].dtype = 1
    for size in rows.shape:
        asked.inputs["x"].tensor_shape.dim.add().size = size
    asked.inputs["x"].float_val.extend(rows.ravel().tolist())

    answer = server.prediction.Predict(asked, timeout=PATIENCE_S)

    np.testing.assert_array_equal(answer.outputs["y"].float_val, rows.ravel() + np.float32(0.5))


def test_only_the_outputs_that_are_asked_for_come_back(server):
    asked = request("tiny", "two", a=np.float32([1]), b=np.int32([2]))
    asked.output_filter.append("whole")

    answer = server.prediction.Predict(asked, timeout=PATIENCE_S)

    assert list(answer.outputs) == ["whole"]
    assert answer.outputs["whole"].int_val == [2]


def _with(base, **changes):
    """Returns a copy of a request, changed by `name=function`."""
    found = type(base)()
    found.CopyFrom(base)
    for change in changes.values():
        change(found)
    return found


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


@pytest.mark.parametrize(("asked", "code", "words"), [pytest.param(*one[1:], id=one[0]) for one in REFUSED])
def test_predict_refuses_in_tf_servings_words(server, asked, code, words):
    assert server.refusal(server.prediction.Predict, asked) == (code, words)


def test_a_shape_that_an_op_cannot_take_is_refused_by_the_op_and_not_by_the_server(server):
    vector = server.prediction.Predict(request("tiny", x=np.float32([1, 2, 3])), timeout=PATIENCE_S)
    assert vector.outputs["y"].float_val == [1.5, 2.5, 3.5]

    code, words = server.refusal(
        server.prediction.Predict, request("tiny", "two", a=np.float32([1, 2]), b=np.int32([1, 2, 3]))
    )
    assert code == "INVALID_ARGUMENT"
    assert words.startswith("Incompatible shapes: [")
    assert "{{node " in words


def test_thirty_bytes_do_not_ask_for_a_gigabyte(server):
    asked = request("tiny", x=np.float32([[1, 2]]))
    asked.inputs["x"].tensor_shape.dim[0].size = 50_000_000

    assert server.refusal(server.prediction.Predict, asked) == ("INVALID_ARGUMENT", "tensor parsing error: x")


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


def test_health_is_served_when_the_flag_asks(server):
    health = health_pb2_grpc.HealthStub(server.channel)
    asked = health_pb2.HealthCheckRequest

    for service in ("", "PredictionService", "ModelService"):
        assert health.Check(asked(service=service), timeout=PATIENCE_S).status == health_pb2.HealthCheckResponse.SERVING
    assert server.refusal(health.Check, asked(service="other"))[0] == "NOT_FOUND"
    watched = health.Watch(asked(), timeout=PATIENCE_S)
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
    watched.cancel()
