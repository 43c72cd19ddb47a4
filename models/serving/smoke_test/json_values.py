"""Arrays as JSON values of REST requests and responses; text is sent as base64, since it may be any bytes."""

import base64
from typing import Any

import numpy as np

from models.serving.protocol.tensors import strings


def to_json(value: np.ndarray) -> Any:
    """Returns an array as nested lists, text as base64 objects."""
    if value.dtype.kind not in "OSU":
        return value.tolist()
    flat = [{"b64": base64.b64encode(to_bytes(text)).decode()} for text in value.ravel()]
    return flat if value.ndim == 1 else np.array(flat, object).reshape(value.shape).tolist()


def to_array(value: Any) -> np.ndarray:
    """Returns the JSON value of a response as an array; base64 objects as bytes."""
    array = np.array(value, object) if _holds_text(value) else np.array(value)
    if array.dtype != object:
        return array
    flat = [base64.b64decode(item["b64"]) if isinstance(item, dict) else item for item in array.ravel()]
    return strings(flat).reshape(array.shape)


def _holds_text(value: Any) -> bool:
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, (str, dict))


def to_bytes(value: Any) -> bytes:
    """Returns a text, or bytes, as bytes."""
    return value.encode() if isinstance(value, str) else bytes(value)
