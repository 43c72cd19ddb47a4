"""Rows of a file as columns, their cells as they stand there: what every reader yields."""

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
# Text that is not UTF-8, a moment beyond the year 9999, a time zone that is not known.
UNLIKE_PYTHON = (OverflowError, ValueError, KeyError)
MAX_CELLS = 4 * 2**20  # of a block; rows that have few of many columns are cut into more blocks


@dataclass(frozen=True)
class Block:
    """Some rows of one file, in its order.

    Attributes:
        file: The file as messages name it.
        cells: The columns whose cells are of one type; null for nothing. Those of a text file are all strings.
        numbers: Where each row stands, int64 `(rows,)`: its line in a text file, else a count from 1. Of a folder of
            files, whose rows are files, a count that no message shows: see `names`.
        mixed: The columns whose cells are of several types, or of one that Arrow does not have: Python values, None
            for nothing, one for each row.
        problems: Why rows of this part of the file cannot be used as a whole; they are not among the cells.
        names: The file that each row is, where rows are files of a folder; empty elsewhere.
        share: How much of the file is read with these rows, up to 1; 0 where that is not known.
        rows_before: How many of the rows stand before each problem, where rows may have the same number, as those of a
            JSON array in one line; empty where the numbers tell.
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
        """Returns a row's place in words: the file and its line or number in it."""
        return self.names[row] if self.names else f"{self.file}:{self.numbers[row]}"

    def number(self, row: int) -> int:
        """Returns where a row stands in its file, see `numbers`; 0 where it is a file by itself."""
        return 0 if self.names else int(self.numbers[row])

    def column(self, name: str) -> pa.Array | list | None:
        """Returns the cells of a column; None where the block has no such column."""
        if name in self.mixed:
            return self.mixed[name]
        place = self.cells.schema.get_field_index(name)  # `schema.names` would make a list of all names each time
        return None if place < 0 else self.cells.column(place)

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
        """Yields the rows as blocks of at most so many, which share their memory; the first has all problems."""
        if len(self) <= max_rows:
            yield self
            return
        for begin in range(0, len(self), max_rows):
            some = self.slice(begin, begin + max_rows)
            yield some if begin else replace(some, problems=self.problems, rows_before=self.rows_before)

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
    """Rows that become a block when there are enough.

    Attributes:
        file: The file as messages name it.
        rows: The rows, each by column.
        numbers: Where each stands in the file.
        problems: Why others cannot be used.
        rows_before: How many of the rows stand before each of these.
        size: How much text or how many bytes they were.
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
        """Takes one more row, or why it cannot be used."""
        self.size += size
        if problem:
            self.problems.append(problem)
            self.rows_before.append(len(self.rows))
        else:
            self.rows.append(cells)
            self.numbers.append(number)

    def blocks(self) -> Iterator[Block]:
        """Yields the rows as blocks, and holds none any more."""
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
    """Yields rows, each by column, as blocks: one, unless the rows have few of many columns.

    Args:
        file: The file as messages name it.
        rows: The rows; each may lack columns that others have.
        numbers: Where each stands in the file, int64 `(rows,)`.
        problems: Why others cannot be used, in order.
        rows_before: How many of the rows stand before each problem.
    """
    layouts = dict.fromkeys(map(tuple, rows))
    names = dict.fromkeys(itertools.chain.from_iterable(layouts))
    if len(rows) > 1 and len(rows) * len(names) > MAX_CELLS:
        half = len(rows) // 2
        cut = bisect.bisect_left(rows_before, half)
        after = tuple(count - half for count in rows_before[cut:])
        yield from blocks_of(file, rows[:half], numbers[:half], problems[:cut], rows_before[:cut])
        yield from blocks_of(file, rows[half:], numbers[half:], problems[cut:], after)
        return
    columns: dict[str, list]
    if len(layouts) == 1:
        values = list(itertools.chain.from_iterable(map(dict.values, rows)))
        columns = {name: values[place :: len(names)] for place, name in enumerate(names)}
    else:
        columns = {name: [row.get(name) for row in rows] for name in names}
    arrays = {name: typed(column) for name, column in columns.items()}
    cells = {name: array for name, array in arrays.items() if array is not None}
    mixed = {name: columns[name] for name, array in arrays.items() if array is None}
    batch = pa.RecordBatch.from_arrays(list(cells.values()), names=list(cells))
    yield Block(file, batch, numbers, mixed, problems, rows_before=rows_before)


def typed(values: list) -> pa.Array | None:
    """Returns Python values as an Arrow array of the same ones; None where their types are several, or not Arrow's.

    Whole numbers beside others become float64 where it holds each of them; within lists they do not, since [1] and
    [1.0] are other texts, and the text of a cell, which decides about its split, must not depend on the rows beside it.
    Lists are taken where all that is in them is of one type: numbers, texts or bytes.
    """
    types = set(map(type, values)) - {type(None)}
    if types == {list}:
        inner = _type_of(set(map(type, itertools.chain.from_iterable(filter(None, values)))) - {type(None)})
        kind = None if inner is None else pa.list_(inner)
    else:
        kind = pa.float64() if types == {int, float} else _type_of(types)
    try:
        return None if kind is None else pa.array(values, kind)
    except (pa.ArrowException, OverflowError, ValueError):  # a large number, half of a surrogate pair
        return None


def _type_of(types: set[type]) -> pa.DataType | None:
    """Returns Arrow's type of values of one type; None where there is none, or the types are several."""
    if not types:
        return pa.null()
    return TYPES.get(next(iter(types))) if len(types) == 1 else None


def to_list(cells: pa.Array) -> list:
    """Returns the Python values of an array; of text that is not UTF-8 bytes, of a moment beyond Python's a text.

    Moments of a time zone that is not known here are in UTC.
    """
    try:
        return cells.to_pylist()
    except UNLIKE_PYTHON:
        return [_python(cell) for cell in cells]


def _python(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except UNLIKE_PYTHON:
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
