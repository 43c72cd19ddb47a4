"""Requests as JSON: tensors and examples, read as by TF Serving's REST API.

They are parsed by RapidJSON, as in TF Serving, so that parse errors have the same messages.
"""

import base64
import binascii
import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import rapidjson
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import input_pb2

from models.serving.protocol.json_responses import decimals
from models.serving.protocol.statuses import Code, ServingStatus, invalid
from models.serving.protocol.tensors import data_type_name, strings

MAX_RANK = 64  # numpy's limit, since the session takes arrays; TensorFlow's is 254
_TOO_DEEP = f"Encountered list at unexpected level: {MAX_RANK} expected < {MAX_RANK}"
MAX_SHOWN = 256  # characters of a value in a message

Json = Any
Inputs = Mapping[str, meta_graph_pb2.TensorInfo]

_FLOATS = {types_pb2.DT_FLOAT: np.float32, types_pb2.DT_DOUBLE: np.float64}
_MIN_INT, _MAX_INT = -(2**63), 2**64 - 1  # RapidJSON parses integers beyond these as doubles
_INTS = {
    types_pb2.DT_INT32: (np.int32, -(2**31), 2**31 - 1),
    # TF Serving checks these three as int32 and drops the high bits, like a cast in C.
    types_pb2.DT_INT16: (np.int16, -(2**31), 2**31 - 1),
    types_pb2.DT_INT8: (np.int8, -(2**31), 2**31 - 1),
    types_pb2.DT_UINT8: (np.uint8, -(2**31), 2**31 - 1),
    types_pb2.DT_INT64: (np.int64, -(2**63), 2**63 - 1),
    types_pb2.DT_UINT32: (np.uint32, 0, 2**32 - 1),
    types_pb2.DT_UINT64: (np.uint64, 0, 2**64 - 1),
}
_PARSE_ERROR = re.compile(r"Parse error at offset (\d+): (.*)", re.DOTALL)
_TOO_BIG = "Number too big to be stored in double."
_WHITE_SPACE = str.maketrans("", "", " \t\n\v\f\r")
_TRAILING = "The document root must not be followed by other values."


