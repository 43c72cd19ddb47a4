import os
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from models.serving.protocol import config_files
from models.serving.protocol.statuses import ServingStatus
from models.serving.server.inference import Engine
from models.serving.server.manager import OneVersion
from models.serving.server.monitoring import Metrics
from models.serving.server.servable import Servable
from tests.models.serving.models import example, request, save_spinning

pytestmark = pytest.mark.slow

ONE = [[1.0, 2.0]]
CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def test_predict_answers_in_typed_fields_and_names_version_and_signature(server):
    answer = server.prediction.Predict(request("tiny", x=np.float32(ONE)), timeout=30)

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

    answer = server.prediction.Predict(asked, timeout=30)

    assert answer.outputs["y"].float_val == [3.5, 3.5]


def test_a_thousand_rows_come_back_as_they_went(server):
    rows = np.arange(2000, dtype=np.float32).reshape(1000, 2)
    asked = predict_pb2.PredictRequest()
    asked.model_spec.name = "tiny"
    asked.inputs["x"].dtype = 1
    for size in rows.shape:
        asked.inputs["x"].tensor_shape.dim.add().size = size
    asked.inputs["x"].float_val.extend(rows.ravel().tolist())

    answer = server.prediction.Predict(asked, timeout=30)

    np.testing.assert_array_equal(answer.outputs["y"].float_val, rows.ravel() + np.float32(0.5))


def test_only_the_outputs_that_are_asked_for_come_back(server):
    asked = request("tiny", "two", a=np.float32([1]), b=np.int32([2]))
    asked.output_filter.append("whole")

    answer = server.prediction.Predict(asked, timeout=30)

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
    vector = server.prediction.Predict(request("tiny", x=np.float32([1, 2, 3])), timeout=30)
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

    assert server.prediction.Predict(TWO, timeout=30).outputs["sum"].float_val == [3]


def test_a_deadline_ends_a_slow_call(server):
    begin = time.monotonic()

    with pytest.raises(grpc.RpcError) as error:
        server.prediction.Predict(request("spinning", steps=np.int32(2_000_000_000)), timeout=0.5)

    assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begin < 10
    assert server.prediction.Predict(X, timeout=30).outputs["y"].float_val == [1.5, 2.5]


def _classification(signature="classify", values=(0.25,)):
    asked = classification_pb2.ClassificationRequest()
    asked.model_spec.name, asked.model_spec.signature_name = "tiny", signature
    asked.input.example_list.examples.extend(example(v=value) for value in values)
    return asked


def test_classify_answers_classes_and_scores_of_each_example(server):
    answer = server.prediction.Classify(_classification(values=(0.25, 1.0)), timeout=30)

    found = [[(one.label, one.score) for one in row.classes] for row in answer.result.classifications]
    assert found == [[("no", 0.75), ("yes", 0.25)], [("no", 0.0), ("yes", 1.0)]]
    assert answer.model_spec.signature_name == "classify"


def test_a_context_stands_in_every_example(server):
    asked = regression_pb2.RegressionRequest()
    asked.model_spec.name, asked.model_spec.signature_name = "tiny", "regress"
    asked.input.example_list_with_context.context.CopyFrom(example(v=0.25))
    asked.input.example_list_with_context.examples.extend([example(), example(v=2.0)])

    answer = server.prediction.Regress(asked, timeout=30)

    assert [one.value for one in answer.result.regressions] == [0.5, 4.0]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (_classification("nope"), "No signature was found with the name: nope"),
        (_classification(values=()), "Input is empty."),
        (_classification("two"), "Expected one input Tensor."),
        (_classification("serving_default"), "No classification inputs found in SignatureDef: "),
        (_classification("regress"), 'Expected classification signature outputs to contain at least one of "classes"'),
    ],
)
def test_classify_refuses_in_tf_servings_words(server, asked, words):
    code, found = server.refusal(server.prediction.Classify, asked)

    assert code == "INVALID_ARGUMENT"
    assert found.startswith(words)


def test_regress_refuses_what_is_no_regression(server):
    asked = regression_pb2.RegressionRequest()
    asked.model_spec.name, asked.model_spec.signature_name = "tiny", "classify"
    asked.input.example_list.examples.append(example(v=1.0))

    assert server.refusal(server.prediction.Regress, asked) == (
        "INVALID_ARGUMENT",
        "Expected one output Tensor, found 2",
    )


def _multi(*tasks):
    asked = inference_pb2.MultiInferenceRequest()
    asked.input.example_list.examples.append(example(v=0.25))
    for signature, method, name in tasks:
        task = asked.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = name, signature
    return asked


def test_multi_inference_answers_several_tasks_about_one_input(server):
    answer = server.prediction.MultiInference(_multi(("classify", CLASSIFY, "tiny")), timeout=30)

    assert answer.results[0].classification_result.classifications[0].classes[1].score == 0.25


def test_multi_inference_keeps_to_its_deadline(tmp_path):
    servable = Servable("spinning", 1, save_spinning(tmp_path / "1"))
    engine = Engine(OneVersion("spinning", servable), Metrics(), Servable.run)
    asked = _multi(("classify", CLASSIFY, "spinning"))
    asked.input.example_list.examples[0].CopyFrom(example(v=2e9))

    with pytest.raises(ServingStatus, match="DEADLINE_EXCEEDED"):
        engine.multi_inference(asked, 200)


