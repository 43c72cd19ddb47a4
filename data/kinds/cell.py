"""What all kinds of columns share: how cells are read, how a message shows one, how a column is stored exactly."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.names import place
from data.numerals import PLAIN, Notation
from data.scripts import listed
from data.sources.blocks import to_list

MAX_CLASSES_SHOWN = 8
MAX_SHOWN = 40  # characters of a cell
SPACES = " \t\r\n"  # that are often around a cell; Python knows others


@dataclass(frozen=True)
class Reading:
    """How the cells of a file are read.

    Attributes:
        textual: Whether all cells are text, as in CSV.
        missing: Texts that stand for nothing.
        folder: Where relative paths of images start.
        notation: How numbers are written in cells that are text.
        nan: Whether the number NaN stands for nothing.
    """

    textual: bool = False
    missing: frozenset[str] = frozenset()
    folder: Path = Path()
    notation: Notation = PLAIN
    nan: bool = False

    def of(self, *, optional: bool) -> "Reading":
        """Returns how the cells of a feature are read.

        A file with types has a null for nothing: missing-value markers and NaN stand for nothing, too, only where a
        feature may lack values; elsewhere "" is a category.
        """
        if self.textual:
            return self
        return replace(self, missing=self.missing if optional else frozenset(), nan=optional)

    def is_absent(self, cell: Any) -> bool:
        """Returns whether a cell stands for nothing, whatever spaces are around it."""
        if isinstance(cell, str):
            return cell in self.missing or cell.strip() in self.missing
        return cell is None or self.is_nan(cell)

    def is_nan(self, cell: Any) -> bool:
        """Returns whether a cell is the number NaN where that stands for nothing."""
        return self.nan and isinstance(cell, float) and cell != cell


class Unusable(ValueError):
    """A cell that cannot be used: `expected` and `found`, to be put into a sentence."""

    def __init__(self, expected: str, found: str):
        super().__init__(expected, found)
        self.expected, self.found = expected, found


@dataclass(frozen=True)
class Distinct:
    """The different numbers of some cells, before and after storing.

    Attributes:
        keys: What tells the numbers apart, uint64 `(values,)`: the bits of a float64, of whole numbers beyond 2^53 a
            hash of their digits.
        stored: What each is stored as, float32 `(values,)`.
        whole: Whether all are whole numbers. Of inputs that are not there are no values: rounding does them no harm.
    """

    keys: np.ndarray
    stored: np.ndarray
    whole: bool


@dataclass(frozen=True)
class Column:
    """A stored column.

    Attributes:
        values: float32, int64 or binary, one for each row; null where the cell is absent or cannot be used.
        problems: Row -> why its cell cannot be used.
        files: The encoded pictures that pixels were made of, binary; None of kinds that have none.
        distinct: Of numbers; None of other kinds.
    """

    values: pa.Array
    problems: Mapping[int, Unusable] = field(default_factory=dict)
    files: pa.Array | None = None
    distinct: Distinct | None = None


Cells = pa.Array | list
Value = Callable[[Any], Any]  # one cell -> its stored value, None for none; raises Unusable


def exact(cells: Cells, value: Value, kind: pa.DataType) -> Column:
    """Returns a column cell by cell; of an Arrow array each distinct cell is looked at once.

    Args:
        cells: Python values, or an array.
        value: What a cell becomes.
        kind: How it is stored.
    """
    if isinstance(cells, list):
        return _each(cells, value, kind)
    try:
        encoded = cells.dictionary_encode(null_encoding="encode")
    except pa.ArrowNotImplementedError:  # of lists and objects
        return _each(to_list(cells), value, kind)
    distinct = _each(to_list(encoded.dictionary), value, kind)
    indices = encoded.indices.to_numpy()
    problems = {}
    if distinct.problems:
        bad = np.flatnonzero(np.isin(indices, list(distinct.problems)))
        problems = {int(row): distinct.problems[int(indices[row])] for row in bad}
    return Column(distinct.values.take(encoded.indices), problems)


def patched(values: pa.Array, doubtful: np.ndarray, cells: pa.Array, value: Value) -> Column:
    """Returns a column with the values of doubtful rows, bool `(rows,)`, found cell by cell."""
    rows = np.flatnonzero(doubtful)
    if not len(rows):
        return Column(values)
    found = exact(cells.take(pa.array(rows)), value, values.type)
    merged = pc.replace_with_mask(values, pa.array(doubtful), found.values)
    return Column(merged, {int(rows[row]): error for row, error in found.problems.items()})


def _each(cells: list, value: Value, kind: pa.DataType) -> Column:
    values, problems = [], {}
    for row, cell in enumerate(cells):
        try:
            values.append(value(cell))
        except Unusable as error:
            values.append(None)
            problems[row] = error
    return Column(pa.array(values, kind), problems)


_SAME = (
    (pa.types.is_large_string, pa.string()),
    (pa.types.is_string_view, pa.string()),
    (pa.types.is_large_binary, pa.binary()),
    (pa.types.is_binary_view, pa.binary()),
    (pa.types.is_fixed_size_binary, pa.binary()),
)


def plain(cells: Cells) -> Cells:
    """Returns the same cells in the one form that kinds know: no dictionaries, extensions, long or short strings."""
    if isinstance(cells, list):
        return cells
    if isinstance(cells, pa.ExtensionArray):
        return plain(cells.storage)
    if pa.types.is_dictionary(cells.type):
        return plain(cells.dictionary_decode())
    return next((cells.cast(kind) for is_kind, kind in _SAME if is_kind(cells.type)), cells)


def is_one_of(cells: pa.Array, words: Iterable[str]) -> np.ndarray:
    """Returns which strings are one of some words, bool `(rows,)`."""
    return pc.is_in(cells, pa.array(sorted(words), pa.string())).to_numpy(zero_copy_only=False)


def shown(cell: Any) -> str:
    """Returns a cell as a message shows it: short, and bytes never."""
    if cell is None:
        return "nothing"
    if isinstance(cell, bytes):
        return f"{len(cell):,} bytes"
    if isinstance(cell, dict | list):
        return f"a {type(cell).__name__} of {len(cell)}"
    text = repr(cell) if isinstance(cell, str) else str(cell)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(text):,} characters)"


def word(cell: Any) -> str:
    """Returns a cell that is a class or a category as text, without the spaces around it: `new` lists them so, too."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # pandas makes floats of whole numbers beside missing ones
    return str(cell).lower() if isinstance(cell, bool) else str(cell).strip()


