"""What all kinds of columns share: options for reading cells, cells in messages, conversion cell by cell."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.names import index_of
from data.numerals import PLAIN, Notation
from data.scripts import listed
from data.sources.blocks import to_list

MAX_CLASSES_SHOWN = 8
MAX_SHOWN = 40  # characters of a cell
SPACES = " \t\r\n"  # stripped from cells by Arrow; Python strips further characters


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading the cells of a file.

    Attributes:
        textual: Whether all cells are text, as in a CSV file.
        missing: Missing-value markers.
        folder: Folder that relative paths of images start from.
        notation: Decimal mark and thousands separator of numbers in cells that are text.
        nan: Whether the number NaN marks a missing value.
    """

    textual: bool = False
    missing: frozenset[str] = frozenset()
    folder: Path = Path()
    notation: Notation = PLAIN
    nan: bool = False

    def of(self, *, optional: bool) -> "ReadOptions":
        """Returns the options for the cells of a feature.

        A file with typed columns has nulls. There missing-value markers and NaN are missing values only in optional
        features; in other features "" is a category.
        """
        if self.textual:
            return self
        return replace(self, missing=self.missing if optional else frozenset(), nan=optional)

    def is_absent(self, cell: Any) -> bool:
        """Returns whether a cell is a missing value; spaces around a marker are ignored."""
        if isinstance(cell, str):
            return cell in self.missing or cell.strip() in self.missing
        return cell is None or self.is_nan(cell)

    def is_nan(self, cell: Any) -> bool:
        """Returns whether a cell is the number NaN, where that marks a missing value."""
        return self.nan and isinstance(cell, float) and cell != cell


class Unusable(ValueError):
    """A cell that cannot be used; `expected` and `found` are phrases for a message."""

    def __init__(self, expected: str, found: str):
        super().__init__(expected, found)
        self.expected, self.found = expected, found


@dataclass(frozen=True)
class Distinct:
    """The distinct numbers of some cells, before and after conversion to float32.

    Attributes:
        keys: Identifies each number, uint64 `(values,)`: the bits of its float64, for integers beyond 2^53 a hash of
            their digits.
        stored: The stored number of each, float32 `(values,)`.
        all_integers: Whether all are integers. Real-valued inputs have no `keys`: rounding does them no harm.
    """

    keys: np.ndarray
    stored: np.ndarray
    all_integers: bool


@dataclass(frozen=True)
class Column:
    """A stored column.

    Attributes:
        values: float32, int64 or binary, one for each row; null where the cell is missing or cannot be used.
        problems: Row -> the error of its unusable cell.
        files: The encoded pictures that pixels were decoded from, binary; None for kinds other than image.
        distinct: The distinct numbers; None for kinds other than number and target.
    """

    values: pa.Array
    problems: Mapping[int, Unusable] = field(default_factory=dict)
    files: pa.Array | None = None
    distinct: Distinct | None = None


Cells = pa.Array | list
Value = Callable[[Any], Any]  # one cell -> its stored value, None for a missing one; raises Unusable


def convert_cells(cells: Cells, value: Value, kind: pa.DataType) -> Column:
    """Returns a column, converted cell by cell; of an Arrow array each distinct cell is converted once.

    Args:
        cells: Python values, or an array.
        value: Converts a cell.
        kind: Type of the stored column.
    """
    if isinstance(cells, list):
        return _convert_each(cells, value, kind)
    try:
        encoded = cells.dictionary_encode(null_encoding="encode")
    except pa.ArrowNotImplementedError:  # of lists and objects
        return _convert_each(to_list(cells), value, kind)
    distinct = _convert_each(to_list(encoded.dictionary), value, kind)
    indices = encoded.indices.to_numpy()
    problems = {}
    if distinct.problems:
        bad = np.flatnonzero(np.isin(indices, list(distinct.problems)))
        problems = {int(row): distinct.problems[int(indices[row])] for row in bad}
    return Column(distinct.values.take(encoded.indices), problems)