@pytest.mark.parametrize(
    ("tasks", "code", "words"),
    [
        ((), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            (("classify", CLASSIFY, "tiny"), ("classify", CLASSIFY, "tiny")),
            "INVALID_ARGUMENT",
            "Duplicate evaluation of signature: classify",
        ),
        (
            (("classify", CLASSIFY, "tiny"), ("regress", REGRESS, "other")),
            "INVALID_ARGUMENT",
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
        (
            (("classify", CLASSIFY, "tiny"), ("regress", REGRESS, "tiny")),
            "INVALID_ARGUMENT",
            "Input tensor must be the same for all Signatures.",
        ),
        (
            (("nope", CLASSIFY, "tiny"),),
            "INVALID_ARGUMENT",
            "Requested signature not found in model graph: nope",
        ),
        ((("classify", "predict", "tiny"),), "UNIMPLEMENTED", "Unsupported signature method_name: predict"),
    ],
)
def test_multi_inference_refuses_in_tf_servings_words(server, tasks, code, words):
    assert server.refusal(server.prediction.MultiInference, _multi(*tasks)) == (code, words)


def test_metadata_shows_all_signatures(server):
    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    asked.model_spec.name = "tiny"

    answer = server.prediction.GetModelMetadata(asked, timeout=30)

    found = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(found)
    assert {"serving_default", "two", "__saved_model_init_op"} <= set(found.signature_def)
    assert (answer.model_spec.signature_name, answer.model_spec.version.value) == ("", 7)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([], "GetModelMetadataRequest must specify at least one metadata_field"),
        (["x"], "Metadata field x is not supported"),
    ],
)
def test_metadata_refuses_in_tf_servings_words(server, fields, words):
    asked = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    asked.model_spec.name = "tiny"

    assert server.refusal(server.prediction.GetModelMetadata, asked) == ("INVALID_ARGUMENT", words)


def test_status_shows_versions_that_are_there(server):
    asked = get_model_status_pb2.GetModelStatusRequest()
    asked.model_spec.name = "tiny"

    (version,) = server.model.GetModelStatus(asked, timeout=30).model_version_status

    assert (version.version, version.state, version.status.error_code) == (7, 30, 0)
    asked.model_spec.version.value = 8
    assert server.refusal(server.model.GetModelStatus, asked) == (
        "NOT_FOUND",
        "Could not find version 8 of model tiny",
    )
    asked.model_spec.name = "other"
    asked.model_spec.ClearField("version")
    assert server.refusal(server.model.GetModelStatus, asked) == (
        "NOT_FOUND",
        "Could not find any versions of model other",
    )


def test_a_reload_tells_by_how_much_counters_grew_and_takes_lists_of_models_only(server):
    asked = model_management_pb2.ReloadConfigRequest(metric_names=["/tensorflow/serving/request_count", "/none"])
    file = next(flag for flag in server.process.flags if flag.startswith("--model_config_file=")).partition("=")[2]
    asked.config.CopyFrom(config_files.read(file, config_files.ModelServerConfig))

    answer = server.model.HandleReloadConfigRequest(asked, timeout=30)

    assert answer.status.error_code == 0
    assert [(one.name, one.int64_value_increase) for one in answer.metric] == [
        ("/tensorflow/serving/request_count", 0),
        ("/none", 0),
    ]
    assert server.prediction.Predict(X, timeout=30).outputs["y"].float_val == [1.5, 2.5]
    asked.config.custom_model_config.SetInParent()
    assert server.refusal(server.model.HandleReloadConfigRequest, asked)[0] == "INVALID_ARGUMENT"
    code, words = server.refusal(server.model.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest())
    assert (code, words.partition(".")[0]) == (
        "INVALID_ARGUMENT",
        "ServerModelConfig type not supported by HandleReloadConfigRequest",
    )


def test_a_model_without_a_version_is_waited_for_no_longer_than_the_client_does(server, tmp_path):
    file = next(flag for flag in server.process.flags if flag.startswith("--model_config_file=")).partition("=")[2]
    asked = model_management_pb2.ReloadConfigRequest(config=config_files.read(file, config_files.ModelServerConfig))
    before = model_management_pb2.ReloadConfigRequest.FromString(asked.SerializeToString())

    for number in range(4 * os.cpu_count() + 1):  # one more than there are threads to wait in
        empty = tmp_path / str(number)
        empty.mkdir()
        asked.config.model_config_list.config.add(name=empty.name, base_path=str(empty), model_platform="tensorflow")
        with pytest.raises(grpc.RpcError) as error:
            server.model.HandleReloadConfigRequest(asked, timeout=0.2)
        assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    assert server.model.HandleReloadConfigRequest(before, timeout=30).status.error_code == 0
    assert server.prediction.Predict(X, timeout=30).outputs["y"].float_val == [1.5, 2.5]


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
        assert health.Check(asked(service=service), timeout=30).status == health_pb2.HealthCheckResponse.SERVING
    assert server.refusal(health.Check, asked(service="other"))[0] == "NOT_FOUND"
    watched = health.Watch(asked(), timeout=30)
    assert next(watched).status == health_pb2.HealthCheckResponse.SERVING
    watched.cancel()
