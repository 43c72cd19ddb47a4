"""Facts about the columns of a table, from all its cells, in one pass over its blocks."""

import functools
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.inference.dates import FORMATS, are_dates
from data.inference.lists import Lists, is_countable
from data.inference.numbers import number_of, numbers_among, plain_numbers
from data.inference.values import Values
from data.kinds.cell import word, words_of_floats
from data.numerals import DAYS, PLAIN, Notation, parsed
from data.scripts import num_words
from data.sources.blocks import Block
from data.sources.tables.notation import NumberFormat, UnsupportedFormat, find_unsupported, is_number, recognise
from data.texts import is_unicode

MAX_DISTINCT = 20_000  # distinct values that are counted; a column with more is text, an identifier or a number
MISSING_MARKERS = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-")
MIN_WORDS = 4  # mean number of words from which on the values of a column may be texts
MIN_DISTINCT_SHARE = 0.3  # share of distinct values above which a column with that many words is a text
MAX_SAMPLED_VALUES = 300  # values of a column whose words are counted
NUM_TESTED_FIRST = 100  # values that are tested before all of them
MAX_EXACT_FLOAT32 = 2.0**24  # float32 holds every integer up to it


@dataclass
class Column:
    """Facts about one column.

    Attributes:
        name: Its name.
        values: Distinct value, as text -> how often; see `Values`.
        rows: Number of cells with a value.
        missing: Missing-value marker -> number of cells with it.
        numbers: Number of cells that are finite numbers.
        integers: Number of cells that are integers.
        minimum: Least number.
        maximum: Greatest number.
        is_consecutive: Whether each number was one more than the one before.
        formats: Date formats that match all cells so far.
        has_date_type: Whether cells have a date type, as in Parquet.
        is_nested: Whether cells hold lists or objects, as in JSON.
        lists: Facts about the cells that are lists; these are not among `values`.
        has_typed_numbers: Whether cells are numbers, not text.
        unit: Unit of the numbers; empty for none. Set with `notation`.
        notation: Decimal mark and thousands separator of the table; see `set_notation`.
    """

    name: str
    values: Values = field(default_factory=lambda: Values(MAX_DISTINCT))
    rows: int = 0
    missing: Counter = field(default_factory=Counter)
    numbers: int = 0
    integers: int = 0
    minimum: float = float("inf")
    maximum: float = float("-inf")
    is_consecutive: bool = True
    formats: list[str] = field(default_factory=lambda: list(FORMATS))
    has_date_type: bool = False
    is_nested: bool = False
    lists: Lists = field(default_factory=Lists)
    has_typed_numbers: bool = False
    unit: str = ""
    notation: Notation = PLAIN
    _first_number: float = float("nan")
    _last_number: float = float("nan")

    def add(self, cells: pa.Array | list) -> None:
        """Counts the cells of a block."""
        if isinstance(cells, list):
            self._add_each(cells)
            return
        if pa.types.is_dictionary(cells.type):
            cells = cells.dictionary_decode()
        kind = cells.type
        if _is_text(kind):
            self._add_texts(cells)
        elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
            self._add_typed_numbers(cells)
        elif pa.types.is_boolean(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            self._add_counted(cells)
        elif is_countable(kind):
            if cells.null_count:
                self.missing[""] += cells.null_count
            self._add_lists(cells.drop_null())
        else:
            self._add_each(cells.to_pylist())

    def merge(self, other: "Column") -> None:
        """Adds the cells of another, which come after its own."""
        self.values.merge(other.values)
        self.rows += other.rows
        self.missing.update(other.missing)
        self.integers += other.integers
        self.formats = [date_format for date_format in self.formats if date_format in other.formats]
        self.has_date_type |= other.has_date_type
        self.is_nested |= other.is_nested
        self.lists.merge(other.lists)
        self.has_typed_numbers |= other.has_typed_numbers
        if other.numbers:
            self.is_consecutive &= other.is_consecutive and (
                not self.numbers or other._first_number == self._last_number + 1
            )
            self._first_number = self._first_number if self.numbers else other._first_number
            self.numbers, self._last_number = self.numbers + other.numbers, other._last_number
            self.minimum, self.maximum = min(self.minimum, other.minimum), max(self.maximum, other.maximum)

    def set_notation(self, notation: Notation, unit: str) -> None:
        """Parses the values as numbers in a notation and with a unit, once all cells are counted."""
        self.notation, self.unit = notation, unit
        numbers_of_values = np.array([self.number(value) for value in self.values])
        is_integer = bool((np.floor(numbers_of_values) == numbers_of_values).all())
        self.numbers, self.integers = self.rows, self.rows if is_integer else 0
        self.minimum, self.maximum, self.is_consecutive = (
            float(numbers_of_values.min()),
            float(numbers_of_values.max()),
            False,
        )

    def number(self, value: str) -> float:
        """Returns a value parsed as a number; NaN where it is not one."""
        is_plain = self.has_typed_numbers and is_number(value)
        number_of_value = parsed(value) if is_plain else parsed(value, self.notation, self.unit)
        return float("nan") if number_of_value is None else number_of_value

    @functools.cached_property
    def number_format(self) -> NumberFormat | None:
        """Returns the format of the numbers in its values; None where not all are numbers, or they are dates."""
        if self.is_date or self.is_nested or not self.rows:
            return None
        if self.has_typed_numbers:
            return recognise(self.texts)
        return recognise(self.values) if recognise(self.values.first(NUM_TESTED_FIRST)) else None

    @property
    def texts(self) -> Collection[str]:
        """Returns the values that show the notation of numbers: of a column of typed numbers those that are text."""
        return [value for value in self.values if not is_number(value)] if self.has_typed_numbers else self.values

    @property
    def are_days(self) -> bool:
        """Returns whether its numbers are dates, written with eight digits such as 20240131."""
        is_long = self.is_number and self.integers == self.rows and DAYS[0] <= self.minimum <= self.maximum <= DAYS[1]
        return is_long and self.distinct > 1 and "%Y%m%d" in self.formats

    @functools.cached_property
    def are_codes(self) -> bool:
        """Returns whether its integers are codes: one begins with 0, as zip codes do."""
        all_integers = self.is_number and self.integers == self.rows and not self.unit
        return all_integers and any(value[0] == "0" and len(value) > 1 and value.isdigit() for value in self.values)

    @functools.cached_property
    def num_collisions(self) -> int:
        """Returns how many distinct integers, among those that are counted, become equal to others in float32."""
        if not self.is_number or self.integers != self.rows or max(-self.minimum, self.maximum) <= MAX_EXACT_FLOAT32:
            return 0
        exact = {int(value) if value.isdigit() else self.number(value) for value in self.values}
        with np.errstate(over="ignore"):  # all beyond float32 are infinite there
            return len(exact) - len({float(np.float32(value)) for value in exact})

    @property
    def has_too_many_values(self) -> bool:
        """Returns whether it has more distinct values than are counted."""
        return len(self.values) > MAX_DISTINCT

    @property
    def distinct(self) -> int:
        """Returns the number of distinct values; a lower bound when there are too many to count."""
        return len(self.values)

    @functools.cached_property
    def mean_words(self) -> float:
        """Returns about how many words a value has, once all rows are counted; see `scripts.num_words`."""
        sample = self._sample()
        return sum(map(num_words, sample)) / max(len(sample), 1)

    @property
    def mean_length(self) -> float:
        """Returns how many characters a value has on average."""
        sample = self._sample()
        return sum(map(len, sample)) / max(len(sample), 1)

    def _sample(self) -> list[str]:
        return self.values.every(self.distinct // MAX_SAMPLED_VALUES + 1)

    @property
    def is_text(self) -> bool:
        """Returns whether its values are sentences, in any script, which differ from row to row."""
        return (
            self.has_too_many_values or self.distinct > MIN_DISTINCT_SHARE * self.rows
        ) and self.mean_words >= MIN_WORDS

    @functools.cached_property
    def unsupported(self) -> UnsupportedFormat | None:
        """Returns the format of its values if no reader supports it; None for other columns. All rows are counted."""
        return None if self.is_number or self.is_date else find_unsupported(self.values, self.notation)

    @property
    def is_number(self) -> bool:
        """Returns whether every cell is a number."""
        return 0 < self.rows == self.numbers

    @property
    def is_date(self) -> bool:
        """Returns whether every cell is a date; digits alone are a number."""
        return self.rows > 0 and (self.has_date_type or (bool(self.formats) and not self.is_number))

    def _add_each(self, cells: Sequence[Any]) -> None:
        """Counts cells of any type, one by one; the columnar methods give the same result."""
        if lists := [cell for cell in cells if isinstance(cell, list | tuple)]:
            self._add_lists(lists)
            cells = [cell for cell in cells if not isinstance(cell, list | tuple)]
        texts, numbers, maybe_dates = [], [], []
        for cell in cells:
            text = text_of(cell)
            if not is_unicode(text):  # a problem of its row, which the reader names
                continue
            if text in MISSING_MARKERS:
                self.missing[text] += 1
                continue
            texts.append(text)
            numbers.append(float("nan") if isinstance(cell, bool) else number_of(text))
            self.is_nested |= isinstance(cell, dict)
            self.has_typed_numbers |= isinstance(cell, int | float)
            if not isinstance(cell, str) and hasattr(cell, "year"):
                self.has_date_type = True
            else:
                maybe_dates.append(text)
        self.rows += len(texts)
        self.values.add_each(texts)
        self._add_numbers(np.array(numbers))
        self._filter_formats(maybe_dates)

    def _add_texts(self, cells: pa.Array) -> None:
        numbers = plain_numbers(cells)
        if numbers is not None and not np.isnan(numbers).any():  # a missing value is not a number
            self.rows += len(cells)
            self._add_numbers(numbers)
            self._count(cells)
            self._filter_formats(cells)
            return
        encoded = pc.dictionary_encode(cells, null_encoding="encode")
        texts = pc.utf8_trim_whitespace(encoded.dictionary.fill_null(""))
        indices = encoded.indices.to_numpy()
        counts = np.bincount(indices, minlength=len(texts))
        is_missing = pc.is_in(texts, value_set=pa.array(MISSING_MARKERS, texts.type)).to_numpy(zero_copy_only=False)
        for index in np.flatnonzero(is_missing):
            self.missing[texts[index].as_py()] += int(counts[index])
        self.rows += int(counts[~is_missing].sum())
        values = texts.filter(pa.array(~is_missing))
        numbers_of_texts = np.full(len(texts), np.nan)
        numbers_of_texts[~is_missing] = numbers_among(values)
        self._add_numbers(numbers_of_texts[indices])
        self.values.add(values, counts[~is_missing])
        self._filter_formats(values)

    def _add_typed_numbers(self, cells: pa.Array) -> None:
        numbers = cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        is_missing = np.isnan(numbers)
        if is_missing.any():
            self.missing[""] += int(is_missing.sum())
            numbers, cells = numbers[~is_missing], cells.filter(pa.array(~is_missing))
        self.rows += len(cells)
        self.has_typed_numbers |= len(cells) > 0
        self._add_numbers(numbers)
        self._count(cells)
        if self.formats:
            self._filter_formats(_words(cells))

    def _add_counted(self, cells: pa.Array) -> None:
        """Counts booleans, dates and timestamps, which are not numbers."""
        if cells.null_count:
            self.missing[""] += cells.null_count
            cells = cells.drop_null()
        if not len(cells):
            return
        self.rows += len(cells)
        self._count(cells)
        if pa.types.is_boolean(cells.type):
            self.formats = []
        else:
            self.has_date_type = True

    def _add_lists(self, cells: pa.ListArray | list) -> None:
        """Counts lists, none of which is missing."""
        self.rows += len(cells)
        if len(cells):
            self.is_nested, self.formats = True, []
        (self.lists.add if isinstance(cells, list) else self.lists.add_column)(cells)

    def _count(self, cells: pa.Array) -> None:
        """Counts the values of cells of one type, none of which is missing or has spaces around it."""
        if not self.values.is_full and len(cells):
            values, counts = pc.value_counts(cells).flatten()
            self.values.add(_words(values), counts.to_numpy())

    def _add_numbers(self, numbers: np.ndarray) -> None:
        """Adds the finite numbers among `numbers`, float64 `(cells,)`, in the order of their rows."""
        is_finite = np.isfinite(numbers)
        numbers = numbers if is_finite.all() else numbers[is_finite]
        if not len(numbers):
            return
        if self.is_consecutive:
            follows = not self.numbers or numbers[0] == self._last_number + 1
            self.is_consecutive = bool(follows and (numbers[1:] == numbers[:-1] + 1).all())
        self._first_number = self._first_number if self.numbers else float(numbers[0])
        self._last_number = float(numbers[-1])
        self.numbers += len(numbers)
        self.integers += int((np.floor(numbers) == numbers).sum())
        self.minimum, self.maximum = min(self.minimum, float(numbers.min())), max(self.maximum, float(numbers.max()))

    def _filter_formats(self, texts: pa.Array | Iterable[str]) -> None:
        """Drops the date formats that do not match all of these texts."""
        if self.formats:
            self.formats = are_dates(texts if isinstance(texts, pa.Array) else list(texts), self.formats)


@dataclass
class Survey:
    """Accumulates the facts about the columns of a table, block by block.

    Attributes:
        ignore: Columns that are left out.
        columns: Name -> facts about the column.
        rows: Number of rows.
    """

    ignore: Collection[str] = ()
    columns: dict[str, Column] = field(default_factory=dict)
    rows: int = 0

    def add(self, block: Block) -> None:
        """Counts the cells of a block, without rows that have problems."""
        for name in dict.fromkeys([*self.columns, *block.columns]):
            if name in self.ignore:
                continue
            column = self._column(name)
            cells = block.column(name)
            if cells is None:  # JSON objects may leave columns out
                column.missing[""] += len(block)
            else:
                column.add(cells)
        self.rows += len(block)

    def merge(self, other: "Survey") -> None:
        """Adds the rows of another, which come after its own."""
        for name in dict.fromkeys([*self.columns, *other.columns]):
            column = self._column(name)
            if name in other.columns:
                column.merge(other.columns[name])
            elif other.rows:
                column.missing[""] += other.rows
        self.rows += other.rows

    def result(self) -> dict[str, Column]:
        """Returns name -> facts about the column."""
        return self.columns

    def _column(self, name: str) -> Column:
        if name not in self.columns:
            self.columns[name] = Column(name)
            if self.rows:
                self.columns[name].missing[""] = self.rows
        return self.columns[name]


def survey(blocks: Iterable[Block], ignore: Collection[str] = ()) -> dict[str, Column]:
    """Returns name -> facts about the column, without the columns to ignore."""
    accumulator = Survey(ignore)
    for block in blocks:
        accumulator.add(block)
    return accumulator.result()


def text_of(cell: Any) -> str:
    """Returns the text of a cell, by which values are counted; empty for a missing value."""
    return "" if cell is None or cell != cell else word(cell)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _words(cells: pa.Array) -> pa.Array:
    """Returns `word` of each cell of an array, none of which is missing or a text with spaces around it."""
    kind = cells.type
    if _is_text(kind):
        return cells
    if pa.types.is_integer(kind):
        return cells.cast(pa.string())
    if pa.types.is_float32(kind) or pa.types.is_float64(kind):
        return words_of_floats(cells).cast(pa.string())
    return pa.array(map(word, cells.to_pylist()), pa.string())
