"""Arrays as JSON values of REST requests and answers; text goes as base64, as it may be any bytes."""

import base64
from typing import Any

import numpy as np

from models.serving.protocol.tensors import strings


def to_json(value: np.ndarray) -> Any:
    """Returns an array as nested lists, text as base64 objects."""
    if value.dtype.kind not in "OSU":
        return value.tolist()
    flat = [{"b64": base64.b64encode(to_bytes(one)).decode()} for one in value.ravel()]
    return flat if value.ndim == 1 else np.array(flat, object).reshape(value.shape).tolist()


def to_array(value: Any) -> np.ndarray:
    """Returns a JSON answer as an array; base64 objects as bytes."""
    found = np.array(value, object) if _holds_text(value) else np.array(value)
    if found.dtype != object:
        return found
    flat = [base64.b64decode(one["b64"]) if isinstance(one, dict) else one for one in found.ravel()]
    return strings(flat).reshape(found.shape)


def _holds_text(value: Any) -> bool:
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, (str, dict))


def to_bytes(value: Any) -> bytes:
    """Returns a text, or bytes, as bytes."""
    return value.encode() if isinstance(value, str) else bytes(value)
