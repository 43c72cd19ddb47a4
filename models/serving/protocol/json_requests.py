"""Requests as JSON: tensors and examples, read the way TF Serving's REST API does.

RapidJSON, the parser that TF Serving uses, reads them, so that its error messages are the same.
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

from models.serving.protocol.json_answers import decimals
from models.serving.protocol.statuses import Code, ServingStatus, invalid
from models.serving.protocol.tensors import data_type_name, strings

MAX_RANK = 64  # numpy's, whose arrays the session takes; TensorFlow's is 254
_TOO_DEEP = f"Encountered list at unexpected level: {MAX_RANK} expected < {MAX_RANK}"
CUT = 256  # bytes of a value that a message shows

Json = Any
Inputs = Mapping[str, meta_graph_pb2.TensorInfo]

_FLOATS = {types_pb2.DT_FLOAT: np.float32, types_pb2.DT_DOUBLE: np.float64}
_LEAST, _GREATEST = -(2**63), 2**64 - 1  # whole numbers beyond these are doubles to RapidJSON
_INTS = {
    types_pb2.DT_INT32: (np.int32, -(2**31), 2**31 - 1),
    # TF Serving checks these three as int32 and cuts them off, like a cast in C.
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
    """Returns the JSON object in a request's body; what follows it is ignored.

    Raises:
        ServingStatus: It is no JSON, or no object.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        try:
            document = rapidjson.loads(body, number_mode=rapidjson.NM_NAN)
        except rapidjson.JSONDecodeError as error:
            found = _PARSE_ERROR.match(str(error))
            offset, text = (int(found[1]), found[2]) if found else (0, str(error))
            if text != _TRAILING:
                raise invalid(f"JSON Parse error: {text} at offset: {offset}") from None
            document = rapidjson.loads(body[:offset], number_mode=rapidjson.NM_NAN)
    except RecursionError:
        raise invalid("JSON Parse error: Terminate parsing due to Handler error. (nested too deeply)") from None
    except (UnicodeDecodeError, ValueError) as error:
        if (found := _PARSE_ERROR.match(str(error))) and found[2] == "Invalid integer value":  # of thousands of digits
            raise invalid(f"JSON Parse error: {_TOO_BIG} at offset: {found[1]}") from None
        raise invalid(f"JSON Parse error: Invalid encoding in string. ({error})") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {text_of(document)} Is not object")
    return document


def signature_name(document: dict[str, Json]) -> str:
    """Returns the signature that a request names, or an empty text; raises ServingStatus."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {text_of(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def read_inputs(document: dict[str, Json], inputs: Inputs) -> tuple[dict[str, np.ndarray], bool]:
    """Returns the arrays of a predict request by alias, and whether they came row by row.

    Args:
        document: The request.
        inputs: The signature's inputs.

    Raises:
        ServingStatus: They are not what the signature takes.
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
        return _of_rows(instances, inputs), True
    if columns:
        return _of_columns(document["inputs"], inputs), False
    raise invalid("Missing 'inputs' or 'instances' key")


def _of_rows(instances: list[Json], inputs: Inputs) -> dict[str, np.ndarray]:
    names = sorted(inputs)
    if len(names) == 1 and (found := _regular(instances, inputs[names[0]].dtype)):
        return {names[0]: _array(*found, inputs[names[0]].dtype)}
    if not isinstance(instances[0], dict) and len(inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    objects = _is_object(instances[0])
    items: dict[str, list[_Item]] = {name: [] for name in names}
    for index, element in enumerate(instances):
        if _is_object(element) != objects:
            words = ("object", "list") if objects else ("value/list", "object")
            raise invalid(f"Expecting {words[0]} but got {words[1]} at item {index} of input list")
        for name, value in element.items() if objects else [(names[0], element)]:
            key = f" key: {name}" if objects else ""
            try:
                if name not in inputs:
                    raise invalid(f"JSON object: does not have named input: {name}")
                item = _item(value, inputs[name].dtype)
                items[name].append(item)
                _same(items[name][0], item)
            except ServingStatus as status:
                raise invalid(f"Failed to process element: {index}{key} of 'instances' list. Error: {status}") from None
        if objects and sorted(element) != names:
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: {text_of(element)} keys must "
                f"be equal to: {','.join(names)}"
            )
    return {
        name: _array([value for one in found for value in one[0]], [len(found), *found[0][1]], inputs[name].dtype)
        for name, found in items.items()
    }


_Item = tuple[list, list[int]]


def _same(first: _Item, item: _Item) -> None:
    if len(first[0]) != len(item[0]):
        raise invalid(f"Expecting tensor size: {len(first[0])} but got: {len(item[0])}")
    if first[1] != item[1]:
        shapes = [f"[{','.join(map(str, shape))}]" for shape in (first[1], item[1])]
        raise invalid(f"Expecting shape {shapes[0]} but got: {shapes[1]}")


def _of_columns(value: Json, inputs: Inputs) -> dict[str, np.ndarray]:
    if not _is_object(value):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        value = {next(iter(inputs)): value}
    found = {}
    for name in sorted(inputs):
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
        flat, shape = _item(value[name], inputs[name].dtype)
        found[name] = _array(flat, shape, inputs[name].dtype)
    return found


