"""Checks of rows as they are read: unusable and too few rows, duplicates, rows in two splits, classes,
values that become one when they are stored."""

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from data.checks.findings import Empty, Finding, Invalid, Pair, SplitFindings
from data.checks.loss import Loss
from data.checks.remedies import settings_for
from data.checks.seen import Seen
from data.columnar.batches import SPLIT_INDEX, Batch
from data.config import Check, DataChecks
from data.errors import DataError
from data.spec import SPLITS, DatasetSpec, LabelFeature

MAX_LINES = 10  # of a refusal
SURE = 3  # expected rows of a kind in a split, so that it has at least one with a probability of 95 %
BLOCK_ROWS = 2**16  # rows that are searched together
MAX_SHARE = 0.3  # largest share of the rows that a message suggests for validation or test


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


@dataclass
class RowChecks:
    """Checks the rows of all splits; an accumulator.

    Keeps at most 24 bytes of a row that has no name and no group; see `Seen`.

    Attributes:
        settings: What is checked.
        spec: What the rows hold.
        shares: The splits that are cut off the training rows -> their shares, for the remedies.
        group: The column whose equal values may not lie in two splits; empty for none.
        notes: What was dropped or is worth a warning, a sentence each.
        brief_notes: `notes` without the examples of rows, for a line of a terminal.
        invalid: The rows that cannot be used.
        empty: The rows without a value in any input.
        splits: Split -> its counts and findings.
    """

    settings: DataChecks
    spec: DatasetSpec
    shares: Mapping[str, float] = field(default_factory=dict)
    group: str = ""
    notes: list[str] = field(default_factory=list)
    brief_notes: list[str] = field(default_factory=list)
    invalid: Invalid = field(default_factory=Invalid)
    empty: Empty = field(default_factory=Empty)
    splits: dict[str, SplitFindings] = field(default_factory=lambda: {split: SplitFindings() for split in SPLITS})
    _dropped: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self):
        self._inputs = [name for name, feature in self.spec.features.items() if not feature.target]
        self._seen, self._loss = Seen(self.spec, with_groups=bool(self.group)), Loss(self.spec)

    def add(self, batch: Batch) -> None:
        """Counts the rows of a batch, usable or not, and remembers the usable ones."""
        for split, problems in batch.problems:
            self.splits[split].unusable += 1
            self.invalid.add(problems)
        for split, rows in zip(SPLITS, np.bincount(batch.splits, minlength=len(SPLITS)), strict=True):
            self.splits[split].rows += int(rows)
        self.empty.add(batch, self._inputs)
        self._seen.add(batch)
        self._loss.add(batch.distinct)

    def merge(self, other: "RowChecks") -> None:
        """Adds the rows of another, which come after its own."""
        for split, state in self.splits.items():
            state.rows += other.splits[split].rows
            state.unusable += other.splits[split].unusable
        self.invalid.merge(other.invalid)
        self.empty.merge(other.empty)
        self._seen.merge(other._seen)
        self._loss.merge(other._loss)

    def find(self) -> None:
        """Finds the duplicates and what lies in two splits, and counts the classes of the rows that are kept."""
        splits, classes = self._seen.splits(), self._seen.classes()
        self._dropped = np.zeros(len(splits), bool)
        for state in self.splits.values():
            state.duplicates, state.leakage, state.groups = Finding(), Finding(), Finding()
            state.left_out = Counter()
        for later, earlier in self._seen.equal_inputs():
            leaks = splits[later] != splits[earlier]
            relabelled = (classes[later] != classes[earlier]).any(axis=1)
            for kind, chosen in (("duplicates", ~leaks), ("leakage", leaks)):
                self._count(kind, splits, (later[chosen], earlier[chosen], relabelled[chosen]))
        for later, earlier in self._seen.equal_groups() if self.group else ():
            leaks = splits[later] != splits[earlier]
            self._count("groups", splits, (later[leaks], earlier[leaks], np.zeros(leaks.sum(), bool)))
        for state in self.splits.values():
            for finding in (state.duplicates, state.leakage):
                finding.name(lambda pair: self._equals(pair), lambda pair: self._equals(pair, classes))
            state.groups.name(lambda pair: f"{self._seen.where(pair[0])} has that of {self._seen.where(pair[1])}", str)
        self._count_classes(splits, classes)

    def dropped(self) -> dict[str, np.ndarray]:
        """Returns, after `find` or `judge`, which rows are to be left out because the policy of a check is drop.

        Split -> bool `(rows,)`, its usable rows in order of arrival; without splits that keep all rows.
        """
        splits = self._seen.splits()
        masks = {split: self._dropped[splits == SPLIT_INDEX[split]] for split in SPLITS}
        return {split: mask for split, mask in masks.items() if mask.any()}

    def judge(self) -> None:
        """Notes what was dropped or kept.

        Raises:
            DataError: The data is not fit to be trained on; says all that is wrong with it, each with its remedy.
        """
        self.find()
        invalid = self._judge_invalid()
        if self.empty.count:
            self._note(*self.empty.note(sum(state.rows for state in self.splits.values())))
        few = self._judge_rows(mending=bool(invalid))
        equal = [cause for kind in ("duplicates", "leakage", "groups") for cause in self._judge_equal(kind)]
        lost = [_Cause(str(merged)) for merged in self._loss.result()]
        causes = [*invalid, *few.values(), *lost, *equal, *self._judge_classes(few, mending=bool(invalid))]
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
        share, summary = invalid.rows / rows, f"{invalid.rows:,} of {rows:,} rows cannot be used"
        if check.policy == "drop" and share <= check.max_rate:
            self._note(f"{summary} (first: {invalid.first[0]}), dropped", f"{summary}, dropped")
            return []
        settings = settings_for(invalid.counts, self.spec)
        remedy = f"mend them{', or set ' * bool(settings)}{' and '.join(settings)}"
        fix = f"{remedy}, or set data.checks.invalid.policy to drop"
        if check.policy == "drop":
            fix = f"at most {check.max_rate:.2%} may be dropped (data.checks.invalid.max_rate)"
            fix = f"{remedy}; {fix}" if settings else fix
        elif share > check.max_rate:
            fix = f"{remedy}; at most {check.max_rate:.2%} may be dropped (data.checks.invalid)"
        return [_Cause(f"{summary}; {fix}:", tuple(invalid.first), invalid.problems)]

    def _judge_rows(self, *, mending: bool) -> dict[str, _Cause]:
        """Returns the splits of which too few rows are kept, and why that is wrong.

        With `mending` without those that have enough as soon as the rows that cannot be used are mended.
        """
        least, num_rows = self.settings.min_rows, sum(state.rows + state.unusable for state in self.splits.values())
        causes = {}
        for split, state in self.splits.items():
            if state.kept + (state.unusable if mending else 0) < least:
                summary = f"{state.kept} usable row{'s' * (state.kept != 1)}, expected at least {least}"
                remedy = self._remedy(split, "the data has", num_rows, SURE * least)
                if state.rows >= least:
                    remedy = self._why_left_out(split)
                causes[split] = _Cause(f"split {split} has {summary}; {remedy}.")
        return causes

    def _judge_equal(self, kind: str) -> list[_Cause]:
        """Returns why there are too many rows that equal an earlier one; notes those that may be.

        `kind` is duplicates: in inputs, within a split; leakage: in inputs, of another split; groups: in their group.
        """
        check, sentences, other_splits = self._check(kind), [], []
        for split, state in self.splits.items():
            finding: Finding = getattr(state, kind)
            counts = f"{finding.count:,} of {state.rows:,} rows of split {split} {self._predicate(kind, finding.count)}"
            if not finding.count:
                continue
            if finding.count / state.rows <= check.max_rate and check.policy != "drop":  # what is dropped is told
                self._note_relabelled(kind, split)
            elif check.policy != "stop":
                done = "dropped" if check.policy == "drop" else "kept"
                self._note(
                    f"{counts} {finding.details(state.rows)}, {done}", f"{counts} {finding.brief(state.rows)}, {done}"
                )
            elif sentences:
                other_splits.append(f", {finding.count:,} of {state.rows:,} of {split}")
            else:
                sentences.append(f"{counts} {finding.details(state.rows)}")
        if not sentences:
            return []
        fix = "Mend the data, or set data.checks.{kind}.policy to drop or warn."
        if kind == "groups":
            fix = (
                "Name files of splits that share none, or set data.checks.leakage.policy to drop, which leaves these "
                "rows out, or to warn."
            )
        summary = f"{sentences[0]}{''.join(other_splits)}; at most {check.max_rate:.2%} are allowed"
        return [_Cause(f"{summary}. {fix.format(kind=kind)}")]

    def _note_relabelled(self, kind: str, split: str) -> None:
        """Notes the rows with another label than their equals, however few they are."""
        state = self.splits[split]
        finding: Finding = getattr(state, kind)
        if finding.relabelled:
            what = f"{self._predicate(kind, finding.relabelled)}, with another label"
            counts = f"{finding.relabelled:,} of {state.rows:,} rows of split {split} {what}"
            share = f"{finding.relabelled / state.rows:.2%}"
            self._note(f"{counts} ({share}, first: {finding.first_relabelled}), kept", f"{counts} ({share}), kept")

    def _predicate(self, kind: str, rows: int) -> str:
        """Returns the predicate of a sentence about so many rows, such as `are duplicates`."""
        is_one = rows == 1
        if kind == "duplicates":
            return "is a duplicate" if is_one else "are duplicates"
        if kind == "leakage":
            return f"{'is' if is_one else 'are'} in another split too"
        return f"{'has' if is_one else 'have'} a {self.group} that is in another split too"

    def _note(self, sentence: str, brief: str) -> None:
        self.notes.append(sentence)
        self.brief_notes.append(brief)

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
                if len(state.read_labels[name]) >= least:
                    remedy = self._why_left_out(split)
                elif absent:
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

    def _why_left_out(self, split: str) -> str:
        """Returns why most of the rows of a split that are left out are, and how to keep them."""
        state = self.splits[split]
        (kind, rows), *_ = state.left_out.most_common(1)
        check = "leakage" if kind == "groups" else kind
        mend = "mend the data" if kind == "duplicates" else "name files of splits that share none"
        return (
            f"{rows:,} of {state.rows:,} rows of split {split} {self._predicate(kind, rows)} and were left out "
            f"(data.checks.{check}.policy is drop); {mend}, or set that to warn"
        )

    def _remedy(self, split: str, who: str, rows: int, wanted: int) -> str:
        """Returns the remedy by which a split gets `wanted` of `rows` rows on average; `who` begins the sentence."""
        files = "name files of each split in data.files"
        if not self.shares:
            return f"add rows to split {split}"
        groups = self._seen.num_groups() if self.group else math.inf
        if groups * MAX_SHARE < SURE:
            several = f"{groups} group{'s' * (groups != 1)} of {self.group} for {len(self.shares) + 1} splits"
            needed = math.ceil(SURE / MAX_SHARE)
            return f"{several} are too few, about {needed} are needed; group by another column, or {files}"
        if groups < rows:
            rows, wanted = int(groups), SURE
        share = max(math.ceil(100 * wanted / max(rows, 1)) / 100, round(self.shares.get(split, 1) + 0.05, 2))
        if share <= MAX_SHARE:
            return f"set data.splits.{split} to {share:g}, it is {self.shares[split]:g} now, or {files}"
        splits = len(self.shares) + 1
        if not self.group and rows < splits:  # of a rare class each split gets its share
            return f"{who} {rows} row{'s' * (rows != 1)} in all, {splits} are needed; add some, or {files}"
        needed = math.ceil(wanted / MAX_SHARE)
        more = f"about {needed} are needed" if rows < needed else "chance left too few in this split"
        return f"{who} {rows} row{'s' * (rows != 1)} in all, {more}; add some, or {files}"

    def _count(self, kind: str, splits: np.ndarray, rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        """Counts rows that a check found, each with an earlier one and whether its label differs, by their splits."""
        later, earlier, relabelled = rows
        for split, state in self.splits.items():
            of_split = splits[later] == SPLIT_INDEX[split]
            finding: Finding = getattr(state, kind)
            finding.add(later[of_split], earlier[of_split], relabelled[of_split])
            if kind == "groups":
                finding.groups += len(np.unique(earlier[of_split]))
        if self._check(kind).policy == "drop":
            fresh = np.unique(later[~self._dropped[later]])
            self._dropped[fresh] = True
            for split, state in self.splits.items():
                state.left_out[kind] += int((splits[fresh] == SPLIT_INDEX[split]).sum())

    def _equals(self, pair: Pair, classes: np.ndarray | None = None) -> str:
        """Returns the phrase `ROW equals ROW`, with the classes of both where these are given."""
        rows = [self._seen.where(row) for row in pair]
        if classes is not None:
            rows = [f"{name} ({self._class_names(classes[row])})" for name, row in zip(rows, pair, strict=True)]
        return " equals ".join(rows)

    def _class_names(self, classes: np.ndarray) -> str:
        """Returns the names of a row's classes."""
        labels = self.spec.of(LabelFeature).values()
        return ", ".join([*label.classes, "none"][index] for label, index in zip(labels, classes, strict=True))

    def _count_classes(self, splits: np.ndarray, classes: np.ndarray) -> None:
        """Counts the classes of all rows, and of those that are kept."""
        for split, state in self.splits.items():
            of_split = splits == SPLIT_INDEX[split]
            for index, (name, feature) in enumerate(self.spec.of(LabelFeature).items()):
                of_label = classes[:, index]
                has_class = of_split & (of_label < len(feature.classes))
                state.read_labels[name] = _in_order(of_label[has_class])
                state.labels[name] = _in_order(of_label[has_class & ~self._dropped])

    def _check(self, kind: str) -> Check:
        return getattr(self.settings, "leakage" if kind == "groups" else kind) or Check()


def _in_order(values: np.ndarray) -> Counter:
    """Returns how often each of unsigned `(rows,)` occurs, in order of first occurrence."""
    counts = np.bincount(values, minlength=1)
    ordered: Counter = Counter()
    for begin in range(0, len(values), BLOCK_ROWS):
        if len(ordered) == np.count_nonzero(counts):
            break
        values_of_block, first = np.unique(values[begin : begin + BLOCK_ROWS], return_index=True)
        for value in values_of_block[first.argsort()].tolist():
            ordered[value] = int(counts[value])
    return ordered
