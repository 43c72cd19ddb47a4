"""Classes to be predicted: int64, their places among the feature's classes."""

import functools
import re
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa

from data.kinds.cell import Cells, Column, Reading, Unusable, exact, one_of, place_among, shown, word
from data.spec import LabelFeature

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")  # how a number is written; 007 is a code


def value(cell: Any, feature: LabelFeature, how: Reading) -> int:
    """Returns the index of a class, from 0; raises Unusable.

    A name among the classes is no missing-value marker, and Unicode's ways to write one letter are equal. Numbers are
    names by their value, also in text: pandas writes 1.0 for the class 1 beside cells without one. A number is an index
    only where `index_from` says so: of a file that counts from 1 each would be the class behind its own.
    """
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", errors="replace")
    index = _index(cell, feature.classes) if feature.index_from is None else _indexed(cell, feature)
    if index is not None:
        return index
    raise _unusable(None if how.is_absent(cell) else cell, feature)


def _unusable(cell: Any, feature: LabelFeature) -> Unusable:
    if feature.index_from is not None:
        last = feature.index_from + len(feature.classes) - 1
        return Unusable(f"the index of a class, {feature.index_from} to {last}", shown(cell))
    error = one_of(feature.classes, word(cell), cell)
    if cell is None or _whole(cell) is None or any(map(_is_number, feature.classes)):
        return error
    hint = f"where it is an index, set index_from to that of {feature.classes[0]}"
    return Unusable(error.expected, f"{shown(cell)} ({hint})")


def _indexed(cell: Any, feature: LabelFeature) -> int | None:
    """Returns the place of the class whose index a cell is, None for no such index."""
    index = None if cell is None else _whole(cell)
    place = -1 if index is None else index - (feature.index_from or 0)
    return place if 0 <= place < len(feature.classes) else None


def _whole(cell: Any) -> int | None:
    """Returns the whole number that a cell is, also in text; None for none."""
    text = word(cell)
    return int(float(text)) if NUMBER.fullmatch(text) and float(text).is_integer() else None


def column(cells: Cells, feature: LabelFeature, how: Reading) -> Column:
    """Returns the stored column, int64: for each cell what `value` returns."""
    return exact(cells, partial(value, feature=feature, how=how), pa.int64())


def _index(cell: Any, classes: tuple[str, ...]) -> int | None:
    if cell is None:
        return None
    found = place_among(classes, cell)
    if found is not None:
        return found
    numbers = _numbers(classes)
    if isinstance(cell, str):
        name = word(cell)
        return numbers.get(float(name)) if numbers and NUMBER.fullmatch(name) else None
    if not isinstance(cell, int | float | Decimal) or isinstance(cell, bool):
        return None
    return numbers.get(cell)


@functools.lru_cache(maxsize=64)
def _numbers(classes: tuple[str, ...]) -> dict[Any, int]:
    """Returns the index of each class that is a number, by that; of equal ones the first."""
    every = list(enumerate(classes))[::-1]
    return {float(name): index for index, name in every if NUMBER.fullmatch(name)}


def _is_number(name: str) -> bool:
    return name.strip().lstrip("+-").replace(".", "", 1).isdigit()
