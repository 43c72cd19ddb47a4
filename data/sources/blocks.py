"""Blocks: rows of a file as columns, with their cells unchanged. Every reader yields them."""

import bisect
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from data.spec import Problem

TYPES: dict[type, pa.DataType] = {
    bool: pa.bool_(), int: pa.int64(), float: pa.float64(), str: pa.string(), bytes: pa.binary()
}  # fmt: skip
# Of text that is not UTF-8, a date beyond the year 9999, an unknown time zone.
CONVERSION_ERRORS = (OverflowError, ValueError, KeyError)
MAX_CELLS = 4 * 2**20  # of a block; rows with few of many columns are divided into more blocks


@dataclass(frozen=True)
class Block:
    """Some rows of one file, in its order.

    Attributes:
        file: The file as messages name it.
        cells: The columns whose cells are of one type; null for empty cells. Those of a text file are all strings.
        numbers: Number of each row in the file, int64 `(rows,)`: its line in a text file, else counted from 1. Messages
            do not show it where rows are files: see `names`.
        mixed: The columns whose cells are of several types, or of one that Arrow does not have: a Python value for
            each row, None for empty cells.
        problems: Problems of rows in this part of the file that cannot be used at all; these rows are not in `cells`.
        names: Name of each row's file, where rows are files of a folder; empty elsewhere.
        share: Share of the file that is read once these rows are, up to 1; 0 where that is not known.
        rows_before: Number of rows before each problem, where several rows may have the same number, as in a JSON
            array on one line; empty where the numbers give the order.
    """

    file: str
    cells: pa.RecordBatch
    numbers: np.ndarray
    mixed: Mapping[str, list] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    names: tuple[str, ...] = ()
    share: float = 0.0
    rows_before: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def columns(self) -> list[str]:
        """Returns the names of all columns."""
        return [*self.cells.schema.names, *self.mixed]

    def where(self, row: int) -> str:
        """Returns the location of a row, for a message: the file and its line or number in it."""
        return self.names[row] if self.names else f"{self.file}:{self.numbers[row]}"

    def number(self, row: int) -> int:
        """Returns the number of a row in its file, see `numbers`; 0 where the row is a file."""
        return 0 if self.names else int(self.numbers[row])

    def column(self, name: str) -> pa.Array | list | None:
        """Returns the cells of a column; None where the block has no such column."""
        if name in self.mixed:
            return self.mixed[name]
        index = self.cells.schema.get_field_index(name)  # `schema.names` would make a list of all names each time
        return None if index < 0 else self.cells.column(index)

    def take(self, rows: np.ndarray) -> "Block":
        """Returns some rows, int64 `(kept,)`, with all problems."""
        return replace(
            self,
            cells=self.cells.take(pa.array(rows)) if self.cells.num_columns else self.cells,
            numbers=self.numbers[rows],
            mixed={name: [column[row] for row in rows] for name, column in self.mixed.items()},
            names=tuple(self.names[row] for row in rows) if self.names else (),
            rows_before=(),
        )

    def pieces(self, max_rows: int) -> Iterator["Block"]:
        """Yields the rows as blocks of at most `max_rows`, which share their memory; the first has all problems."""
        if len(self) <= max_rows:
            yield self
            return
        for begin in range(0, len(self), max_rows):
            piece = self.slice(begin, begin + max_rows)
            yield piece if begin else replace(piece, problems=self.problems, rows_before=self.rows_before)

    def slice(self, begin: int, end: int) -> "Block":
        """Returns the rows of a range, which share their memory, without problems."""
        return replace(
            self,
            cells=self.cells.slice(begin, end - begin) if self.cells.num_columns else self.cells,
            numbers=self.numbers[begin:end],
            mixed={name: column[begin:end] for name, column in self.mixed.items()},
            names=self.names[begin:end],
            problems=(),
            rows_before=(),
        )


@dataclass
class RowBuffer:
    """Collects rows until there are enough for a block.

    Attributes:
        file: The file as messages name it.
        rows: The rows, each as column -> cell.
        numbers: Number of each row in the file.
        problems: Problems of unusable rows.
        rows_before: Number of rows before each problem.
        size: Size of all rows, in characters or bytes.
    """

    file: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    rows_before: list[int] = field(default_factory=list)
    size: int = 0

    def __len__(self) -> int:
        return len(self.rows) + len(self.problems)

    def add(self, cells: dict[str, Any], number: int, problem: Problem | None, size: int) -> None:
        """Adds a row, or its problem if it cannot be used."""
        self.size += size
        if problem:
            self.problems.append(problem)
            self.rows_before.append(len(self.rows))
        else:
            self.rows.append(cells)
            self.numbers.append(number)

    def blocks(self) -> Iterator[Block]:
        """Yields the rows as blocks, and empties the buffer."""
        rows, numbers, problems = self.rows, np.array(self.numbers, np.int64), tuple(self.problems)
        rows_before = tuple(self.rows_before)
        self.rows, self.numbers, self.problems, self.rows_before, self.size = [], [], [], [], 0
        if rows or problems:
            yield from blocks_of(self.file, rows, numbers, problems, rows_before)