def place_among(names: Sequence[str], cell: Any) -> int | None:
    """Returns the place of the listed name that a cell is, as it stands, else as `word` has it; None for none."""
    found = place(str(cell), names)
    return place(word(cell), names) if found is None else found


def words_of_floats(cells: pa.Array) -> pa.Array:
    """Returns `word` of each float32 or float64, binary; null for null.

    Arrow writes those alike that need no exponent.
    """
    cells = cells.cast(pa.float64())
    numbers = cells.to_numpy(zero_copy_only=False)  # NaN for null
    with np.errstate(invalid="ignore"):
        sizes, is_whole = np.abs(numbers), (numbers == np.rint(numbers)) & (np.abs(numbers) < 2**53)
    whole = pa.array(np.where(is_whole, numbers, 0).astype(np.int64)).cast(pa.string())
    texts = pc.if_else(pa.array(is_whole), whole, cells.cast(pa.string()))
    is_odd = ~(is_whole | ((sizes >= 1e-4) & (sizes < 1e10))) & cells.is_valid().to_numpy(zero_copy_only=False)
    if is_odd.any():
        odd = [word(number) for number in numbers[is_odd].tolist()]
        texts = pc.replace_with_mask(texts, pa.array(is_odd), pa.array(odd, pa.string()))
    return texts.cast(pa.binary())


def one_of(choices: tuple[str, ...], value: str, cell: Any) -> Unusable:
    """Returns what is wrong with a cell that is none of the choices, with the closest one."""
    close = difflib.get_close_matches(value, choices, n=1) if cell is not None else []
    found = shown(cell) + (f" (meant {close[0]!r}?)" if close else "")
    return Unusable(f"one of {listed(choices, MAX_CLASSES_SHOWN)}", found)
