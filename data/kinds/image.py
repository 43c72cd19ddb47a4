"""Images of fixed size: their raw uint8 pixels."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data import pictures
from data.kinds.cell import Cells, Column, ReadOptions, Unusable, shown
from data.kinds.contract import Kind, one_each
from data.sources.blocks import to_list
from data.spec import ImageFeature

DESCRIBED_AS = (".brightness", ".contrast")
MAX_SIDE = 32  # pixels of an image that count for its class's mean, each way


def value(cell: Any, feature: ImageFeature, options: ReadOptions) -> np.ndarray:
    """Returns uint8 `(height, width, channels)` of an encoded image, or of raw pixels.

    Raises:
        Unusable: The file does not exist, or is not an image.
    """
    return pixels(cell, feature, options)[0]


def column(cells: Cells, feature: ImageFeature, options: ReadOptions) -> Column:
    """Returns the stored column, binary: the pixels of each cell, row by row; and the encoded pictures as `files`."""
    values, files, problems = [], [], {}
    for row, cell in enumerate(cells if isinstance(cells, list) else to_list(cells)):
        try:
            decoded, file = pixels(cell, feature, options)
        except Unusable as error:
            problems[row] = error
            values.append(None)
            files.append(None)
        else:
            values.append(decoded.tobytes())
            files.append(file)
    return Column(pa.array(values, pa.binary()), problems, pa.array(files, pa.binary()))


def pixels(cell: Any, feature: ImageFeature, options: ReadOptions) -> tuple[np.ndarray, bytes | None]:
    """Returns `value`, and the encoded picture; None for raw pixels."""
    cell = None if options.is_absent(cell) else cell
    content = content_of(cell, options.folder)
    if content is None:
        raise Unusable(pictures.ANY_FORMAT, f"no file {shown(cell)}" if isinstance(cell, str) else shown(cell))
    shape = (feature.height, feature.width, feature.channels)
    if _is_raw(content, feature):
        return np.frombuffer(content, np.uint8).reshape(shape), None
    try:
        return np.ascontiguousarray(pictures.decode(content, shape)), content
    except pictures.UnusablePictureError as error:
        raise Unusable(error.expected, error.found) from None


def _is_raw(content: bytes, feature: ImageFeature) -> bool:
    # The signature of BMP, BM, is a likely pair of pixels.
    size = feature.height * feature.width * feature.channels
    return len(content) == size and pictures.format_of(content) in (None, "BMP")


def content_of(cell: Any, folder: Path) -> bytes | None:
    """Returns the bytes of an image cell: bytes, a path from `folder`, or Hugging Face's `{bytes, path}`; else None."""
    if isinstance(cell, dict):
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, str):
        try:
            return (folder / cell).read_bytes()
        except (OSError, ValueError):
            return None
    return cell if isinstance(cell, bytes) else None


def _shape(feature: ImageFeature) -> tuple[int, int, int]:
    return feature.height, feature.width, feature.channels


def _to_value(stored: bytes, feature: ImageFeature) -> np.ndarray:
    return np.frombuffer(stored, np.uint8).reshape(_shape(feature))


def _in_data(stored: bytes, feature: ImageFeature) -> str:
    return "{}x{}x{}".format(*_shape(feature))


def _identity(feature: ImageFeature) -> tuple:
    return (feature.kind, *_shape(feature))


def _rules(feature: ImageFeature) -> dict[str, Any]:
    return {"num_bytes": feature.height * feature.width * feature.channels}


def _array(values: pa.ListArray, feature: ImageFeature) -> np.ndarray:
    """Returns uint8 `(rows, height, width, channels)`; no row lacks an image."""
    _, _, content = values.flatten().buffers()
    return np.frombuffer(content, np.uint8).reshape(-1, *_shape(feature))


def _described(values: pa.ListArray, array: np.ndarray, feature: ImageFeature) -> dict[str, pa.ListArray]:
    """Returns brightness and contrast: mean and standard deviation of the pixels, 0 to 255."""
    flat = array.reshape(len(values), -1).astype(np.float32)
    return dict(zip(DESCRIBED_AS, (one_each(flat.mean(1)), one_each(flat.std(1))), strict=True))


def _drift_inputs(array: np.ndarray, feature: ImageFeature) -> np.ndarray:
    step = -(-max(feature.height, feature.width) // MAX_SIDE)
    return array[:, ::step, ::step].reshape(len(array), -1)


KIND = Kind(
    ImageFeature, value, column, to_value=_to_value, in_data=_in_data, identity=_identity, rules=_rules, array=_array,
    described=_described, described_as=DESCRIBED_AS, drift_inputs=_drift_inputs,
)  # fmt: skip