def parse(body: bytes) -> dict[str, Json]:
    """Returns the JSON object in a request's body; anything after it is ignored.

    Raises:
        ServingStatus: The body is not JSON, or not an object.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        try:
            document = rapidjson.loads(body, number_mode=rapidjson.NM_NAN)
        except rapidjson.JSONDecodeError as error:
            match = _PARSE_ERROR.match(str(error))
            offset, text = (int(match[1]), match[2]) if match else (0, str(error))
            if text != _TRAILING:
                raise invalid(f"JSON Parse error: {text} at offset: {offset}") from None
            document = rapidjson.loads(body[:offset], number_mode=rapidjson.NM_NAN)
    except RecursionError:
        raise invalid("JSON Parse error: Terminate parsing due to Handler error. (nested too deeply)") from None
    except (UnicodeDecodeError, ValueError) as error:
        if (match := _PARSE_ERROR.match(str(error))) and match[2] == "Invalid integer value":  # thousands of digits
            raise invalid(f"JSON Parse error: {_TOO_BIG} at offset: {match[1]}") from None
        raise invalid(f"JSON Parse error: Invalid encoding in string. ({error})") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {text_of(document)} Is not object")
    return document


def signature_name(document: dict[str, Json]) -> str:
    """Returns the signature name of a request, empty if it has none; raises ServingStatus if it is no string."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {text_of(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def read_inputs(document: dict[str, Json], inputs: Inputs) -> tuple[dict[str, np.ndarray], bool]:
    """Returns the arrays of a predict request by alias, and whether the request has the row format (`instances`).

    Args:
        document: The request.
        inputs: Alias -> TensorInfo of the signature's inputs.

    Raises:
        ServingStatus: The request does not match the signature's inputs.
    """
    rows, columns = "instances" in document, "inputs" in document
    if rows and columns:
        raise _format(document, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ")
    if rows:
        instances = document["instances"]
        if not isinstance(instances, list):
            raise _format(document, "Expecting 'instances' to be an list/array")
        if not instances:
            raise _format(document, "No values in 'instances' array")
        return _read_rows(instances, inputs), True
    if columns:
        return _read_columns(document["inputs"], inputs), False
    raise invalid("Missing 'inputs' or 'instances' key")


def _read_rows(instances: list[Json], inputs: Inputs) -> dict[str, np.ndarray]:
    names = sorted(inputs)
    if len(names) == 1 and (item := _regular(instances, inputs[names[0]].dtype)):
        return {names[0]: _array(*item, inputs[names[0]].dtype)}
    if not isinstance(instances[0], dict) and len(inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    are_objects = _is_object(instances[0])
    items: dict[str, list[_Item]] = {name: [] for name in names}
    for index, element in enumerate(instances):
        if _is_object(element) != are_objects:
            expected, got = ("object", "list") if are_objects else ("value/list", "object")
            raise invalid(f"Expecting {expected} but got {got} at item {index} of input list")
        for name, value in element.items() if are_objects else [(names[0], element)]:
            key = f" key: {name}" if are_objects else ""
            try:
                if name not in inputs:
                    raise invalid(f"JSON object: does not have named input: {name}")
                item = _item(value, inputs[name].dtype)
                items[name].append(item)
                _check_same_shape(items[name][0], item)
            except ServingStatus as status:
                raise invalid(f"Failed to process element: {index}{key} of 'instances' list. Error: {status}") from None
        if are_objects and sorted(element) != names:
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: {text_of(element)} keys must "
                f"be equal to: {','.join(names)}"
            )
    return {
        name: _array([value for item in column for value in item[0]], [len(column), *column[0][1]], inputs[name].dtype)
        for name, column in items.items()
    }


_Item = tuple[list, list[int]]  # flat values, and their shape


def _check_same_shape(first: _Item, item: _Item) -> None:
    if len(first[0]) != len(item[0]):
        raise invalid(f"Expecting tensor size: {len(first[0])} but got: {len(item[0])}")
    if first[1] != item[1]:
        shapes = [f"[{','.join(map(str, shape))}]" for shape in (first[1], item[1])]
        raise invalid(f"Expecting shape {shapes[0]} but got: {shapes[1]}")


def _read_columns(value: Json, inputs: Inputs) -> dict[str, np.ndarray]:
    if not _is_object(value):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        value = {next(iter(inputs)): value}
    arrays = {}
    for name in sorted(inputs):
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        flat, shape = _item(value[name], inputs[name].dtype)
        arrays[name] = _array(flat, shape, inputs[name].dtype)
    return arrays


def _regular(value: Json, dtype: int) -> _Item | None:
    """Returns the same as `_item` in a fraction of the time, for valid nested lists of numbers only; else None."""
    if type(value) is not list:
        return None
    shape = [len(value)]
    while value and type(value[0]) is list:
        if set(map(type, value)) != {list} or len(set(map(len, value))) != 1 or len(shape) == MAX_RANK:
            return None
        shape.append(len(value[0]))
        value = list(itertools.chain.from_iterable(value))
    return (value, shape) if _is_valid(value, dtype) else None


def _item(value: Json, dtype: int) -> _Item:
    """Returns the checked values of a (nested) list in row-major order, and its shape."""
    if item := _regular(value, dtype):
        return item
    shape: list[int] = []
    inner = value
    while isinstance(inner, list):
        shape.append(len(inner))
        if len(shape) > MAX_RANK:
            raise invalid(_TOO_DEEP)
        if not inner:
            break
        inner = inner[0]
    flat: list = []
    _flatten(value, 0, shape, dtype, flat)
    return flat, shape


def _flatten(value: Json, level: int, shape: list[int], dtype: int, flat: list) -> None:
    """Appends the checked values of a nested list to `flat`; raises ServingStatus for another shape or type."""
    if not isinstance(value, list):
        if level != len(shape):
            raise invalid(
                f"JSON Value: {text_of(value)} found at incorrect level: {level + 1} in the JSON DOM. Expected at "
                f"level: {len(shape)}"
            )
        flat.append(_checked(value, dtype))
        return
    if level >= len(shape):
        raise invalid(f"Encountered list at unexpected level: {level} expected < {len(shape)}")
    if len(value) != shape[level]:
        raise invalid(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: {shape[level]}"
        )
    if level == len(shape) - 1 and _is_valid(value, dtype):
        flat.extend(value)
        return
    for element in value:
        _flatten(element, level + 1, shape, dtype, flat)


def _is_valid(values: list, dtype: int) -> bool:
    """Whether all values of a list are numbers in the range of `dtype`: a quick check of the common case."""
    types = set(map(type, values))
    if dtype in _FLOATS and types <= {float, int}:
        largest = float(np.finfo(_FLOATS[dtype]).max)
        return all(-largest <= value <= largest for value in values)
    if types == {int} and dtype in _INTS:
        _, low, high = _INTS[dtype]
        return low <= min(values) and max(values) <= high
    return False


def _checked(value: Json, dtype: int) -> Json:
    """Returns one value as it goes into a tensor of `dtype`; raises ServingStatus if it has another type."""
    if isinstance(value, dict):
        if dtype != types_pb2.DT_STRING:
            raise _type_error(value, dtype)
        return _unescape(value)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if dtype in _FLOATS:
        if not is_number:
            raise _type_error(value, dtype)
        # Integers are rounded to a float, as decimals are.
        value = _double(value)
        if math.isfinite(value) and abs(value) > float(np.finfo(_FLOATS[dtype]).max):
            type_name = data_type_name(dtype)
            raise invalid(f"Cannot convert JSON value: {text_of(value)} to {type_name} without loss of precision.")
        return value
    if dtype in _INTS:
        _, low, high = _INTS[dtype]
        if not is_number or not isinstance(value, int) or not low <= value <= high:
            raise _type_error(value, dtype)
        return value
    if dtype == types_pb2.DT_STRING:
        if not isinstance(value, str):
            raise _type_error(value, dtype)
        return value.encode(errors="surrogatepass")
    if dtype == types_pb2.DT_BOOL:
        if not isinstance(value, bool):
            raise _type_error(value, dtype)
        return value
    raise ServingStatus(
        Code.UNIMPLEMENTED, f"Conversion of JSON Value: {text_of(value)} to type: {data_type_name(dtype)}"
    )


def _double(value: float) -> float:
    """Returns a number as a float; raises ServingStatus if it is too large."""
    try:
        return float(value)
    except OverflowError:
        raise invalid(f"JSON Parse error: {_TOO_BIG}") from None


def _array(flat: list, shape: list[int], dtype: int) -> np.ndarray:
    if len(shape) > MAX_RANK:
        raise invalid(_TOO_DEEP)
    if dtype == types_pb2.DT_STRING:
        return strings(flat).reshape(shape)
    if dtype in _INTS:
        wide_dtype = np.uint64 if dtype == types_pb2.DT_UINT64 else np.int64
        return np.array(flat, wide_dtype).astype(_INTS[dtype][0]).reshape(shape)
    numpy_dtype = tf.dtypes.as_dtype(dtype).as_numpy_dtype
    return np.array(flat, numpy_dtype).reshape(shape)


def _is_object(value: Json) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value: Json) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _unescape(value: dict[str, Json]) -> bytes:
    if not _is_base64(value):
        raise invalid(f"JSON Value: {text_of(value)} not formatted correctly for base64 data")
    # Some encoders break lines, leave the padding out, or pad with dots; padding of a wrong length is an error.
    text = value["b64"].translate(_WHITE_SPACE)
    unpadded = text.rstrip("=.")
    try:
        if len(text) - len(unpadded) not in (0, -len(unpadded) % 4):
            raise ValueError("padding")
        return base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def read_examples(document: dict[str, Json]) -> input_pb2.Input:
    """Returns the examples of a classify or regress request; raises ServingStatus if they are malformed."""
    result = input_pb2.Input()
    has_context = "context" in document
    if has_context:
        result.example_list_with_context.context.CopyFrom(_example(document["context"]))
    if "examples" not in document:
        raise _format(document, "When method is classify, key 'examples' is expected and was not found")
    examples = document["examples"]
    if not isinstance(examples, list):
        raise _format(document, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise _format(document, "'examples' value is an empty array")
    target = result.example_list_with_context if has_context else result.example_list
    target.examples.extend(_example(example) for example in examples)
    return result


def _example(value: Json) -> tf.train.Example:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {_kind(value)}")
    example = tf.train.Example()
    for name, content in value.items():
        feature = example.features.feature[name]
        for element in content if isinstance(content, list) else [content]:
            _add(element, name, feature)
    return example


_TYPE_NAMES = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64", None: "UNKNOWN"}


def _add(value: Json, name: str, feature: tf.train.Feature) -> None:
    if type(value) is int and not _MIN_INT <= value <= _MAX_INT:
        value = _double(value)
    if isinstance(value, (bool, int)):
        kind = "int64_list"
    elif isinstance(value, float):
        kind = "float_list"
    elif isinstance(value, str) or _is_base64(value):
        kind = "bytes_list"
    else:
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {_kind(value)}")
    current_kind = feature.WhichOneof("kind")
    if current_kind not in (None, kind):
        raise invalid(f"Unexpected element type in feature: {name} expecting type: {_TYPE_NAMES[current_kind]}")
    if kind == "float_list":
        feature.float_list.value.append(_checked(value, types_pb2.DT_FLOAT))
    elif kind == "bytes_list":
        feature.bytes_list.value.append(_checked(value, types_pb2.DT_STRING))
    elif value > 2**63 - 1:
        raise invalid(f"Feature: {name} has uint64 element. Only int64 is supported.")
    else:
        feature.int64_list.value.append(int(value))


def _kind(value: Json) -> str:
    if value is None:
        return "Null"
    if isinstance(value, bool):
        return str(value)
    return {dict: "Object", list: "Array", str: "String"}.get(type(value), "Number")


def text_of(value: Json) -> str:
    """Returns a JSON value as error messages show it, cut after 256 characters."""
    if type(value) is int and not _MIN_INT <= value <= _MAX_INT:
        value = _double(value)
    if isinstance(value, float):
        return decimals(np.array([value]))[0]
    text = rapidjson.dumps(value, indent=4, ensure_ascii=False, number_mode=rapidjson.NM_NAN)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _format(document: Json, text: str) -> ServingStatus:
    return invalid(f"JSON Value: {text_of(document)} {text}")


def _type_error(value: Json, dtype: int) -> ServingStatus:
    return invalid(
        f"JSON Value: {text_of(value)} Type: {_kind(value)} is not of expected type: {data_type_name(dtype)}"
    )
