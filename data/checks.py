"""Checks of rows as they are read: duplicates, rows in two splits, classes, too few rows."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from data.errors import DataError
from data.spec import DatasetSpec, LabelFeature, Row

# Rows of the test split are seen first, so that of two equal rows it is the training row that is dropped.
ORDER = ("test", "validation", "train")


class Check(BaseModel):
    """What to do about rows that a check finds."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    policy: Literal["stop", "drop", "warn"] = "stop"
    """stop: refuse the data; drop: leave such rows out and report how many; warn: report how many."""
    max_rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of a split's rows up to which nothing is said."""


class DataChecks(BaseModel):
    """What rows are held against while they are read."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    duplicates: Check = Check(max_rate=0.01)
    """Rows with the same input as an earlier row of their split."""
    leakage: Check = Check()
    """Rows with the same input as a row of another split."""
    min_rows: PositiveInt = 2
    """Least number of rows of a split."""
    min_classes: PositiveInt = 2
    """Least number of classes in a split, where there are labels."""


@dataclass
class _Finding:
    """How often a check found something in a split, and the first time."""

    count: int = 0
    first: str = ""


@dataclass
class RowChecks:
    """Watches the rows of all splits go by, in the order of ORDER.

    Keeps 16 bytes and a number for each row.

    Attributes:
        settings: What is checked.
        spec: What the rows hold.
        notes: What was dropped or is worth a warning, a sentence each.
    """

    settings: DataChecks
    spec: DatasetSpec
    notes: list[str] = field(default_factory=list)
    _seen: dict[bytes, tuple[str, int]] = field(default_factory=dict)

    def watch(self, split: str, rows: Iterable[Row]) -> Iterator[Row]:
        """Yields the rows of a split that are to be kept.

        Raises:
            DataError: The split is not fit to be trained on; says which rows, and how many.
        """
        found = {"duplicates": _Finding(), "leakage": _Finding()}
        labels = {name: Counter() for name, kind in self.spec.features.items() if isinstance(kind, LabelFeature)}
        number = 0
        for number, row in enumerate(rows, start=1):
            kind = self._remember(split, number, row, found)
            if kind and getattr(self.settings, kind).policy == "drop":
                continue
            yield row
            # After the row was taken: whoever writes it refuses a label that is missing or out of range.
            for name, counts in labels.items():
                counts[int(row[name])] += 1
        if number < self.settings.min_rows:
            raise DataError(
                f"Split {split} of {self.spec.name} has {number} rows, expected at least {self.settings.min_rows}."
            )
        for kind, finding in found.items():
            self._judge(split, kind, finding, number)
        for name, counts in labels.items():
            self._judge_classes(split, name, counts)

    def _remember(self, split: str, number: int, row: Row, found: dict[str, _Finding]) -> str | None:
        """Returns which check finds this row; None for one that was not seen before."""
        key = _input_digest(row, self.spec)
        earlier = self._seen.setdefault(key, (split, number))
        if earlier == (split, number):
            return None
        kind = "duplicates" if earlier[0] == split else "leakage"
        finding = found[kind]
        finding.count += 1
        finding.first = finding.first or f"{split} row {number} equals {earlier[0]} row {earlier[1]}"
        return kind

    def _judge(self, split: str, kind: str, finding: _Finding, rows: int) -> None:
        check: Check = getattr(self.settings, kind)
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

    def _judge_classes(self, split: str, name: str, counts: Counter) -> None:
        if len(counts) < self.settings.min_classes:
            classes = self.spec.features[name].classes
            only = ", ".join(classes[index] for index in counts)
            raise DataError(
                f"{self.spec.name}: split {split} has {len(counts)} class in {name} ({only}), "
                f"expected at least {self.settings.min_classes}; nothing can be learned from it."
            )


def _input_digest(row: Row, spec: DatasetSpec) -> bytes:
    """Returns 16 bytes that depend on all features of a row but its labels."""
    digest = hashlib.blake2b(digest_size=16)
    for name, feature in spec.features.items():
        if not isinstance(feature, LabelFeature) and name in row:
            value = row[name]
            digest.update(
                np.ascontiguousarray(value).tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
            )
    return digest.digest()
