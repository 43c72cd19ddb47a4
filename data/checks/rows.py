"""Checks of rows as they are read: duplicates, rows in two splits, classes, too few rows."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from data.config import Check, DataChecks
from data.errors import DataError
from data.spec import SPLITS, BadRow, DatasetSpec, LabelFeature, Problem, Row, Stream

MAX_PROBLEMS = 8  # with the sentence before and the count after them, ten lines


@dataclass
class _Finding:
    """How often a check found something in a split, and the first time."""

    count: int = 0
    first: str = ""


@dataclass
class _Split:
    """What went by of one split."""

    rows: int = 0
    duplicates: _Finding = field(default_factory=_Finding)
    leakage: _Finding = field(default_factory=_Finding)
    labels: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))


@dataclass
class _Invalid:
    """How many rows and cells cannot be used, and the first of them."""

    rows: int = 0
    problems: int = 0
    first: list[Problem] = field(default_factory=list)

    def add(self, row: BadRow) -> None:
        self.rows += 1
        self.problems += len(row.problems)
        self.first += row.problems[: MAX_PROBLEMS - len(self.first)]


@dataclass
class RowChecks:
    """Watches the rows of all splits go by.

    Keeps 16 bytes and the place of each row.

    Attributes:
        settings: What is checked.
        spec: What the rows hold.
        notes: What was dropped or is worth a warning, a sentence each.
    """

    settings: DataChecks
    spec: DatasetSpec
    notes: list[str] = field(default_factory=list)
    _seen: dict[bytes, tuple[str, str | int]] = field(default_factory=dict)
    _splits: dict[str, _Split] = field(default_factory=lambda: {split: _Split() for split in SPLITS})

    def watch(self, rows: Stream) -> Iterator[tuple[str, Row]]:
        """Yields the rows that are to be kept, each with its split.

        Raises:
            DataError: The data is not fit to be trained on; says which rows, and how many.
        """
        labels = [name for name, kind in self.spec.features.items() if isinstance(kind, LabelFeature)]
        number, invalid = 0, _Invalid()
        for split, row in rows:
            number += 1
            if isinstance(row, BadRow):
                invalid.add(row)
                continue
            state = self._splits[split]
            state.rows += 1
            kind = self._remember(split, getattr(row, "where", state.rows), row, state)
            if kind and self._check(kind).policy == "drop":
                continue
            yield split, row
            # After the row was taken: whoever writes it refuses a label that is missing or out of range.
            for name in labels:
                state.labels[name][int(row[name])] += 1
        if invalid.rows:
            self._judge_invalid(invalid, number)
        for split in SPLITS:
            self._judge_split(split, self._splits[split], labels)

    def _judge_invalid(self, invalid: _Invalid, rows: int) -> None:
        check = self.settings.invalid
        found = f"{invalid.rows:,} of {rows:,} rows cannot be used"
        if check.policy == "drop" and invalid.rows / rows <= check.max_rate:
            self.notes.append(f"{found} (first: {invalid.first[0]}), dropped")
            return
        fix = "mend them, or set data.checks.invalid.policy to drop"
        if check.policy == "drop":
            fix = f"at most {check.max_rate:.2%} may be dropped (data.checks.invalid.max_rate)"
        more = [f"  and {invalid.problems - MAX_PROBLEMS:,} more"] if invalid.problems > MAX_PROBLEMS else []
        lines = [f"  {problem}" for problem in invalid.first]
        raise DataError("\n".join([f"{self.spec.name}: {found}; {fix}:", *lines, *more]))

    def _remember(self, split: str, place: str | int, row: Row, state: _Split) -> str | None:
        """Returns which check finds this row; None for one that was not seen before."""
        key = _input_digest(row, self.spec)
        earlier = self._seen.setdefault(key, (split, place))
        if earlier == (split, place):
            return None
        kind = "duplicates" if earlier[0] == split else "leakage"
        finding: _Finding = getattr(state, kind)
        finding.count += 1
        finding.first = finding.first or f"{_named(split, place)} equals {_named(*earlier)}"
        return kind

    def _judge_split(self, split: str, state: _Split, labels: list[str]) -> None:
        if state.rows < self.settings.min_rows:
            raise DataError(
                f"Split {split} of {self.spec.name} has {state.rows} usable rows, expected at least "
                f"{self.settings.min_rows}."
            )
        for kind in ("duplicates", "leakage"):
            self._judge(split, kind, getattr(state, kind), state.rows)
        for name in labels:
            self._judge_classes(split, name, state.labels[name])

    def _judge(self, split: str, kind: str, finding: _Finding, rows: int) -> None:
        check = self._check(kind)
        rate = finding.count / rows
        if rate <= check.max_rate:
            return
        what = "are duplicates" if kind == "duplicates" else "are in another split too"
        text = f"{finding.count:,} of {rows:,} rows of split {split} {what} ({rate:.2%}, first: {finding.first})"
        if check.policy == "stop":
            raise DataError(
                f"{self.spec.name}: {text}; at most {check.max_rate:.2%} are allowed. Mend the data, or set "
                f"data.checks.{kind}.policy to drop or warn."
            )
        self.notes.append(f"{text}, {'dropped' if check.policy == 'drop' else 'kept'}")

    def _check(self, kind: str) -> Check:
        return getattr(self.settings, kind) or Check()

    def _judge_classes(self, split: str, name: str, counts: Counter) -> None:
        if len(counts) < self.settings.min_classes:
            classes = self.spec.features[name].classes
            only = ", ".join(classes[index] for index in counts)
            raise DataError(
                f"{self.spec.name}: split {split} has {len(counts)} class in {name} ({only}), "
                f"expected at least {self.settings.min_classes}; nothing can be learned from it."
            )


def _named(split: str, place: str | int) -> str:
    """Returns a row's place in words: the file and row, or a number within its split."""
    return place if isinstance(place, str) else f"{split} row {place}"


def _input_digest(row: Row, spec: DatasetSpec) -> bytes:
    """Returns 16 bytes that depend on all features of a row but its targets."""
    digest = hashlib.blake2b(digest_size=16)
    for name, feature in spec.features.items():
        if not feature.target and name in row:
            value = row[name]
            digest.update(
                np.ascontiguousarray(value).tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
            )
    return digest.digest()
