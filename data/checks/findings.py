"""What the checks of rows count: rows that cannot be used, and rows that equal an earlier one."""

import array
import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc
import xxhash

from data.columnar.batches import Batch
from data.spec import Problem

MAX_PROBLEMS = 8  # with the sentence before and the count after them, ten lines

Pair = tuple[int, int]
"""A row and the earlier one that it equals, by their numbers in order of arrival."""


@dataclass
class Empty:
    """Rows without a value in any input, such as one of totals below a table; an accumulator.

    Attributes:
        count: How many.
        first: Where the first of them is.
    """

    count: int = 0
    first: str = ""

    def add(self, batch: Batch, inputs: Sequence[str]) -> None:
        """Counts those of a batch.

        Args:
            batch: Usable rows.
            inputs: The features that are no targets.
        """
        columns = [batch.columns.column(name) for name in inputs]
        if not columns or not len(batch) or not all(column.null_count for column in columns):
            return
        are_empty = functools.reduce(pc.and_, (column.is_null() for column in columns))
        rows = pc.indices_nonzero(are_empty)
        if len(rows):
            self.count += len(rows)
            self.first = self.first or batch.where(rows[0].as_py())

    def merge(self, other: "Empty") -> None:
        """Adds the rows of another, which come after its own."""
        self.count += other.count
        self.first = self.first or other.first

    def note(self, rows: int) -> tuple[str, str]:
        """Returns two sentences with the count among `rows` rows: with the first such row, and without it."""
        summary = f"{self.count:,} of {rows:,} rows {'has' if self.count == 1 else 'have'} no value in any input"
        return (
            f"{summary} (first: {self.first}), kept; delete what is no example, such as a row of totals",
            f"{summary}, kept",
        )


@dataclass
class Finding:
    """How often a check found an equal row in a split, and the first time.

    Attributes:
        count: How many rows.
        first: The first of them and the earlier row that it equals.
        relabelled: How many have another label than the earlier row.
        first_relabelled: The first of those, both with their classes.
        groups: Of rows that were found by their group, how many groups those are.
    """

    count: int = 0
    first: str = ""
    relabelled: int = 0
    first_relabelled: str = ""
    groups: int = 0
    _first: Pair | None = None
    _first_relabelled: Pair | None = None

    def add(self, later: np.ndarray, earlier: np.ndarray, relabelled: np.ndarray) -> None:
        """Counts rows that equal an earlier one, all of them int64 or bool `(found,)`."""
        self.count += len(later)
        self.relabelled += int(relabelled.sum())
        self._first = _earliest(later, earlier, self._first)
        self._first_relabelled = _earliest(later[relabelled], earlier[relabelled], self._first_relabelled)

    def name(self, said: Callable[[Pair], str], relabelled: Callable[[Pair], str]) -> None:
        """Sets `first` and `first_relabelled`, written by the given functions."""
        self.first = said(self._first) if self._first else ""
        self.first_relabelled = relabelled(self._first_relabelled) if self._first_relabelled else ""

    def details(self, rows: int) -> str:
        """Returns, in brackets, the share of `rows` rows, how many have another label, and the first ones."""
        label = f"{self._relabelled()}, first: {self.first_relabelled}"
        first = "" if self.relabelled == self.count else f"first: {self.first}"
        groups = f"{self.groups:,} group{'s' * (self.groups != 1)}, " if self.groups else ""
        parts = "; ".join([first] * bool(first) + [label] * bool(self.relabelled))
        return f"({self.count / rows:.2%}, {groups}{parts})"

    def brief(self, rows: int) -> str:
        """Returns `details` without the first rows, and without the labels unless all rows have another one."""
        return f"({self.count / rows:.2%}{f', {self._relabelled()}' if self.relabelled == self.count else ''})"

    def _relabelled(self) -> str:
        return f"of these {self.relabelled:,} {'has' if self.relabelled == 1 else 'have'} another label"


def _earliest(later: np.ndarray, earlier: np.ndarray, first: Pair | None) -> Pair | None:
    """Returns the pair with the earliest of the rows `later`, or `first` if that is earlier; None for none."""
    if not len(later):
        return first
    index = int(later.argmin())
    pair = int(later[index]), int(earlier[index])
    return min(pair, first) if first else pair


@dataclass
class SplitFindings:
    """Counts of one split.

    Attributes:
        rows: How many usable rows, duplicates among them.
        unusable: How many rows that cannot be used.
        duplicates: Rows with the input of an earlier row of the split.
        leakage: Rows with the input of a row of another split.
        groups: Rows with the group of a row of another split.
        labels: Label -> index of a class -> how many of the rows that are kept have it.
        read_labels: Label -> index of a class -> how many of all rows have it.
        left_out: duplicates, leakage or groups -> how many rows are left out because of it.
    """

    rows: int = 0
    unusable: int = 0
    duplicates: Finding = field(default_factory=Finding)
    leakage: Finding = field(default_factory=Finding)
    groups: Finding = field(default_factory=Finding)
    labels: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))
    read_labels: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))
    left_out: Counter = field(default_factory=Counter)

    @property
    def kept(self) -> int:
        """How many usable rows are kept."""
        return self.rows - self.left_out.total()


@dataclass
class Invalid:
    """Rows that cannot be used, with their problems; an accumulator.

    Attributes:
        rows: How many rows.
        problems: How many problems; one that several rows have, such as that of their folder, counts once.
        counts: The first problems -> how many rows have each.
    """

    rows: int = 0
    problems: int = 0
    counts: dict[Problem, int] = field(default_factory=dict)

    _rest: array.array = field(default_factory=lambda: array.array("Q"))  # digests of those not among the first

    def add(self, problems: Collection[Problem]) -> None:
        """Counts a row and its problems."""
        self.rows += 1
        for problem in problems:
            self._count(problem, 1)

    def merge(self, other: "Invalid") -> None:
        """Counts another's rows after its own."""
        self.rows += other.rows
        for problem, rows in other.counts.items():
            self._count(problem, rows)
        by_digest = {_digest(problem): problem for problem in self.counts}
        for digest in other._rest:
            if digest in by_digest:
                self.counts[by_digest[digest]] += 1
            else:
                self.problems += 1
                self._rest.append(digest)

    def _count(self, problem: Problem, rows: int) -> None:
        if problem in self.counts:
            self.counts[problem] += rows
        elif len(self.counts) < MAX_PROBLEMS:
            self.problems += 1
            self.counts[problem] = rows
        else:
            self.problems += rows
            self._rest.extend([_digest(problem)] * rows)

    @property
    def first(self) -> list[str]:
        """Returns the first problems, a line each."""
        return [f"{problem} ({rows:,} rows)" if rows > 1 else str(problem) for problem, rows in self.counts.items()]


def _digest(problem: Problem) -> int:
    return xxhash.xxh3_64_intdigest(str(problem).encode("utf-8", "surrogatepass"))
