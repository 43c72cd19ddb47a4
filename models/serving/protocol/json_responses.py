"""Responses as JSON, with the layout of TF Serving's REST API."""

import base64
import json
import math
from collections.abc import Mapping

import numpy as np

from models.serving.protocol.statuses import invalid

INDENT = "    "


def write_rows(outputs: Mapping[str, np.ndarray]) -> bytes:
    """Returns `{"predictions": [...]}`, one element a row.

    Args:
        outputs: Alias -> array `(rows, ...)`.

    Raises:
        ServingStatus: The arrays differ in their number of rows, one is a scalar, or its dtype has no JSON form.
    """
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
        inside = ", ".join(next(iter(texts.values())))
    else:
        elements = [
            "{\n"
            + ",\n".join(f"{INDENT * 3}{quoted(name)}: {texts[name][row]}" for name in sorted(texts))
            + f"\n{INDENT * 2}}}"
            for row in range(rows or 0)
        ]
        inside = "".join(f"{',' if row else ''}\n{INDENT * 2}{element}" for row, element in enumerate(elements))
    end = f"\n{INDENT}]" if rows else "]"
    return encoded(f'{{\n{INDENT}"predictions": [{inside}{end}\n}}')


def write_columns(outputs: Mapping[str, np.ndarray]) -> bytes:
    """Returns `{"outputs": ...}`, the value of a single output, or an object of several by alias.

    Args:
        outputs: Alias -> array.

    Raises:
        ServingStatus: The dtype of an array has no JSON form.
    """
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        text = _array(array, name, 1)
    else:
        inside = ",\n".join(f"{INDENT * 2}{quoted(name)}: {_array(outputs[name], name, 2)}" for name in sorted(outputs))
        text = f"{{\n{inside}\n{INDENT}}}"
    return encoded(f'{{\n{INDENT}"outputs": {text}\n}}')


def write_classifications(result) -> bytes:
    """Returns `{"results": [[["label", score], ...], ...]}` of a ClassificationResult."""
    rows = []
    for example in result.classifications:
        scores = decimals(np.array([label.score for label in example.classes], np.float32))
        pairs = [f"[{quoted(label.label)}, {score}]" for label, score in zip(example.classes, scores, strict=True)]
        rows.append(f"[{', '.join(pairs)}]")
    return encoded(f'{{\n{INDENT}"results": [{", ".join(rows)}\n{INDENT}]\n}}')


def write_regressions(result) -> bytes:
    """Returns `{"results": [value, ...]}` of a RegressionResult."""
    values = decimals(np.array([regression.value for regression in result.regressions], np.float32))
    return encoded(f'{{\n{INDENT}"results": [{", ".join(values)}]\n}}')


def write_error(message: str) -> bytes:
    """Returns `{"error": message}`."""
    return encoded(f'{{\n{INDENT}"error": {quoted(message)}\n}}')


def decimals(values: np.ndarray) -> list[str]:
    """Returns float32 or float64 values as decimals: six digits if they read back exactly, else all digits."""
    flat = values.tolist()
    digits = 9 if values.dtype == np.float32 else 17
    texts = [f"{value:g}" for value in flat]
    parsed = np.array([float(text) for text in texts]).astype(values.dtype)
    for index in np.flatnonzero(~(parsed == values)).tolist():
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
    """Returns the rows of an array as JSON; `level` is the indentation depth of a row."""
    texts = _texts(array, name, level + array.ndim - 1)
    return _join_all(texts, array.shape, level - 1, one_line, until=1)


def _join_all(texts: list[str], shape: tuple[int, ...], level: int, one_line: bool, *, until: int) -> list[str]:
    """Returns the values nested into lists, from the innermost axis outwards to axis `until`."""
    for axis in range(len(shape) - 1, until - 1, -1):
        size = shape[axis]
        texts = _join(texts, size, level + axis, one_line) if size else ["[]"] * math.prod(shape[:axis])
    return texts


def _join(texts: list[str], size: int, level: int, one_line: bool) -> list[str]:
    if one_line:
        return [f"[{', '.join(texts[at : at + size])}]" for at in range(0, len(texts), size)]
    pad, end = f"\n{INDENT * (level + 1)}", f"\n{INDENT * level}"
    return [f"[{pad}{f',{pad}'.join(texts[at : at + size])}{end}]" for at in range(0, len(texts), size)]


def _array(array: np.ndarray, name: str, level: int) -> str:
    """Returns an array as JSON with a line a value; `level` is its indentation depth."""
    texts = _texts(array, name, level + array.ndim)
    return _join_all(texts, array.shape, level, False, until=0)[0]


def quoted(text: str) -> str:
    """Returns a text as a JSON string; characters beyond ASCII are not escaped."""
    return json.dumps(text, ensure_ascii=False)


def encoded(text: str) -> bytes:
    """Returns JSON as bytes; string bytes that are not UTF-8 are passed through unchanged, as in TF Serving."""
    return text.encode(errors="surrogateescape")
