"""Classify, Regress and MultiInference by gRPC."""

import pytest
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    regression_pb2,
)

from models.serving.protocol.statuses import ServingStatus
from models.serving.server.inference import Engine
from models.serving.server.live import OneVersion
from models.serving.server.monitoring import Metrics
from models.serving.server.servable import Servable
from tests.models.serving.models import example, save_spinning
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def _classification(signature="classify", values=(0.25,)):
    message = classification_pb2.ClassificationRequest()
    message.model_spec.name, message.model_spec.signature_name = "tiny", signature
    message.input.example_list.examples.extend(example(v=value) for value in values)
    return message


def test_classify_returns_classes_and_scores_of_each_example(server):
    response = server.prediction.Classify(_classification(values=(0.25, 1.0)), timeout=PATIENCE_S)

    rows = [[(label.label, label.score) for label in row.classes] for row in response.result.classifications]
    assert rows == [[("no", 0.75), ("yes", 0.25)], [("no", 0.0), ("yes", 1.0)]]
    assert response.model_spec.signature_name == "classify"


def test_the_context_is_part_of_every_example(server):
    message = regression_pb2.RegressionRequest()
    message.model_spec.name, message.model_spec.signature_name = "tiny", "regress"
    message.input.example_list_with_context.context.CopyFrom(example(v=0.25))
    message.input.example_list_with_context.examples.extend([example(), example(v=2.0)])

    response = server.prediction.Regress(message, timeout=PATIENCE_S)

    assert [one.value for one in response.result.regressions] == [0.5, 4.0]


@pytest.mark.parametrize(
    ("message", "expected", "words"),
    [
        (_classification("nope"), "INVALID_ARGUMENT", "No signature was found with the name: nope"),
        (_classification(values=()), "INVALID_ARGUMENT", "Input is empty."),
        (_classification("two"), "INVALID_ARGUMENT", "Expected one input Tensor."),
        (
            _classification("serving_default"),
            "FAILED_PRECONDITION",
            "No classification inputs found in SignatureDef: ",
        ),
        (
            _classification("regress"),
            "FAILED_PRECONDITION",
            'Expected classification signature outputs to contain at least one of "classes"',
        ),
    ],
)
def test_classify_refuses_with_tf_servings_message(server, message, expected, words):
    code, details = server.refusal(server.prediction.Classify, message)

    assert code == expected
    assert details.startswith(words)


def test_regress_refuses_a_signature_that_is_no_regression(server):
    message = regression_pb2.RegressionRequest()
    message.model_spec.name, message.model_spec.signature_name = "tiny", "classify"
    message.input.example_list.examples.append(example(v=1.0))

    assert server.refusal(server.prediction.Regress, message) == (
        "INVALID_ARGUMENT",
        "Expected one output Tensor.",
    )


def _multi(*tasks):
    message = inference_pb2.MultiInferenceRequest()
    message.input.example_list.examples.append(example(v=0.25))
    for signature, method, name in tasks:
        task = message.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = name, signature
    return message


def test_multi_inference_runs_several_tasks_on_one_input(server):
    response = server.prediction.MultiInference(_multi(("classify", CLASSIFY, "tiny")), timeout=PATIENCE_S)

    assert response.results[0].classification_result.classifications[0].classes[1].score == 0.25


def test_multi_inference_accepts_signatures_with_different_input_tensors(server):
    tasks = _multi(("classify", CLASSIFY, "tiny"), ("regress", REGRESS, "tiny"))

    classified, regressed = server.prediction.MultiInference(tasks, timeout=PATIENCE_S).results

    assert classified.classification_result.classifications[0].classes[1].score == 0.25
    assert regressed.regression_result.regressions[0].value == 0.5
    assert [one.model_spec.signature_name for one in (classified, regressed)] == ["classify", "regress"]


def test_multi_inference_obeys_its_deadline(tmp_path):
    servable = Servable("spinning", 1, save_spinning(tmp_path / "1"))
    engine = Engine(OneVersion("spinning", servable), Metrics(), Servable.run)
    message = _multi(("classify", CLASSIFY, "spinning"))
    message.input.example_list.examples[0].CopyFrom(example(v=2e9))

    with pytest.raises(ServingStatus, match="DEADLINE_EXCEEDED"):
        engine.multi_inference(message, 200)


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
            (("nope", CLASSIFY, "tiny"),),
            "INVALID_ARGUMENT",
            "Requested signature not found in model graph: nope",
        ),
        ((("classify", "predict", "tiny"),), "UNIMPLEMENTED", "Unsupported signature method_name: predict"),
    ],
)
def test_multi_inference_refuses_with_tf_servings_message(server, tasks, code, words):
    assert server.refusal(server.prediction.MultiInference, _multi(*tasks)) == (code, words)
