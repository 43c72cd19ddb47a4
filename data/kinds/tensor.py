"""Numbers of a fixed shape: the raw bytes of an array; null for none."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.kinds.cell import Cells, Column, ReadOptions, Unusable, convert_cells, convert_doubtful, shown
from data.kinds.contract import Kind, one_each
from data.spec import TensorFeature

NUMPY = b"\x93NUMPY"  # what a .npy file begins with
DESCRIBED_AS = (".mean", ".deviation")
MAX_SHOWN = 64  # numbers of an array that are shown to a person
ZIP = b"PK\x03\x04"  # what an .npz file begins with


def value(cell: Any, feature: TensorFeature, options: ReadOptions) -> np.ndarray | None:
    """Returns the array, of the feature's shape and dtype; None for a missing value of an optional feature.

    A cell is nested lists, a JSON array of them, the numbers one after the other, the bytes of a .npy file or of an
    .npz file with one array, the path of such a file, or the raw bytes of the array.

    Raises:
        Unusable: It is none of these, of another shape, or holds a number that is not finite or not of the dtype.
    """
    if options.is_absent(cell):
        if feature.optional:
            return None
        raise Unusable(_expected(feature), shown(None))
    array = _array(cell, feature, options)
    if array.dtype.kind not in "buif":
        raise Unusable(_expected(feature), f"{array.dtype} values")
    if array.shape == (int(np.prod(feature.shape)),):  # as columnar files hold them
        array = array.reshape(feature.shape)
    if array.shape != feature.shape:
        raise Unusable(_expected(feature), f"shape {array.shape}")
    if not np.isfinite(array).all():
        raise Unusable("finite numbers", f"{_first(array, ~np.isfinite(array))}")
    stored, is_held = _cast(array, feature)
    if not is_held.all():
        raise Unusable(f"numbers that {feature.dtype} holds", _first(array, ~is_held))
    return stored


def column(cells: Cells, feature: TensorFeature, options: ReadOptions) -> Column:
    """Returns the stored column, binary: for each cell the bytes of `value`."""

    def convert(cell: Any) -> bytes | None:
        array = value(cell, feature, options)
        return None if array is None else np.ascontiguousarray(array).tobytes()

    numbers = None if isinstance(cells, list) else _numbers(cells, feature)
    if numbers is None:
        return convert_cells(cells, convert, pa.binary())
    stored, is_held = _cast(numbers, feature)
    offsets = np.arange(len(cells) + 1, dtype=np.int64) * stored.shape[1] * stored.itemsize
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(stored))]
    values = pa.BinaryArray.from_buffers(pa.binary(), len(cells), buffers)
    return convert_doubtful(values, ~is_held.all(axis=1), cells, convert)


def _cast(numbers: np.ndarray, feature: TensorFeature) -> tuple[np.ndarray, np.ndarray]:
    """Returns numbers as the feature stores them, without negative zeros, and whether its dtype holds each, bool."""
    with np.errstate(over="ignore", invalid="ignore"):
        stored = numbers.astype(_dtype(feature))
    if stored.dtype.kind == "f":
        return stored + 0, np.isfinite(stored)
    return stored, stored == numbers


def _numbers(cells: pa.Array, feature: TensorFeature) -> np.ndarray | None:
    """Returns lists of numbers, all of the feature's shape or its numbers one after the other, as `(rows, numbers)`.

    None where they are anything else: those are converted cell by cell.
    """
    sizes = []
    values = cells
    while (
        pa.types.is_list(values.type) or pa.types.is_large_list(values.type) or pa.types.is_fixed_size_list(values.type)
    ):
        lengths = values.value_lengths()
        bounds = pc.min_max(lengths).as_py() if len(lengths) else {"min": None, "max": None}
        if lengths.null_count or bounds["min"] is None or bounds["min"] != bounds["max"]:
            return None
        sizes.append(bounds["min"])
        values = values.flatten()
    is_number = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    if tuple(sizes) not in (feature.shape, (int(np.prod(feature.shape)),)) or not is_number or values.null_count:
        return None
    return values.to_numpy(zero_copy_only=False).reshape(len(cells), -1)


def _array(cell: Any, feature: TensorFeature, options: ReadOptions) -> np.ndarray:
    if isinstance(cell, str):
        cell = _of_text(cell, feature, options.folder)
    if isinstance(cell, dict):  # as of Hugging Face
        cell = cell.get("bytes")
    if isinstance(cell, bytes):
        return _of_bytes(cell, feature)
    try:
        return np.asarray(cell)
    except (ValueError, OverflowError):
        raise Unusable(_expected(feature), "lists of different lengths") from None


def _of_text(cell: str, feature: TensorFeature, folder: Path) -> Any:
    """Returns what a JSON array holds, or the bytes of the file that a path names. Raises Unusable."""
    if cell.lstrip().startswith("["):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            raise Unusable(_expected(feature), f"{shown(cell)}, which is no JSON array") from None
    try:
        return (folder / cell).read_bytes()
    except (OSError, ValueError):
        raise Unusable(_expected(feature), f"no file {shown(cell)}") from None


def _of_bytes(content: bytes, feature: TensorFeature) -> np.ndarray:
    """Returns the array in a .npy file, an .npz file with one array, or raw bytes. Raises Unusable."""
    if content.startswith((NUMPY, ZIP)):
        try:
            loaded = np.load(io.BytesIO(content), allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            names = loaded.files
            if len(names) == 1:
                return loaded[names[0]]
        except Exception as error:  # a damaged file fails in ways of zip, zlib, ast and NumPy
            raise Unusable("a .npy or .npz file of numbers", f"one that cannot be read ({str(error)[:80]})") from None
        raise Unusable(
            "an .npz file with one array", f"the arrays {', '.join(names)[:80]}" if names else "an empty one"
        )
    dtype = np.dtype(feature.dtype).newbyteorder("<")
    if len(content) == int(np.prod(feature.shape)) * dtype.itemsize:
        return np.frombuffer(content, dtype).reshape(feature.shape)
    raise Unusable(_expected(feature), shown(content))


def _first(array: np.ndarray, is_wrong: np.ndarray) -> str:
    """Returns the first wrong number, with its indices."""
    index = tuple(int(axis) for axis in np.argwhere(is_wrong)[0])
    return f"{array[index]} at {list(index)}"


def _expected(feature: TensorFeature) -> str:
    return f"numbers of shape {feature.shape}"


def _dtype(feature: TensorFeature) -> np.dtype:
    return np.dtype(feature.dtype).newbyteorder("<")


def _to_value(stored: bytes, feature: TensorFeature) -> np.ndarray:
    return np.frombuffer(stored, _dtype(feature)).reshape(feature.shape)


def _in_data(stored: bytes, feature: TensorFeature) -> Any:
    """Returns the numbers as nested lists; of more than `MAX_SHOWN` the shape and dtype."""
    array = _to_value(stored, feature)
    return array.tolist() if array.size <= MAX_SHOWN else f"{feature.dtype} of shape {feature.shape}"


def _identity(feature: TensorFeature) -> tuple:
    return (feature.kind, feature.shape, feature.dtype)


def _rules(feature: TensorFeature) -> dict[str, Any]:
    num_bytes = int(np.prod(feature.shape)) * _dtype(feature).itemsize
    return {"num_bytes": num_bytes, "content": f"{feature.dtype} of shape {feature.shape}"}


def _described(values: pa.ListArray, array: np.ndarray, feature: TensorFeature) -> dict[str, pa.ListArray]:
    """Returns mean and standard deviation of the numbers of each row."""
    moments = np.full((2, len(values)), np.nan)
    content = values.flatten().to_numpy(zero_copy_only=False)
    if len(content):
        numbers = np.frombuffer(b"".join(content), _dtype(feature)).reshape(len(content), -1).astype(np.float64)
        moments[:, array] = numbers.mean(1), numbers.std(1)
    return dict(zip(DESCRIBED_AS, map(one_each, moments), strict=True))


KIND = Kind(
    TensorFeature, value, column, split_by_stored=True, to_value=_to_value, in_data=_in_data, identity=_identity,
    rules=_rules, described=_described, described_as=DESCRIBED_AS,
)  # fmt: skip
