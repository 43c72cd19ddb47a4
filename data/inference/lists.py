"""Facts about the cells of a column that are lists, from which a sequence is inferred."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

MAX_STEPS = 1000  # that a sequence keeps where rows have more: padded rows take memory


@dataclass
class Lists:
    """Facts about lists.

    Attributes:
        count: Number of lists.
        empty: Number of lists without a value.
        numbers: Number of lists of finite numbers.
        texts: Number of lists of texts, none of which is empty.
        shortest: Least number of values of a list that has any; 0 where there is none.
        longest: Greatest number of values.
    """

    count: int = 0
    empty: int = 0
    numbers: int = 0
    texts: int = 0
    shortest: int = 0
    longest: int = 0

    @property
    def are_numbers(self) -> bool:
        """Returns whether all lists hold numbers."""
        return 0 < self.numbers == self.count - self.empty

    @property
    def are_texts(self) -> bool:
        """Returns whether all lists hold texts."""
        return 0 < self.texts == self.count - self.empty

    def add(self, lists: Sequence[Sequence[Any]]) -> None:
        """Counts lists of Python."""
        lengths = [len(cell) for cell in lists if len(cell)]
        numbers = sum(bool(cell) and all(map(_is_number, cell)) for cell in lists)
        texts = sum(bool(cell) and all(isinstance(value, str) and value.strip() for value in cell) for cell in lists)
        self.merge(Lists(len(lists), len(lists) - len(lengths), numbers, texts, *_range(lengths)))

    def add_column(self, lists: pa.ListArray) -> None:
        """Counts lists of Arrow, none of them null, whose values are numbers or strings; as `add` does."""
        lengths = pc.list_value_length(lists)
        parents, values = pc.list_parent_indices(lists), pc.list_flatten(lists)
        is_number = not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type))
        is_usable = pc.is_finite(values) if is_number else pc.not_equal(pc.utf8_trim_whitespace(values), "")
        unusable = len(pc.unique(parents.filter(pc.invert(is_usable.fill_null(False)))))
        present = lengths.filter(pc.greater(lengths, 0))
        usable = len(present) - unusable
        extremes = pc.min_max(present).as_py()
        self.merge(
            Lists(
                len(lists),
                len(lists) - len(present),
                usable if is_number else 0,
                0 if is_number else usable,
                extremes["min"] or 0,
                extremes["max"] or 0,
            )
        )

    def merge(self, other: "Lists") -> None:
        """Adds the facts of other lists."""
        shortest = [facts.shortest for facts in (self, other) if facts.longest]
        self.shortest, self.longest = min(shortest, default=0), max(self.longest, other.longest)
        self.count, self.empty = self.count + other.count, self.empty + other.empty
        self.numbers, self.texts = self.numbers + other.numbers, self.texts + other.texts


def is_countable(kind: pa.DataType) -> bool:
    """Returns whether `Lists.add_column` takes lists of this type."""
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    of = kind.value_type
    return pa.types.is_integer(of) or pa.types.is_floating(of) or pa.types.is_string(of) or pa.types.is_large_string(of)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _range(lengths: Sequence[int]) -> tuple[int, int]:
    return (min(lengths), max(lengths)) if lengths else (0, 0)
