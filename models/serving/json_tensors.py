"""Tensors, examples and answers as JSON, read and written the way TF Serving's REST API does.

RapidJSON, the parser that TF Serving uses, reads the requests, so that its error messages are the same.
"""

import base64
import binascii
import json
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

from models.serving.statuses import Code, ServingStatus, invalid
from models.serving.tensors import data_type_name, strings

MAX_RANK = 254  # TensorFlow's
MANY_BRACKETS = 512
CUT = 256  # bytes of a value that a message shows
INDENT = "    "

Json = Any
Inputs = Mapping[str, meta_graph_pb2.TensorInfo]

_FLOATS = {types_pb2.DT_FLOAT: (np.float32, 24), types_pb2.DT_DOUBLE: (np.float64, 53)}
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
_TRAILING = "The document root must not be followed by other values."


# --- reading


def parse(body: bytes) -> dict[str, Json]:
    """Returns the JSON object in a request's body; what follows it is ignored.

    Raises:
        ServingStatus: It is no JSON, or no object.
    """
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    if body.count(b"[") + body.count(b"{") > MANY_BRACKETS:
        _refuse_deep(body)
    try:
        try:
            document = rapidjson.loads(body, number_mode=rapidjson.NM_NAN)
        except rapidjson.JSONDecodeError as error:
            found = _PARSE_ERROR.match(str(error))
            offset, text = (int(found[1]), found[2]) if found else (0, str(error))
            if text != _TRAILING:
                raise invalid(f"JSON Parse error: {text} at offset: {offset}") from None
            document = rapidjson.loads(body[:offset], number_mode=rapidjson.NM_NAN)
    except (UnicodeDecodeError, ValueError) as error:
        raise invalid(f"JSON Parse error: Invalid encoding in string. ({error})") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {text_of(document)} Is not object")
    return document


def _refuse_deep(body: bytes) -> None:
    """RapidJSON recurses without a bound and would take the process down; Python's parser has one."""
    try:
        json.JSONDecoder().raw_decode(body.decode(errors="replace").lstrip())
    except RecursionError:
        raise invalid("JSON Parse error: Terminate parsing due to Handler error. (nested too deeply)") from None
    except ValueError:
        pass  # RapidJSON words it


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
            raise _format(document, "Excepting 'instances' to be an list/array")
        if not instances:
            raise _format(document, "No values in 'instances' array")
        return _of_rows(instances, inputs), True
    if columns:
        return _of_columns(document["inputs"], inputs), False
    raise invalid("Missing 'inputs' or 'instances' key")


