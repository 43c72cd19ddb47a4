import numpy as np
import pytest
from tensorflow_serving.apis import classification_pb2, regression_pb2

from models.serving.protocol.example_calls import fill_classifications, fill_regressions
from models.serving.protocol.statuses import ServingStatus

CLASSES = np.array([[b"no", b"yes"]], object)
SCORES = np.float32([[0.75, 0.25]])


def test_a_missing_label_is_empty_and_a_missing_score_is_zero():
    scored, labelled = classification_pb2.ClassificationResult(), classification_pb2.ClassificationResult()

    fill_classifications(scored, {"scores": SCORES}, 1)
    fill_classifications(labelled, {"classes": CLASSES}, 1)

    assert [(label.label, label.score) for label in scored.classifications[0].classes] == [("", 0.75), ("", 0.25)]
    assert [(label.label, label.score) for label in labelled.classifications[0].classes] == [("no", 0.0), ("yes", 0.0)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scores": SCORES[0]}, "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        ({"scores": SCORES.astype(np.float64)}, "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE"),
        ({"classes": SCORES}, "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        ({"scores": np.tile(SCORES, (2, 1))}, "Expected scores output batch size of 1. Got: 2"),
        (
            {"classes": CLASSES, "scores": SCORES[:, :1]},
            "Tensors class and score should match in dim_size(1). Got 2 vs. 1",
        ),
    ],
)
def test_outputs_that_are_no_classification_are_refused_with_tf_servings_message(values, message):
    with pytest.raises(ServingStatus) as error:
        fill_classifications(classification_pb2.ClassificationResult(), values, 1)

    assert error.value.message == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            np.zeros((1, 2), np.float32),
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [1,2]",
        ),
        (np.zeros(2, np.float32), "Input batch size did not match output batch size: 1 vs. 2"),
        (np.zeros(1), "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE"),
    ],
)
def test_outputs_that_are_no_regression_are_refused_with_tf_servings_message(values, message):
    with pytest.raises(ServingStatus) as error:
        fill_regressions(regression_pb2.RegressionResult(), values, 1)

    assert error.value.message == message
