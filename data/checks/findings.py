"""Counts that the checks of rows keep: unusable rows, empty rows, and rows that equal an earlier one."""

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
class EmptyRows:
    """Rows without a value in any input, such as a row of totals below a table; an accumulator.

    Attributes:
        count: Number of such rows.
        first: Location of the first one, for a message.
    """

    count: int = 0
    first: str = ""

    def add(self, batch: Batch, inputs: Sequence[str]) -> None:
        """Counts the empty rows of a batch.

        Args:
            batch: Usable rows.
            inputs: The features that are not targets.
        """
        columns = [batch.columns.column(name) for name in inputs]
        if not columns or not len(batch) or not all(column.null_count for column in columns):
            return
        are_empty = functools.reduce(pc.and_, (column.is_null() for column in columns))
        rows = pc.indices_nonzero(are_empty)
        if len(rows):
            self.count += len(rows)
            self.first = self.first or batch.where(rows[0].as_py())

    def merge(self, other: "EmptyRows") -> None:
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
    """Rows of a split that equal an earlier row.

    Attributes:
        count: Number of these rows.
        first: The first of them and the earlier row that it equals, as text.
        relabelled: Number of rows whose label differs from that of the earlier row.
        first_relabelled: The first of those and the earlier row, both with their classes, as text.
        groups: Number of groups, where rows are equal by their group.
    """

    count: int = 0
    first: str = ""
    relabelled: int = 0
    first_relabelled: str = ""
    groups: int = 0
    _first: Pair | None = None
    _first_relabelled: Pair | None = None

    def add(self, later: np.ndarray, earlier: np.ndarray, relabelled: np.ndarray) -> None:
        """Counts rows that equal an earlier one.

        Args:
            later: The rows, int64 `(pairs,)`.
            earlier: The earlier row that each equals, int64 `(pairs,)`.
            relabelled: Whether their labels differ, bool `(pairs,)`.
        """
        self.count += len(later)
        self.relabelled += int(relabelled.sum())
        self._first = _earliest(later, earlier, self._first)
        self._first_relabelled = _earliest(later[relabelled], earlier[relabelled], self._first_relabelled)

    def set_examples(self, describe: Callable[[Pair], str], describe_relabelled: Callable[[Pair], str]) -> None:
        """Sets `first` and `first_relabelled` to the text that the functions return for a pair of rows."""
        self.first = describe(self._first) if self._first else ""
        self.first_relabelled = describe_relabelled(self._first_relabelled) if self._first_relabelled else ""

    def details(self, rows: int) -> str:
        """Returns in brackets the share of the `rows` rows of the split, the number relabelled, and the first rows."""
        relabelled_rows = f"{self._relabelled()}, first: {self.first_relabelled}"
        first_example = "" if self.relabelled == self.count else f"first: {self.first}"
        groups = f"{self.groups:,} group{'s' * (self.groups != 1)}, " if self.groups else ""
        parts = "; ".join([first_example] * bool(first_example) + [relabelled_rows] * bool(self.relabelled))
        return f"({self.count / rows:.2%}, {groups}{parts})"

    def brief(self, rows: int) -> str:
        """Returns `details` without the first rows; with the number relabelled only where that is all of them."""
        return f"({self.count / rows:.2%}{f', {self._relabelled()}' if self.relabelled == self.count else ''})"

    def _relabelled(self) -> str:
        return f"of these {self.relabelled:,} {'has' if self.relabelled == 1 else 'have'} another label"


def _earliest(later: np.ndarray, earlier: np.ndarray, first: Pair | None) -> Pair | None:
    """Returns the pair with the lowest row of `later`, or `first` if its row is lower; None without pairs."""
    if not len(later):
        return first
    index = int(later.argmin())
    pair = int(later[index]), int(earlier[index])
    return min(pair, first) if first else pair


@dataclass
class SplitFindings:
    """Counts of one split.

    Attributes:
        rows: Number of usable rows, including duplicates.
        unusable: Number of unusable rows.
        duplicates: Rows with the input of an earlier row of the split.
        leakage: Rows with the input of a row of another split.
        groups: Rows with the group of a row of another split.
        labels: Label -> index of a class -> number of rows with it among those that are kept.
        read_labels: Label -> index of a class -> number of rows with it among all.
        left_out: duplicates, leakage or groups -> number of rows that are left out for this reason.
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
        """Returns the number of usable rows that are kept."""
        return self.rows - self.left_out.total()


@dataclass
class InvalidRows:
    """Unusable rows, with their problems; an accumulator.

    Attributes:
        rows: Number of rows.
        problems: Number of distinct problems: one that several rows share, such as that of their folder, counts once.
        counts: The first problems -> number of rows with each.
    """

    rows: int = 0
    problems: int = 0
    counts: dict[Problem, int] = field(default_factory=dict)

    _other_digests: array.array = field(
        default_factory=lambda: array.array("Q")
    )  # of problems that are not among the first

    def add(self, problems: Collection[Problem]) -> None:
        """Counts a row and its problems."""
        self.rows += 1
        for problem in problems:
            self._count(problem, 1)

    def merge(self, other: "InvalidRows") -> None:
        """Counts another's rows after its own."""
        self.rows += other.rows
        for problem, rows in other.counts.items():
            self._count(problem, rows)
        by_digest = {_digest(problem): problem for problem in self.counts}
        for digest in other._other_digests:
            if digest in by_digest:
                self.counts[by_digest[digest]] += 1
            else:
                self.problems += 1
                self._other_digests.append(digest)

    def _count(self, problem: Problem, rows: int) -> None:
        if problem in self.counts:
            self.counts[problem] += rows
        elif len(self.counts) < MAX_PROBLEMS:
            self.problems += 1
            self.counts[problem] = rows
        else:
            self.problems += rows
            self._other_digests.extend([_digest(problem)] * rows)

    @property
    def first(self) -> list[str]:
        """Returns the first problems, a line each."""
        return [f"{problem} ({rows:,} rows)" if rows > 1 else str(problem) for problem, rows in self.counts.items()]


def _digest(problem: Problem) -> int:
    return xxhash.xxh3_64_intdigest(str(problem).encode("utf-8", "surrogatepass"))