def _of_rows(instances: list[Json], inputs: Inputs) -> dict[str, np.ndarray]:
    if not isinstance(instances[0], dict) and len(inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    objects = _is_object(instances[0])
    names = sorted(inputs)
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


def _item(value: Json, dtype: int) -> _Item:
    """Returns the values of a (nested) list one after the other, checked, and its shape."""
    shape: list[int] = []
    inner = value
    while isinstance(inner, list):
        shape.append(len(inner))
        if len(shape) > MAX_RANK:
            raise invalid(f"Encountered list at unexpected level: {MAX_RANK} expected < {MAX_RANK}")
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
    if dtype in _FLOATS and kinds == {float}:
        greatest = float(np.finfo(_FLOATS[dtype][0]).max)
        return all(-greatest <= value <= greatest for value in values)
    if kinds == {int} and (dtype in _FLOATS or dtype in _INTS):
        _, low, high = _INTS.get(dtype) or (None, *(sign * (2 ** _FLOATS[dtype][1] - 1) for sign in (-1, 1)))
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
        kind, digits = _FLOATS[dtype]
        whole = isinstance(value, int)
        if math.isfinite(value) and abs(value) > (2**digits - 1 if whole else float(np.finfo(kind).max)):
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


def _array(flat: list, shape: list[int], dtype: int) -> np.ndarray:
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
    text = value["b64"].rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
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
    elif value < -(2**63):
        raise invalid(f"Feature: {name} has element with unexpected JSON type: Number")
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


# --- writing


def write_rows(outputs: Mapping[str, np.ndarray]) -> bytes:
    """Returns `{"predictions": [...]}`, an element a row; raises ServingStatus when rows do not match."""
    rows = None
    for name, array in outputs.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information ")
        if rows is not None and len(array) != rows:
            raise invalid(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {rows}")
        rows = len(array)
    single = len(outputs) == 1
    texts = {name: _nested(array, name, 2 if single else 3, one_line=True) for name, array in outputs.items()}
    if single:
        found = next(iter(texts.values()))
        inside = ", ".join(found)
    else:
        elements = [
            "{\n"
            + ",\n".join(f"{INDENT * 3}{quoted(name)}: {texts[name][row]}" for name in sorted(texts))
            + f"\n{INDENT * 2}}}"
            for row in range(rows or 0)
        ]
        inside = "".join(f"{',' if row else ''}\n{INDENT * 2}{one}" for row, one in enumerate(elements))
    end = f"\n{INDENT}]" if rows else "]"
    return encoded(f'{{\n{INDENT}"predictions": [{inside}{end}\n}}')


def write_columns(outputs: Mapping[str, np.ndarray]) -> bytes:
    """Returns `{"outputs": ...}`, one value, or an object of several; raises ServingStatus."""
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        text = _whole(array, name, 1)
    else:
        inside = ",\n".join(f"{INDENT * 2}{quoted(name)}: {_whole(outputs[name], name, 2)}" for name in sorted(outputs))
        text = f"{{\n{inside}\n{INDENT}}}"
    return encoded(f'{{\n{INDENT}"outputs": {text}\n}}')


def write_classifications(result) -> bytes:
    """Returns `{"results": [[["label", score], ...], ...]}` of a ClassificationResult."""
    rows = []
    for one in result.classifications:
        scores = decimals(np.array([found.score for found in one.classes], np.float32))
        pairs = [f"[{quoted(found.label)}, {score}]" for found, score in zip(one.classes, scores, strict=True)]
        rows.append(f"[{', '.join(pairs)}]")
    return encoded(f'{{\n{INDENT}"results": [{", ".join(rows)}\n{INDENT}]\n}}')


def write_regressions(result) -> bytes:
    """Returns `{"results": [value, ...]}` of a RegressionResult."""
    values = decimals(np.array([one.value for one in result.regressions], np.float32))
    return encoded(f'{{\n{INDENT}"results": [{", ".join(values)}]\n}}')


def write_error(message: str) -> bytes:
    """Returns `{"error": message}`."""
    return encoded(f'{{\n{INDENT}"error": {quoted(message)}\n}}')


def decimals(values: np.ndarray) -> list[str]:
    """Returns float32 or float64 values in six digits where that reads back, else in all; never as whole numbers."""
    flat = values.tolist()
    digits = 9 if values.dtype == np.float32 else 17
    texts = [f"{value:g}" for value in flat]
    back = np.array([float(text) for text in texts]).astype(values.dtype)
    for index in np.flatnonzero(~(back == values)).tolist():
        if values[index] == values[index]:
            texts[index] = f"{flat[index]:.{digits}g}"
    return [_decimal(text) for text in texts]


def _decimal(text: str) -> str:
    if text in ("nan", "-nan"):
        return "NaN"
    if "inf" in text:
        return text.replace("inf", "Infinity")
    return text if "." in text or "e" in text else f"{text}.0"


def _texts(array: np.ndarray, name: str, level: int) -> list[str]:
    """Returns each value of an array as JSON, in row-major order."""
    kind = array.dtype.kind
    if kind in "OSU":
        values = array.ravel().tolist()
        if name.endswith("_bytes"):
            pad = INDENT * level
            return [f'{{\n{pad}{INDENT}"b64": "{base64.b64encode(value).decode()}"\n{pad}}}' for value in values]
        return [quoted(value.decode(errors="surrogateescape")) for value in values]
    if array.dtype in (np.float32, np.float64):
        return decimals(array.ravel())
    if array.dtype == np.float16:
        return decimals(array.ravel().astype(np.float32))
    if kind == "b":
        return ["true" if value else "false" for value in array.ravel().tolist()]
    if kind in "iu":
        return list(map(str, array.ravel().tolist()))
    raise invalid(f"Failed to write JSON value for tensor type: {array.dtype}")


def _nested(array: np.ndarray, name: str, level: int, *, one_line: bool) -> list[str]:
    """Returns the rows of an array as JSON; `level` is how deep a row stands."""
    texts = _texts(array, name, level + array.ndim - 1)
    return _join_all(texts, array.shape, level - 1, one_line, until=1)


def _join_all(texts: list[str], shape: tuple[int, ...], level: int, one_line: bool, *, until: int) -> list[str]:
    """Returns the values put into lists, from the innermost axis outwards to the axis `until`."""
    for axis in range(len(shape) - 1, until - 1, -1):
        size = shape[axis]
        texts = _join(texts, size, level + axis, one_line) if size else ["[]"] * math.prod(shape[:axis])
    return texts


def _join(texts: list[str], size: int, level: int, one_line: bool) -> list[str]:
    if one_line:
        return [f"[{', '.join(texts[at : at + size])}]" for at in range(0, len(texts), size)]
    pad, end = f"\n{INDENT * (level + 1)}", f"\n{INDENT * level}"
    return [f"[{pad}{f',{pad}'.join(texts[at : at + size])}{end}]" for at in range(0, len(texts), size)]


def _whole(array: np.ndarray, name: str, level: int) -> str:
    """Returns an array as JSON with a line a value; `level` is how deep it stands."""
    texts = _texts(array, name, level + array.ndim)
    return _join_all(texts, array.shape, level, False, until=0)[0]


def quoted(text: str) -> str:
    """Returns a text as a JSON string; characters beyond ASCII stay as they are."""
    return json.dumps(text, ensure_ascii=False)


def encoded(text: str) -> bytes:
    """Returns JSON as bytes; bytes of strings that are not UTF-8 come out as they went in, as TF Serving does."""
    return text.encode(errors="surrogateescape")