def blocks_of(
    file: str,
    rows: Sequence[dict[str, Any]],
    numbers: np.ndarray,
    problems: tuple[Problem, ...] = (),
    rows_before: tuple[int, ...] = (),
) -> Iterator[Block]:
    """Yields rows as blocks: one block, unless the rows have few of many columns.

    Args:
        file: The file as messages name it.
        rows: The rows, each as column -> cell; each may lack columns that others have.
        numbers: Number of each row in the file, int64 `(rows,)`.
        problems: Problems of unusable rows, in order.
        rows_before: Number of rows before each problem.
    """
    column_orders = dict.fromkeys(map(tuple, rows))
    names = dict.fromkeys(itertools.chain.from_iterable(column_orders))
    if len(rows) > 1 and len(rows) * len(names) > MAX_CELLS:
        half = len(rows) // 2
        num_problems = bisect.bisect_left(rows_before, half)
        remaining_before = tuple(count - half for count in rows_before[num_problems:])
        yield from blocks_of(file, rows[:half], numbers[:half], problems[:num_problems], rows_before[:num_problems])
        yield from blocks_of(file, rows[half:], numbers[half:], problems[num_problems:], remaining_before)
        return
    columns: dict[str, list]
    if len(column_orders) == 1:
        values = list(itertools.chain.from_iterable(map(dict.values, rows)))
        columns = {name: values[index :: len(names)] for index, name in enumerate(names)}
    else:
        columns = {name: [row.get(name) for row in rows] for name in names}
    arrays = {name: typed(column) for name, column in columns.items()}
    cells = {name: array for name, array in arrays.items() if array is not None}
    mixed = {name: columns[name] for name, array in arrays.items() if array is None}
    batch = pa.RecordBatch.from_arrays(list(cells.values()), names=list(cells))
    yield Block(file, batch, numbers, mixed, problems, rows_before=rows_before)


def typed(values: list) -> pa.Array | None:
    """Returns Python values as an Arrow array of equal values; None for mixed types, or types that Arrow lacks.

    Integers among floats become float64 if it holds all of them exactly; within lists they do not: [1] and [1.0] are
    different texts, and the text of a cell, which decides its split, must not depend on other rows. Lists are converted
    if all their elements are of one type: numbers, texts or bytes.
    """
    types = set(map(type, values)) - {type(None)}
    if types == {list}:
        element_type = _type_of(set(map(type, itertools.chain.from_iterable(filter(None, values)))) - {type(None)})
        kind = None if element_type is None else pa.list_(element_type)
    else:
        kind = pa.float64() if types == {int, float} else _type_of(types)
    try:
        return None if kind is None else pa.array(values, kind)
    except (pa.ArrowException, OverflowError, ValueError):  # a large number, half of a surrogate pair
        return None


def _type_of(types: set[type]) -> pa.DataType | None:
    """Returns Arrow's type for a Python type; None where Arrow has none, or there are several types."""
    if not types:
        return pa.null()
    return TYPES.get(next(iter(types))) if len(types) == 1 else None


def to_list(cells: pa.Array) -> list:
    """Returns the Python values of an array: bytes for text that is not UTF-8, text for dates beyond Python's range.

    Timestamps with an unknown time zone are converted to UTC.
    """
    try:
        return cells.to_pylist()
    except CONVERSION_ERRORS:
        return [_python(cell) for cell in cells]


def _python(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except CONVERSION_ERRORS:
        pass
    if pa.types.is_dictionary(cell.type):
        return _python(cell.value)
    if pa.types.is_map(cell.type):
        return [tuple(map(_python, pair.values())) for pair in cell.values]
    if pa.types.is_nested(cell.type):
        is_struct = pa.types.is_struct(cell.type)
        return {name: _python(inner) for name, inner in cell.items()} if is_struct else list(map(_python, cell.values))
    if pa.types.is_timestamp(cell.type) and cell.type.tz not in (None, "UTC"):
        return _python(cell.cast(pa.timestamp(cell.type.unit, "UTC")))
    is_moment = pa.types.is_temporal(cell.type)
    return str(cell.cast(pa.string())) if is_moment else cell.as_buffer().to_pybytes()
