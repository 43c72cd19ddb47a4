"""Classes to be predicted: int64, their places among the feature's classes."""

import functools
import re
import unicodedata
from decimal import Decimal
from functools import partial
from typing import Any

import pyarrow as pa

from data.kinds.cell import Cells, Column, Reading, exact, one_of, word
from data.spec import LabelFeature

NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")  # how a number is written; 007 is a code


def value(cell: Any, feature: LabelFeature, how: Reading) -> int:
    """Returns the index of a class given by name; raises Unusable.

    A name among the classes is no missing-value marker, and Unicode's ways to write one letter are equal. Numbers are
    names by their value, also in text: pandas writes 1.0 for the class 1 beside cells without one. Where no class is
    called by a number, a whole one that is no text is an index.
    """
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", errors="replace")
    index = _index(cell, feature.classes)
    if index is not None:
        return index
    cell = None if how.is_absent(cell) else cell
    raise one_of(feature.classes, word(cell), cell)


def column(cells: Cells, feature: LabelFeature, how: Reading) -> Column:
    """Returns the stored column, int64: for each cell what `value` returns."""
    return exact(cells, partial(value, feature=feature, how=how), pa.int64())


def _index(cell: Any, classes: tuple[str, ...]) -> int | None:
    if cell is None:
        return None
    exact_names, normalised, numbers = _tables(classes)
    name = word(cell)
    for table, key in ((exact_names, str(cell)), (exact_names, name), (normalised, unicodedata.normalize("NFC", name))):
        if key in table:
            return table[key]
    if isinstance(cell, str):
        return numbers.get(float(name)) if numbers and NUMBER.fullmatch(name) else None
    if not isinstance(cell, int | float | Decimal) or isinstance(cell, bool):
        return None
    if numbers or any(_is_number(name) for name in classes):
        return numbers.get(cell)
    return int(cell) if cell in range(len(classes)) else None


@functools.lru_cache(maxsize=64)
def _tables(classes: tuple[str, ...]) -> tuple[dict[str, int], dict[str, int], dict[float, int]]:
    """Returns the index of each class by its name, by its name in Unicode's normal form C, and by its number."""
    names, normalised, numbers = {}, {}, {}
    for index, name in enumerate(classes):
        names.setdefault(name, index)
        normalised.setdefault(unicodedata.normalize("NFC", name.strip()), index)
        if NUMBER.fullmatch(name):
            numbers.setdefault(float(name), index)
    return names, normalised, numbers


def _is_number(name: str) -> bool:
    return name.strip().lstrip("+-").replace(".", "", 1).isdigit()
