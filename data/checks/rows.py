"""Checks of rows as they are read: unusable and too few rows, duplicates, rows in two splits, classes."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from data.config import Check, DataChecks
from data.errors import DataError
from data.spec import SPLITS, BadRow, DatasetSpec, LabelFeature, Problem, Row, Stream

MAX_LINES = 10  # of a refusal
MAX_PROBLEMS = 8  # with the sentence before and the count after them, ten lines
SURE = 3  # rows of a kind that a split has on average, so that it has one with a probability of 95 %
MAX_SHARE = 0.3  # of all rows that a message offers for validation or test


@dataclass
class Finding:
    """How often a check found an equal row in a split, and the first time.

    Attributes:
        count: How many rows.
        first: The first of them and the earlier row that it equals.
        relabelled: How many have another label than the earlier row.
        first_relabelled: The first of those, both with their classes.
    """

    count: int = 0
    first: str = ""
    relabelled: int = 0
    first_relabelled: str = ""

    def told(self, rows: int) -> str:
        """Returns, in brackets, the share of `rows` rows, how many have another label, and the first ones."""
        label = f"{self._relabelled()}, first: {self.first_relabelled}"
        first = "" if self.relabelled == self.count else f"first: {self.first}"
        return f"({self.count / rows:.2%}, {'; '.join([first] * bool(first) + [label] * bool(self.relabelled))})"

    def brief(self, rows: int) -> str:
        """Returns the same without the first ones, and without the labels where not all have another."""
        return f"({self.count / rows:.2%}{f', {self._relabelled()}' if self.relabelled == self.count else ''})"

    def _relabelled(self) -> str:
        return f"of these {self.relabelled:,} {'has' if self.relabelled == 1 else 'have'} another label"


@dataclass
class SplitFindings:
    """What went by of one split.

    Attributes:
        rows: How many usable rows, duplicates among them.
        unusable: How many rows that cannot be used.
        duplicates: Rows with the input of an earlier row of the split.
        leakage: Rows with the input of a row of another split.
        labels: Label -> index of a class -> how many of the rows that are kept have it.
    """

    rows: int = 0
    unusable: int = 0
    duplicates: Finding = field(default_factory=Finding)
    leakage: Finding = field(default_factory=Finding)
    labels: dict[str, Counter] = field(default_factory=lambda: defaultdict(Counter))


@dataclass
class Invalid:
    """What cannot be used.

    Attributes:
        rows: How many rows.
        problems: How many problems; one that several rows have, such as that of their folder, counts once.
        counts: The first problems -> how many rows have each.
    """

    rows: int = 0
    problems: int = 0
    counts: dict[Problem, int] = field(default_factory=dict)

    def add(self, row: BadRow) -> None:
        """Counts a row and its problems."""
        self.rows += 1
        for problem in row.problems:
            is_known = problem in self.counts
            self.problems += not is_known
            if is_known or len(self.counts) < MAX_PROBLEMS:
                self.counts[problem] = self.counts.get(problem, 0) + 1

    @property
    def first(self) -> list[str]:
        """Returns the first problems in words."""
        return [f"{problem} ({rows:,} rows)" if rows > 1 else str(problem) for problem, rows in self.counts.items()]


@dataclass(frozen=True)
class _Cause:
    """Why data is refused, with the remedy; `problems` are the cells that it is about, `num_problems` how many."""

    sentence: str
    problems: tuple[str, ...] = ()
    num_problems: int = 0

    def lines(self, most: int) -> list[str]:
        """Returns the sentence and as many problems as fit into that many lines."""
        shown = self.problems if self.num_problems < most else self.problems[: max(most - 2, 1)]
        more = self.num_problems - len(shown)
        return [self.sentence, *(f"  {problem}" for problem in shown), *([f"  and {more:,} more"] if more else [])]


# A row that went by: its split; its file and row, or its number within its split; indices of its classes. There is one
# for each row, hence a plain tuple.
_Seen = tuple[str, str | int, tuple]


@dataclass
class RowChecks:
    """Watches the rows of all splits go by.

    Keeps 16 bytes, the place and the label of each row.

    Attributes:
        settings: What is checked.
        spec: What the rows hold.
        shares: The splits that are cut off the training rows -> their shares, for the remedies.
        notes: What was dropped or is worth a warning, a sentence each.
        brief_notes: The same without the first rows that each is about, for a line of a terminal.
        invalid: The rows that cannot be used.
        splits: Split -> what was found in it.
    """

    settings: DataChecks
    spec: DatasetSpec
    shares: Mapping[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    brief_notes: list[str] = field(default_factory=list)
    invalid: Invalid = field(default_factory=Invalid)
    splits: dict[str, SplitFindings] = field(default_factory=lambda: {split: SplitFindings() for split in SPLITS})
    _seen: dict[bytes, _Seen] = field(default_factory=dict)
    _labels: dict[tuple, tuple] = field(default_factory=dict)

    def watch(self, rows: Stream) -> Iterator[tuple[str, Row]]:
        """Yields the rows that are to be kept, each with its split, and judges them at the end.

        Raises:
            DataError: The data is not fit to be trained on; says all that is wrong with it, each with its remedy.
        """
        yield from self.read(rows)
        self.judge()

    def read(self, rows: Stream) -> Iterator[tuple[str, Row]]:
        """Yields the rows that are to be kept, each with its split, and counts what is found."""
        labels = self.spec.of(LabelFeature)
        for split, row in rows:
            state = self.splits[split]
            if isinstance(row, BadRow):
                state.unusable += 1
                self.invalid.add(row)
                continue
            state.rows += 1
            classes = tuple([row.get(name) for name in labels])
            classes = self._labels.setdefault(classes, classes)  # one object for all rows of these classes
            kind = self._remember((split, getattr(row, "where", state.rows), classes), row)
            if kind and self._check(kind).policy == "drop":
                continue
            yield split, row
            # After the row was taken: whoever writes it refuses a label that is missing or out of range.
            for name in labels:
                state.labels[name][int(row[name])] += 1

    def judge(self) -> None:
        """Notes what was dropped or kept; raises DataError with every cause for which the data is refused."""
        invalid = self._judge_invalid()
        few = self._judge_rows(mending=bool(invalid))
        equal = [cause for kind in ("duplicates", "leakage") for cause in self._judge_equal(kind)]
        causes = [*invalid, *few.values(), *equal, *self._judge_classes(few, mending=bool(invalid))]
        if len(causes) == 1:
            raise DataError("\n".join([f"{self.spec.name}: {causes[0].sentence}", *causes[0].lines(MAX_LINES)[1:]]))
        if causes:
            lines = [f"{self.spec.name}: the data is refused for {len(causes)} reasons:"]
            for number, cause in enumerate(causes, start=1):
                first, *rest = cause.lines(MAX_LINES - len(causes))
                lines += [f"  {number}. {first}", *(f"   {line}" for line in rest)]
            raise DataError("\n".join(lines))

    def _judge_invalid(self) -> list[_Cause]:
        check, invalid = self.settings.invalid, self.invalid
        if not invalid.rows:
            return []
        rows = sum(state.rows + state.unusable for state in self.splits.values())
        share, found = invalid.rows / rows, f"{invalid.rows:,} of {rows:,} rows cannot be used"
        if check.policy == "drop" and share <= check.max_rate:
            self.notes.append(f"{found} (first: {invalid.first[0]}), dropped")
            self.brief_notes.append(f"{found}, dropped")
            return []
        fix = "mend them, or set data.checks.invalid.policy to drop"
        if check.policy == "drop":
            fix = f"at most {check.max_rate:.2%} may be dropped (data.checks.invalid.max_rate)"
        elif share > check.max_rate:
            fix = f"mend them; at most {check.max_rate:.2%} may be dropped (data.checks.invalid)"
        return [_Cause(f"{found}; {fix}:", tuple(invalid.first), invalid.problems)]

    def _judge_rows(self, *, mending: bool) -> dict[str, _Cause]:
        """Returns the splits with too few rows, and why that is wrong.

        With `mending` without those that have enough as soon as the rows that cannot be used are mended.
        """
        least, every = self.settings.min_rows, sum(state.rows + state.unusable for state in self.splits.values())
        causes = {}
        for split, state in self.splits.items():
            if state.rows + (state.unusable if mending else 0) < least:
                found = f"{state.rows} usable row{'s' * (state.rows != 1)}, expected at least {least}"
                remedy = self._remedy(split, "the data has", every, SURE * least)
                causes[split] = _Cause(f"split {split} has {found}; {remedy}.")
        return causes

    def _judge_equal(self, kind: str) -> list[_Cause]:
        """Returns why there are too many rows with one input, in one split or in two; notes those that may be."""
        check, sentences, rest = self._check(kind), [], []
        one, several = "is in another split too", "are in another split too"
        if kind == "duplicates":
            one, several = "is a duplicate", "are duplicates"
        for split, state in self.splits.items():
            finding: Finding = getattr(state, kind)
            may_be = finding.count / max(state.rows, 1) <= check.max_rate and check.policy != "drop"
            if not finding.count or may_be:  # what is dropped is told, be it ever so little
                continue
            what = one if finding.count == 1 else several
            counts = f"{finding.count:,} of {state.rows:,} rows of split {split} {what}"
            text = f"{counts} {finding.told(state.rows)}"
            if check.policy != "stop":
                done = "dropped" if check.policy == "drop" else "kept"
                self.notes.append(f"{text}, {done}")
                self.brief_notes.append(f"{counts} {finding.brief(state.rows)}, {done}")
            elif sentences:
                rest.append(f", {finding.count:,} of {state.rows:,} of {split}")
            else:
                sentences.append(text)
        if not sentences:
            return []
        return [
            _Cause(
                f"{sentences[0]}{''.join(rest)}; at most {check.max_rate:.2%} are allowed. Mend the data, or set "
                f"data.checks.{kind}.policy to drop or warn."
            )
        ]

    def _judge_classes(self, few: Collection[str], *, mending: bool) -> list[_Cause]:
        """Returns which labels have too few classes; not of splits with too `few` rows, or with rows to be mended."""
        causes, least = [], self.settings.min_classes
        for name, feature in self.spec.of(LabelFeature).items():
            every: Counter = sum((state.labels[name] for state in self.splits.values()), Counter())
            for split, state in self.splits.items():
                counts = state.labels[name]
                if len(counts) >= least or split in few or (mending and state.unusable):
                    continue
                only = ", ".join(feature.classes[index] for index in counts)
                absent = Counter({index: rows for index, rows in every.items() if index not in counts})
                remedy = "no row has another"
                if absent:
                    (index, rows), *_ = absent.most_common(1)
                    remedy = self._remedy(split, f"class {feature.classes[index]} has", rows, SURE)
                causes.append(
                    _Cause(
                        f"split {split} has {len(counts)} class in {name} ({only}), expected at least {least}; nothing "
                        f"can be learned from it: {remedy}."
                    )
                )
                if not absent:  # which the other splits need not repeat
                    break
        return causes

    def _remedy(self, split: str, who: str, rows: int, wanted: int) -> str:
        """Returns how a split comes to `wanted` of `rows` rows on average."""
        files = "name files of each split in data.files"
        if not self.shares:
            return f"add rows to split {split}"
        share = max(math.ceil(100 * wanted / max(rows, 1)) / 100, round(self.shares.get(split, 1) + 0.05, 2))
        if share <= MAX_SHARE:
            return f"set data.splits.{split} to {share:g}, it is {self.shares[split]:g} now, or {files}"
        needed = math.ceil(wanted / MAX_SHARE)
        more = f"about {needed} are needed" if rows < needed else "chance left too few in this split"
        return f"{who} {rows} row{'s' * (rows != 1)} in all, {more}; add some, or {files}"

    def _remember(self, seen: _Seen, row: Row) -> str | None:
        """Returns which check finds this row; None for one that was not seen before."""
        earlier = self._seen.setdefault(_input_digest(row, self.spec), seen)
        if earlier is seen:
            return None
        kind = "duplicates" if earlier[0] == seen[0] else "leakage"
        finding: Finding = getattr(self.splits[seen[0]], kind)
        finding.count += 1
        finding.first = finding.first or f"{_named(seen)} equals {_named(earlier)}"
        if seen[2] != earlier[2]:
            finding.relabelled += 1
            classes, others = self._classes(seen), self._classes(earlier)
            finding.first_relabelled = (
                finding.first_relabelled or f"{_named(seen)} ({classes}) equals {_named(earlier)} ({others})"
            )
        return kind

    def _classes(self, seen: _Seen) -> str:
        """Returns the names of a row's classes; an index that is none, which its writer refuses, as it is."""
        features = self.spec.of(LabelFeature).values()
        return ", ".join(
            feature.classes[index] if index in range(len(feature.classes)) else str(index)
            for feature, index in zip(features, seen[2], strict=True)
        )

    def _check(self, kind: str) -> Check:
        return getattr(self.settings, kind) or Check()


def _named(seen: _Seen) -> str:
    """Returns a row's place in words: the file and row, or a number within its split."""
    split, place, _ = seen
    return place if isinstance(place, str) else f"{split} row {place}"


def _input_digest(row: Row, spec: DatasetSpec) -> bytes:
    """Returns 16 bytes that depend on all features of a row but its targets."""
    digest = hashlib.blake2b(digest_size=16)
    for name, feature in spec.features.items():
        if not feature.target and name in row:
            value = row[name]
            content = np.ascontiguousarray(value).tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
            # With its name and length: {a: 1} is not {b: 1}, and 1.0 before 23.0 is not 1.02 before 3.0.
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.digest()