def convert_doubtful(values: pa.Array, is_doubtful: np.ndarray, cells: pa.Array, value: Value) -> Column:
    """Returns a column of `values`; rows where `is_doubtful`, bool `(rows,)`, is true are converted cell by cell."""
    rows = np.flatnonzero(is_doubtful)
    if not len(rows):
        return Column(values)
    replacements = convert_cells(cells.take(pa.array(rows)), value, values.type)
    if pa.types.is_list(values.type):  # of which Arrow replaces none
        index = np.arange(len(values))
        index[rows] = len(values) + np.arange(len(rows))
        merged = pa.concat_arrays([values, replacements.values]).take(pa.array(index))
    else:
        merged = pc.replace_with_mask(values, pa.array(is_doubtful), replacements.values)
    return Column(merged, {int(rows[row]): error for row, error in replacements.problems.items()})


def _convert_each(cells: list, value: Value, kind: pa.DataType) -> Column:
    values, problems = [], {}
    for row, cell in enumerate(cells):
        try:
            values.append(value(cell))
        except Unusable as error:
            values.append(None)
            problems[row] = error
    return Column(pa.array(values, kind), problems)


_PLAIN_TYPES = (
    (pa.types.is_large_string, pa.string()),
    (pa.types.is_string_view, pa.string()),
    (pa.types.is_large_binary, pa.binary()),
    (pa.types.is_binary_view, pa.binary()),
    (pa.types.is_fixed_size_binary, pa.binary()),
)


def as_plain_types(cells: Cells) -> Cells:
    """Returns the cells as plain types: no dictionaries, extensions, large strings or views."""
    if isinstance(cells, list):
        return cells
    if isinstance(cells, pa.ExtensionArray):
        return as_plain_types(cells.storage)
    if pa.types.is_dictionary(cells.type):
        return as_plain_types(cells.dictionary_decode())
    return next((cells.cast(kind) for is_kind, kind in _PLAIN_TYPES if is_kind(cells.type)), cells)


def is_one_of(cells: pa.Array, texts: Iterable[str]) -> np.ndarray:
    """Returns whether each string is one of `texts`, bool `(rows,)`."""
    return pc.is_in(cells, pa.array(sorted(texts), pa.string())).to_numpy(zero_copy_only=False)


def shown(cell: Any) -> str:
    """Returns a cell as a message shows it: shortened, and only the number of bytes."""
    if cell is None:
        return "nothing"
    if isinstance(cell, bytes):
        return f"{len(cell):,} bytes"
    if isinstance(cell, dict | list):
        return f"a {type(cell).__name__} of {len(cell)}"
    text = repr(cell) if isinstance(cell, str) else str(cell)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(text):,} characters)"


def word(cell: Any) -> str:
    """Returns a cell as the name of a class or category, without spaces around it; `headrace new` lists such names."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # pandas turns integers into floats in columns with missing values
    return str(cell).lower() if isinstance(cell, bool) else str(cell).strip()


def index_among(names: Sequence[str], cell: Any) -> int | None:
    """Returns the index of a cell among names, compared unchanged, else by its `word`; None where no name matches."""
    index = index_of(str(cell), names)
    return index_of(word(cell), names) if index is None else index


def words_of_floats(cells: pa.Array) -> pa.Array:
    """Returns `word` of each float32 or float64, binary; null for null.

    Arrow writes floats without an exponent as Python does; the others are written one by one.
    """
    cells = cells.cast(pa.float64())
    numbers = cells.to_numpy(zero_copy_only=False)  # NaN for null
    with np.errstate(invalid="ignore"):
        magnitudes, is_integer = np.abs(numbers), (numbers == np.rint(numbers)) & (np.abs(numbers) < 2**53)
    integers = pa.array(np.where(is_integer, numbers, 0).astype(np.int64)).cast(pa.string())
    texts = pc.if_else(pa.array(is_integer), integers, cells.cast(pa.string()))
    needs_python = ~(is_integer | ((magnitudes >= 1e-4) & (magnitudes < 1e10))) & cells.is_valid().to_numpy(
        zero_copy_only=False
    )
    if needs_python.any():
        python_texts = [word(number) for number in numbers[needs_python].tolist()]
        texts = pc.replace_with_mask(texts, pa.array(needs_python), pa.array(python_texts, pa.string()))
    return texts.cast(pa.binary())


def unknown_value(choices: tuple[str, ...], value: str, cell: Any) -> Unusable:
    """Returns the error of a cell whose `value` is none of the choices; it suggests the closest one."""
    close = difflib.get_close_matches(value, choices, n=1) if cell is not None else []
    description = shown(cell) + (f" (meant {close[0]!r}?)" if close else "")
    return Unusable(f"one of {listed(choices, MAX_CLASSES_SHOWN)}", description)
