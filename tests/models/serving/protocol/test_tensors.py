"""Tensors of requests, compared with what TensorFlow reads from them."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from models.serving.protocol.tensors import to_array

pytestmark = pytest.mark.slow  # loads TensorFlow


def tensor(dtype: tf.DType, *shape: int, **values) -> tensor_pb2.TensorProto:
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, **values)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    "proto",
    [
        tensor(tf.float16, 3, half_val=[15360, 65536 + 15361, -1]),
        tensor(tf.bfloat16, 2, half_val=[2**31 - 1, -(2**31)]),
        tensor(tf.int8, 2, int_val=[300, -129]),
        tensor(tf.uint16, 2, int_val=[-1, 2**31 - 1]),
    ],
)
def test_values_out_of_range_lose_their_high_bits_as_in_tensorflow(proto):
    dtype = tf.dtypes.as_dtype(proto.dtype)

    assert to_array(proto).tobytes() == tf.io.parse_tensor(proto.SerializeToString(), dtype).numpy().tobytes()


def test_missing_values_repeat_the_last_one_with_its_zero_bytes():
    proto = tensor(tf.string, 3, string_val=[b"a", b"b\0"])

    assert to_array(proto).tolist() == [b"a", b"b\0", b"b\0"]
    assert tf.io.parse_tensor(proto.SerializeToString(), tf.string).numpy().tolist() == [b"a", b"b\0", b"b\0"]


def test_bytes_that_are_no_booleans_are_refused():
    assert to_array(tensor(tf.bool, 3, tensor_content=b"\0\1\1")).tolist() == [False, True, True]
    with pytest.raises(ValueError, match="content is no booleans"):
        to_array(tensor(tf.bool, 2, tensor_content=b"\1\2"))


def test_more_dimensions_than_an_array_has_are_refused():
    with pytest.raises(ValueError, match="dimension"):
        to_array(tensor(tf.float32, *[1] * 65, float_val=[1]))


def test_a_tensor_without_values_is_all_zeros():
    np.testing.assert_array_equal(to_array(tensor(tf.float32, 2)), np.zeros(2, np.float32))
