import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import meta_graph_pb2

from models.serving.protocol.signatures import Signature, read_inputs, select_outputs
from models.serving.protocol.statuses import ServingStatus

DEFINITION = text_format.Parse(
    """inputs { key: "a" value { name: "a:0" dtype: DT_FLOAT } }
    inputs { key: "b" value { name: "b:0" dtype: DT_INT32 } }
    outputs { key: "y" value { name: "y:0" } } outputs { key: "z" value { name: "z:0" } }""",
    meta_graph_pb2.SignatureDef(),
)
A, B = tf.make_tensor_proto(np.float32([1])), tf.make_tensor_proto(np.int32([2]))


def signature(**defaults: np.ndarray) -> Signature:
    """Returns a signature of inputs `a`, float32, and `b`, int32, and outputs `y` and `z`."""
    handles = {"a": "a:0", "b": "b:0"}
    return Signature("s", DEFINITION, handles, {"y": "y:0", "z": "z:0"}, {"a": 1, "b": 3}, defaults)


def test_inputs_are_returned_as_arrays_and_missing_ones_as_their_default():
    arrays = read_inputs({"a": A}, signature(b=np.int32([7])), 0)

    assert {alias: (value.tolist(), value.dtype.name) for alias, value in arrays.items()} == {
        "a": ([1.0], "float32"),
        "b": ([7], "int32"),
    }


@pytest.mark.parametrize(
    ("tensors", "defaults", "message"),
    [
        (
            {"a": A},
            {},
            "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: "
            "{b}.",
        ),
        (
            {"a": A, "z": B},
            {},
            "Signature input alias: b(feed name: b:0) not found in request and no default value provided. Inputs "
            "expected to be in the request {a,b}, or default input alias set: ",
        ),
        (
            {"a": A, "z": B},
            {"b": np.int32([7])},
            "Inputs contains invalid name. Used request inputs: a, request input: z",
        ),
        ({"a": B, "b": B}, {}, "Expects arg[0] to be float but int32 is provided"),
    ],
)
def test_inputs_that_do_not_match_the_signature_are_refused_with_tf_servings_message(tensors, defaults, message):
    with pytest.raises(ServingStatus) as error:
        read_inputs(tensors, signature(**defaults), 0)

    assert (error.value.code.name, error.value.message) == ("INVALID_ARGUMENT", message)


def test_outputs_are_those_of_the_filter_or_all_without_a_filter():
    assert select_outputs([], signature()) == ["y", "z"]
    assert select_outputs(["z"], signature()) == ["z"]
    with pytest.raises(ServingStatus, match="duplicate output tensor alias: z"):
        select_outputs(["z", "z"], signature())
