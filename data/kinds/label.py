"""Classes to be predicted: int64, their indices among the feature's classes."""

import functools
import re
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from data.kinds.cell import Cells, Column, ReadOptions, Unusable, convert_cells, index_among, shown, unknown_value, word
from data.kinds.contract import Kind
from data.spec import LabelFeature

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")  # 007 is a code, no number


def value(cell: Any, feature: LabelFeature, options: ReadOptions) -> int:
    """Returns the index of a class, from 0; raises Unusable.

    A name of a class is never a missing-value marker, and Unicode forms of the same letter are equal. Numbers are
    compared by value, also in text: pandas writes 1.0 for the class 1 in a column with missing values. A number is an
    index only where `index_from` is set: in a file that counts from 1, each row would get the class after its own.
    """
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", errors="replace")
    index = _index_by_name(cell, feature.classes) if feature.index_from is None else _index_by_number(cell, feature)
    if index is not None:
        return index
    raise _unusable(None if options.is_absent(cell) else cell, feature)


def _unusable(cell: Any, feature: LabelFeature) -> Unusable:
    if feature.index_from is not None:
        last = feature.index_from + len(feature.classes) - 1
        return Unusable(f"the index of a class, {feature.index_from} to {last}", shown(cell))
    error = unknown_value(feature.classes, word(cell), cell)
    if cell is None or _integer(cell) is None or any(map(_is_number, feature.classes)):
        return error
    hint = f"where it is an index, set index_from to that of {feature.classes[0]}"
    return Unusable(error.expected, f"{shown(cell)} ({hint})")


def _index_by_number(cell: Any, feature: LabelFeature) -> int | None:
    """Returns the index of a class, from 0, for an index that counts from `index_from`; None for no such class."""
    number = None if cell is None else _integer(cell)
    class_index = -1 if number is None else number - (feature.index_from or 0)
    return class_index if 0 <= class_index < len(feature.classes) else None


def _integer(cell: Any) -> int | None:
    """Returns the integer in a cell, also in text; None for other cells."""
    text = word(cell)
    return int(float(text)) if NUMBER.fullmatch(text) and float(text).is_integer() else None


def column(cells: Cells, feature: LabelFeature, options: ReadOptions) -> Column:
    """Returns the stored column, int64: for each cell what `value` returns."""
    return convert_cells(cells, partial(value, feature=feature, options=options), pa.int64())


def _index_by_name(cell: Any, classes: tuple[str, ...]) -> int | None:
    if cell is None:
        return None
    index = index_among(classes, cell)
    if index is not None:
        return index
    numbers = _numbers(classes)
    if isinstance(cell, str):
        name = word(cell)
        return numbers.get(float(name)) if numbers and NUMBER.fullmatch(name) else None
    if not isinstance(cell, int | float | Decimal) or isinstance(cell, bool):
        return None
    return numbers.get(cell)


@functools.lru_cache(maxsize=64)
def _numbers(classes: tuple[str, ...]) -> dict[Any, int]:
    """Returns number -> index of the class with that number as its name; of equal numbers the first."""
    in_reverse = list(enumerate(classes))[::-1]
    return {float(name): index for index, name in in_reverse if NUMBER.fullmatch(name)}


def _is_number(name: str) -> bool:
    return name.strip().lstrip("+-").replace(".", "", 1).isdigit()


def _array(values: pa.ListArray, feature: LabelFeature) -> np.ndarray:
    return values.flatten().to_numpy()


def _in_data(stored: int, feature: LabelFeature) -> str:
    return feature.classes[stored]


KIND = Kind(LabelFeature, value, column, in_data=_in_data, array=_array)