def _regular(value: Json, dtype: int) -> _Item | None:
    """Returns what `_item` does for nested lists of numbers that are all fine, in a fraction of the time; else None."""
    if type(value) is not list:
        return None
    shape = [len(value)]
    while value and type(value[0]) is list:
        if set(map(type, value)) != {list} or len(set(map(len, value))) != 1 or len(shape) == MAX_RANK:
            return None
        shape.append(len(value[0]))
        value = list(itertools.chain.from_iterable(value))
    return (value, shape) if _plain(value, dtype) else None


def _item(value: Json, dtype: int) -> _Item:
    """Returns the values of a (nested) list one after the other, checked, and its shape."""
    if found := _regular(value, dtype):
        return found
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
    if level == len(shape) - 1 and _plain(value, dtype):
        flat.extend(value)
        return
    for one in value:
        _flatten(one, level + 1, shape, dtype, flat)


def _plain(values: list, dtype: int) -> bool:
    """Whether all values of a list are fine as they are; the look is quick."""
    kinds = set(map(type, values))
    if dtype in _FLOATS and kinds <= {float, int}:
        greatest = float(np.finfo(_FLOATS[dtype]).max)
        return all(-greatest <= value <= greatest for value in values)
    if kinds == {int} and dtype in _INTS:
        _, low, high = _INTS[dtype]
        return low <= min(values) and max(values) <= high
    return False


def _checked(value: Json, dtype: int) -> Json:
    """Returns one value as it goes into a tensor; raises ServingStatus when it is not of its type."""
    if isinstance(value, dict):
        if dtype != types_pb2.DT_STRING:
            raise _type_error(value, dtype)
        return _unescape(value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if dtype in _FLOATS:
        if not number:
            raise _type_error(value, dtype)
        # Whole numbers are rounded to what a float can hold, as decimals are.
        value = _double(value)
        if math.isfinite(value) and abs(value) > float(np.finfo(_FLOATS[dtype]).max):
            word = data_type_name(dtype)
            raise invalid(f"Cannot convert JSON value: {text_of(value)} to {word} without loss of precision.")
        return value
    if dtype in _INTS:
        _, low, high = _INTS[dtype]
        if not number or not isinstance(value, int) or not low <= value <= high:
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
    """Returns a number as a float; raises ServingStatus where it is too large for one."""
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
        wide = np.uint64 if dtype == types_pb2.DT_UINT64 else np.int64
        return np.array(flat, wide).astype(_INTS[dtype][0]).reshape(shape)
    kind = tf.dtypes.as_dtype(dtype).as_numpy_dtype
    return np.array(flat, kind).reshape(shape)


def _is_object(value: Json) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value: Json) -> bool:
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def _unescape(value: dict[str, Json]) -> bytes:
    if not _is_base64(value):
        raise invalid(f"JSON Value: {text_of(value)} not formatted correctly for base64 data")
    # Encoders break lines, and leave the padding out or write it with dots; what is wrong with it is an error.
    text = value["b64"].translate(_WHITE_SPACE)
    bare = text.rstrip("=.")
    try:
        if len(text) - len(bare) not in (0, -len(bare) % 4):
            raise ValueError("padding")
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def read_examples(document: dict[str, Json]) -> input_pb2.Input:
    """Returns the examples of a classify or regress request; raises ServingStatus."""
    found = input_pb2.Input()
    context = "context" in document
    if context:
        found.example_list_with_context.context.CopyFrom(_example(document["context"]))
    if "examples" not in document:
        raise _format(document, "When method is classify, key 'examples' is expected and was not found")
    examples = document["examples"]
    if not isinstance(examples, list):
        raise _format(document, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise _format(document, "'examples' value is an empty array")
    target = found.example_list_with_context if context else found.example_list
    target.examples.extend(_example(one) for one in examples)
    return found


def _example(value: Json) -> tf.train.Example:
    if not isinstance(value, dict):
        raise invalid(f"Example must be JSON object but got JSON {_kind(value)}")
    found = tf.train.Example()
    for name, content in value.items():
        feature = found.features.feature[name]
        for one in content if isinstance(content, list) else [content]:
            _add(one, name, feature)
    return found


_WORDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64", None: "UNKNOWN"}


def _add(value: Json, name: str, feature: tf.train.Feature) -> None:
    if type(value) is int and not _LEAST <= value <= _GREATEST:
        value = _double(value)
    if isinstance(value, (bool, int)):
        kind = "int64_list"
    elif isinstance(value, float):
        kind = "float_list"
    elif isinstance(value, str) or _is_base64(value):
        kind = "bytes_list"
    else:
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {_kind(value)}")
    there = feature.WhichOneof("kind")
    if there not in (None, kind):
        raise invalid(f"Unexpected element type in feature: {name} expecting type: {_WORDS[there]}")
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
    """Returns a JSON value as a message shows it, cut at 256 bytes."""
    if type(value) is int and not _LEAST <= value <= _GREATEST:
        value = _double(value)
    if isinstance(value, float):
        return decimals(np.array([value]))[0]
    text = rapidjson.dumps(value, indent=4, ensure_ascii=False, number_mode=rapidjson.NM_NAN)
    return text if len(text) <= CUT else f"{text[:CUT]}..."


def _format(document: Json, text: str) -> ServingStatus:
    return invalid(f"JSON Value: {text_of(document)} {text}")


def _type_error(value: Json, dtype: int) -> ServingStatus:
    return invalid(
        f"JSON Value: {text_of(value)} Type: {_kind(value)} is not of expected type: {data_type_name(dtype)}"
    )
