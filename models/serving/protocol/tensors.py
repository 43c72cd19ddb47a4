"""Conversion of TensorProtos to numpy arrays and back, at the speed of a copy."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

TensorProto = tensor_pb2.TensorProto
MAX_BYTES = 2**31
MAX_ITEM_BYTES = 8
MIN_RAW_VALUES = 512  # from so many values on, reading the serialized bytes is faster than reading the field

# DataType -> numpy dtype and the TensorProto field of its values.
_FIELDS: dict[int, tuple[Any, str]] = {
    types_pb2.DT_FLOAT: (np.float32, "float_val"),
    types_pb2.DT_DOUBLE: (np.float64, "double_val"),
    types_pb2.DT_INT32: (np.int32, "int_val"),
    types_pb2.DT_INT16: (np.int16, "int_val"),
    types_pb2.DT_INT8: (np.int8, "int_val"),
    types_pb2.DT_UINT8: (np.uint8, "int_val"),
    types_pb2.DT_UINT16: (np.uint16, "int_val"),
    types_pb2.DT_STRING: (object, "string_val"),
    types_pb2.DT_INT64: (np.int64, "int64_val"),
    types_pb2.DT_BOOL: (np.bool_, "bool_val"),
    types_pb2.DT_UINT32: (np.uint32, "uint32_val"),
    types_pb2.DT_UINT64: (np.uint64, "uint64_val"),
    types_pb2.DT_HALF: (np.float16, "half_val"),
    types_pb2.DT_BFLOAT16: (tf.bfloat16.as_numpy_dtype, "half_val"),
}
_NUMBERS = {np.dtype(kind): number for number, (kind, _) in _FIELDS.items()}
# Fields whose packed serialization is the bytes of the array: field -> tag and numpy dtype.
_RAW = {"float_val": (b"\x2a", "<f4"), "double_val": (b"\x32", "<f8"), "bool_val": (b"\x5a", "?")}


def data_type_name(number: int) -> str:
    """Returns the name of a DataType in TensorFlow's messages, such as `float` or `int32`."""
    try:
        return tf.dtypes.as_dtype(number).name.replace("float32", "float").replace("float64", "double")
    except TypeError:
        return "INVALID"


def number_of(kind: np.dtype) -> int:
    """Returns the DataType number of a numpy dtype."""
    return types_pb2.DT_STRING if kind.kind in "OSU" else _NUMBERS[kind]


def strings(values: Sequence[Any]) -> np.ndarray:
    """Returns an object array `(values,)`; `np.array` makes fixed-width strings, which drop trailing zero bytes."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def to_array(proto: TensorProto, max_filled: int = MAX_BYTES) -> np.ndarray:
    """Returns the array in a TensorProto; strings as an object array of bytes.

    If there are fewer values than the shape has, the last one is repeated, as in TensorFlow.

    Args:
        proto: The tensor.
        max_filled: Size limit in bytes of a tensor filled up so: a message of 30 bytes can ask for 2 GiB.

    Raises:
        ValueError: The tensor has an unknown dtype or rank, the wrong number of values, or is too large.
    """
    if proto.dtype not in _FIELDS or proto.tensor_shape.unknown_rank:
        raise ValueError("unknown type or rank")
    kind, field = _FIELDS[proto.dtype]
    shape = [dim.size for dim in proto.tensor_shape.dim]
    if shape and min(shape) < 0:
        raise ValueError("negative size")
    size = math.prod(shape)
    if size * MAX_ITEM_BYTES > MAX_BYTES and size * np.dtype(kind).itemsize > MAX_BYTES:
        raise ValueError("too large")
    if proto.tensor_content:
        return _from_content(proto.tensor_content, kind, size).reshape(shape)
    values = getattr(proto, field)
    if len(values) > size:
        raise ValueError("more values than the shape has")
    if len(values) < size and size * np.dtype(kind).itemsize > max_filled:
        raise ValueError("too large")
    array = _from_fields(proto, values, field, kind)
    if len(array) == size:
        return array.reshape(shape)
    if len(array) == 0:
        return np.full(shape, b"" if kind is object else 0, kind)
    filled = np.empty(size, kind)
    filled[: len(array)] = array
    filled[len(array) :] = array[-1]  # np.full would make a fixed-width string of it, which drops trailing zero bytes
    return filled.reshape(shape)


def _from_content(content: bytes, kind: Any, size: int) -> np.ndarray:
    if kind is object:
        # TensorFlow's encoding: all lengths as varints, then the strings.
        proto = TensorProto(dtype=types_pb2.DT_STRING, tensor_content=content)
        proto.tensor_shape.dim.add(size=size)
        try:
            return tf.io.parse_tensor(proto.SerializeToString(), tf.string).numpy().reshape(-1)
        except tf.errors.OpError as error:
            raise ValueError("content is no strings") from error
    if len(content) != size * np.dtype(kind).itemsize:
        raise ValueError("content of another size")
    if kind is np.bool_ and content.strip(b"\0\1"):
        raise ValueError("content is no booleans")
    return np.frombuffer(content, kind)


def _from_fields(proto: TensorProto, values: Any, field: str, kind: Any) -> np.ndarray:
    if field == "half_val":
        return np.array(values, np.int32).astype(np.uint16).view(kind)  # high bits are dropped, as in TensorFlow
    if kind is object:
        return strings(values)
    if field in _RAW and len(values) >= MIN_RAW_VALUES:
        tag, dtype = _RAW[field]
        num_bytes = len(values) * np.dtype(dtype).itemsize
        serialized = proto.SerializeToString()
        header = tag + _varint(num_bytes)
        if serialized[-num_bytes - len(header) : -num_bytes] == header:  # the values are the last field
            return np.frombuffer(serialized, dtype, offset=len(serialized) - num_bytes)
    wide = np.int64 if field == "int_val" else kind
    return np.array(values, wide).astype(kind, copy=False)


def fill(proto: TensorProto, array: np.ndarray, *, as_content: bool = False) -> None:
    """Writes an array into an empty TensorProto.

    Args:
        proto: The message to fill.
        array: Of any shape, of a dtype that TensorFlow has.
        as_content: Whether numbers go into `tensor_content` instead of the typed field, which TF Serving uses.
    """
    number = number_of(array.dtype)
    _, field = _FIELDS[number]
    proto.dtype = number
    shape = proto.tensor_shape
    for size in array.shape:
        shape.dim.add().size = size
    if field == "string_val":
        proto.string_val.extend(array.ravel().tolist())
    elif as_content:
        proto.tensor_content = array.tobytes()
    elif field == "half_val":
        proto.half_val.extend(array.ravel().view(np.uint16).tolist())
    elif field in _RAW and array.size >= MIN_RAW_VALUES:
        content = np.ascontiguousarray(array).tobytes()
        proto.MergeFromString(_RAW[field][0] + _varint(len(content)) + content)
    else:
        getattr(proto, field).extend(array.ravel().tolist())


def _varint(value: int) -> bytes:
    """Returns a number in protobuf's variable-length encoding."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
