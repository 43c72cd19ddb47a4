"""Checks of rows while they are read: unusable rows, too few rows or classes, duplicates, leakage between splits,
numbers that become equal when they are stored."""

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from data.checks.findings import EmptyRows, Finding, InvalidRows, Pair, SplitFindings
from data.checks.loss import PrecisionLoss
from data.checks.remedies import settings_for
from data.checks.seen import SeenRows
from data.checks.weights import problems as problems_of_weights
from data.columnar.batches import SPLIT_INDEX, Batch
from data.config import Check, DataChecks
from data.errors import DataError
from data.spec import SPLITS, DatasetSpec, LabelFeature

MAX_LINES = 10  # of a refusal
MIN_EXPECTED_ROWS = 3  # expected number of rows at which a split has at least one with a probability of 95 %
BLOCK_ROWS = 2**16  # rows that are searched in one call
MAX_SHARE = 0.3  # largest share of the rows that a message suggests for validation or test


@dataclass(frozen=True)
class _Cause:
    """Why data is refused, with the remedy; `problems` are the first of the `num_problems` unusable cells."""

    sentence: str
    problems: tuple[str, ...] = ()
    num_problems: int = 0

    def lines(self, max_lines: int) -> list[str]:
        """Returns the sentence and as many problems as fit into `max_lines` lines."""
        shown = self.problems if self.num_problems < max_lines else self.problems[: max(max_lines - 2, 1)]
        num_hidden = self.num_problems - len(shown)
        return [
            self.sentence,
            *(f"  {problem}" for problem in shown),
            *([f"  and {num_hidden:,} more"] if num_hidden else []),
        ]


@dataclass
class RowChecks:
    """Checks the rows of all splits; an accumulator.

    Keeps at most 24 bytes of a row that has no name, no group and no weight; see `SeenRows`.

    Attributes:
        settings: Section `data.checks` of the run file.
        spec: Features of the rows.
        shares: The splits that are cut from the training rows -> their shares, for the remedies.
        group: The column whose equal values may not be in two splits; empty for none.
        notes: Warnings and reports of dropped rows, a sentence each.
        brief_notes: `notes` without the examples of rows, for a line of a terminal.
        invalid: The unusable rows.
        empty: The rows without a value in any input.
        splits: Split -> its counts and findings.
    """

    settings: DataChecks
    spec: DatasetSpec
    shares: Mapping[str, float] = field(default_factory=dict)
    group: str = ""
    notes: list[str] = field(default_factory=list)
    brief_notes: list[str] = field(default_factory=list)
    invalid: InvalidRows = field(default_factory=InvalidRows)
    empty: EmptyRows = field(default_factory=EmptyRows)
    splits: dict[str, SplitFindings] = field(default_factory=lambda: {split: SplitFindings() for split in SPLITS})
    _dropped: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    _weights: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self):
        self._inputs = [name for name, feature in self.spec.features.items() if not feature.target]
        self._seen, self._loss = SeenRows(self.spec, with_groups=bool(self.group)), PrecisionLoss(self.spec)

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
        if batch.weights is not None:
            self._weights.append(batch.weights.to_numpy())

    def merge(self, other: "RowChecks") -> None:
        """Adds the rows of another, which come after its own."""
        for split, state in self.splits.items():
            state.rows += other.splits[split].rows
            state.unusable += other.splits[split].unusable
        self.invalid.merge(other.invalid)
        self.empty.merge(other.empty)
        self._seen.merge(other._seen)
        self._loss.merge(other._loss)
        self._weights += other._weights

    def find(self) -> None:
        """Finds duplicates and rows or groups in two splits, and counts the classes of the rows that are kept."""
        splits, classes = self._seen.splits(), self._seen.classes()
        self._dropped = np.zeros(len(splits), bool)
        for state in self.splits.values():
            state.duplicates, state.leakage, state.groups = Finding(), Finding(), Finding()
            state.left_out = Counter()
        for later, earlier in self._seen.equal_inputs():
            is_leak = splits[later] != splits[earlier]
            relabelled = (classes[later] != classes[earlier]).any(axis=1)
            for kind, is_of_kind in (("duplicates", ~is_leak), ("leakage", is_leak)):
                self._count(kind, splits, (later[is_of_kind], earlier[is_of_kind], relabelled[is_of_kind]))
        for later, earlier in self._seen.equal_groups() if self.group else ():
            is_leak = splits[later] != splits[earlier]
            self._count("groups", splits, (later[is_leak], earlier[is_leak], np.zeros(is_leak.sum(), bool)))
        for state in self.splits.values():
            for finding in (state.duplicates, state.leakage):
                finding.set_examples(lambda pair: self._equals(pair), lambda pair: self._equals(pair, classes))
            state.groups.set_examples(
                lambda pair: f"{self._seen.where(pair[0])} has that of {self._seen.where(pair[1])}", str
            )
        self._count_classes(splits, classes)

    def dropped(self) -> dict[str, np.ndarray]:
        """Returns the rows to leave out because the policy of a check is drop; call it after `find` or `judge`.

        Split -> bool `(rows,)`, over its usable rows in order of arrival; without splits that keep all rows.
        """
        splits = self._seen.splits()
        masks = {split: self._dropped[splits == SPLIT_INDEX[split]] for split in SPLITS}
        return {split: mask for split, mask in masks.items() if mask.any()}

    def judge(self) -> None:
        """Judges all rows, and notes how many were dropped, or kept with a warning.

        Raises:
            DataError: The data must not be trained on; the message has all reasons, each with its remedy.
        """
        self.find()
        invalid = self._judge_invalid()
        if self.empty.count:
            self._note(*self.empty.note(sum(state.rows for state in self.splits.values())))
        small_splits = self._judge_rows(assume_mended=bool(invalid))
        equality_causes = [cause for kind in ("duplicates", "leakage", "groups") for cause in self._judge_equal(kind)]
        precision_causes = [_Cause(str(merged)) for merged in self._loss.result()]
        causes = [
            *invalid,
            *small_splits.values(),
            *precision_causes,
            *equality_causes,
            *self._judge_classes(small_splits, assume_mended=bool(invalid)),
            *self._judge_weights(),
        ]
        if len(causes) == 1:
            raise DataError("\n".join([f"{self.spec.name}: {causes[0].sentence}", *causes[0].lines(MAX_LINES)[1:]]))
        if causes:
            lines = [f"{self.spec.name}: the data is refused for {len(causes)} reasons:"]
            for position, cause in enumerate(causes, start=1):
                first_line, *other_lines = cause.lines(MAX_LINES - len(causes))
                lines += [f"  {position}. {first_line}", *(f"   {line}" for line in other_lines)]
            raise DataError("\n".join(lines))

    def _judge_weights(self) -> list[_Cause]:
        """Returns the causes of splits of which too few of the rows that are kept have a weight above 0."""
        if not self._weights or not self.spec.weight_column:
            return []
        kept, labels = ~self._dropped, list(self.spec.of(LabelFeature))
        splits, classes = self._seen.splits()[kept], self._seen.classes()[kept]
        weights, column = np.concatenate(self._weights)[kept], self.spec.weight_column
        return list(map(_Cause, problems_of_weights(weights, splits, classes, column=column, labels=labels)))

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

    def _judge_rows(self, *, assume_mended: bool) -> dict[str, _Cause]:
        """Returns the splits with too few kept rows, each with its cause.

        With `assume_mended` unusable rows count as kept: they are a cause of their own.
        """
        min_rows, num_rows = self.settings.min_rows, sum(state.rows + state.unusable for state in self.splits.values())
        causes = {}
        for split, state in self.splits.items():
            if state.kept + (state.unusable if assume_mended else 0) < min_rows:
                summary = f"{state.kept} usable row{'s' * (state.kept != 1)}, expected at least {min_rows}"
                remedy = self._remedy(split, "the data has", num_rows, MIN_EXPECTED_ROWS * min_rows)
                if state.rows >= min_rows:
                    remedy = self._left_out_remedy(split)
                causes[split] = _Cause(f"split {split} has {summary}; {remedy}.")
        return causes

    def _judge_equal(self, kind: str) -> list[_Cause]:
        """Returns the cause where too many rows equal an earlier one; notes rows that are allowed.

        `kind` is duplicates: equal inputs within a split; leakage: equal inputs in two splits; groups: equal groups in
        two splits.
        """
        check, sentences, further_splits = self._check(kind), [], []
        for split, state in self.splits.items():
            finding: Finding = getattr(state, kind)
            counts = f"{finding.count:,} of {state.rows:,} rows of split {split} {self._predicate(kind, finding.count)}"
            if not finding.count:
                continue
            if finding.count / state.rows <= check.max_rate and check.policy != "drop":  # dropped rows are always noted
                self._note_relabelled(kind, split)
            elif check.policy != "stop":
                outcome = "dropped" if check.policy == "drop" else "kept"
                self._note(
                    f"{counts} {finding.details(state.rows)}, {outcome}",
                    f"{counts} {finding.brief(state.rows)}, {outcome}",
                )
            elif sentences:
                further_splits.append(f", {finding.count:,} of {state.rows:,} of {split}")
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
        summary = f"{sentences[0]}{''.join(further_splits)}; at most {check.max_rate:.2%} are allowed"
        return [_Cause(f"{summary}. {fix.format(kind=kind)}")]

    def _note_relabelled(self, kind: str, split: str) -> None:
        """Notes the rows whose label differs from that of the equal row, however few they are."""
        state = self.splits[split]
        finding: Finding = getattr(state, kind)
        if finding.relabelled:
            predicate = f"{self._predicate(kind, finding.relabelled)}, with another label"
            counts = f"{finding.relabelled:,} of {state.rows:,} rows of split {split} {predicate}"
            share = f"{finding.relabelled / state.rows:.2%}"
            self._note(f"{counts} ({share}, first: {finding.first_relabelled}), kept", f"{counts} ({share}), kept")

    def _predicate(self, kind: str, rows: int) -> str:
        """Returns the predicate of a sentence about `rows` rows, such as `are duplicates`."""
        is_singular = rows == 1
        if kind == "duplicates":
            return "is a duplicate" if is_singular else "are duplicates"
        if kind == "leakage":
            return f"{'is' if is_singular else 'are'} in another split too"
        return f"{'has' if is_singular else 'have'} a {self.group} that is in another split too"

    def _note(self, sentence: str, brief: str) -> None:
        self.notes.append(sentence)
        self.brief_notes.append(brief)

    def _judge_classes(self, small_splits: Collection[str], *, assume_mended: bool) -> list[_Cause]:
        """Returns the causes of labels with too few classes; not in `small_splits`, nor in those with rows to mend."""
        causes, min_classes = [], self.settings.min_classes
        for name, feature in self.spec.of(LabelFeature).items():
            total: Counter = sum((state.labels[name] for state in self.splits.values()), Counter())
            for split, state in self.splits.items():
                counts = state.labels[name]
                if len(counts) >= min_classes or split in small_splits or (assume_mended and state.unusable):
                    continue
                class_names = ", ".join(feature.classes[index] for index in counts)
                absent = Counter({index: rows for index, rows in total.items() if index not in counts})
                remedy = "no row has another"
                if len(state.read_labels[name]) >= min_classes:
                    remedy = self._left_out_remedy(split)
                elif absent:
                    (index, rows), *_ = absent.most_common(1)
                    remedy = self._remedy(split, f"class {feature.classes[index]} has", rows, MIN_EXPECTED_ROWS)
                causes.append(
                    _Cause(
                        f"split {split} has {len(counts)} class in {name} ({class_names}), expected at least "
                        f"{min_classes}; nothing can be learned from it: {remedy}."
                    )
                )
                if not absent:  # the other splits lack it, too: one message is enough
                    break
        return causes

    def _left_out_remedy(self, split: str) -> str:
        """Returns the main reason why rows of a split were left out, and how to keep them."""
        state = self.splits[split]
        (kind, rows), *_ = state.left_out.most_common(1)
        check = "leakage" if kind == "groups" else kind
        fix = "mend the data" if kind == "duplicates" else "name files of splits that share none"
        return (
            f"{rows:,} of {state.rows:,} rows of split {split} {self._predicate(kind, rows)} and were left out "
            f"(data.checks.{check}.policy is drop); {fix}, or set that to warn"
        )

    def _remedy(self, split: str, subject: str, rows: int, target_rows: int) -> str:
        """Returns the remedy by which a split gets `target_rows` of `rows` rows on average.

        `subject` begins the sentence, such as `the data has`.
        """
        files = "name files of each split in data.files"
        if not self.shares:
            return f"add rows to split {split}"
        num_groups = self._seen.num_groups() if self.group else math.inf
        if num_groups * MAX_SHARE < MIN_EXPECTED_ROWS:
            summary = f"{num_groups} group{'s' * (num_groups != 1)} of {self.group} for {len(self.shares) + 1} splits"
            needed = math.ceil(MIN_EXPECTED_ROWS / MAX_SHARE)
            return f"{summary} are too few, about {needed} are needed; group by another column, or {files}"
        if num_groups < rows:
            rows, target_rows = int(num_groups), MIN_EXPECTED_ROWS
        share = max(math.ceil(100 * target_rows / max(rows, 1)) / 100, round(self.shares.get(split, 1) + 0.05, 2))
        if share <= MAX_SHARE:
            return f"set data.splits.{split} to {share:g}, it is {self.shares[split]:g} now, or {files}"
        splits = len(self.shares) + 1
        if not self.group and rows < splits:  # of a rare class each split gets its share
            return f"{subject} {rows} row{'s' * (rows != 1)} in all, {splits} are needed; add some, or {files}"
        needed = math.ceil(target_rows / MAX_SHARE)
        explanation = f"about {needed} are needed" if rows < needed else "chance left too few in this split"
        return f"{subject} {rows} row{'s' * (rows != 1)} in all, {explanation}; add some, or {files}"

    def _count(self, kind: str, splits: np.ndarray, rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        """Counts the rows that a check found by split: row, earlier row, whether labels differ; each `(pairs,)`."""
        later, earlier, relabelled = rows
        for split, state in self.splits.items():
            is_in_split = splits[later] == SPLIT_INDEX[split]
            finding: Finding = getattr(state, kind)
            finding.add(later[is_in_split], earlier[is_in_split], relabelled[is_in_split])
            if kind == "groups":
                finding.groups += len(np.unique(earlier[is_in_split]))
        if self._check(kind).policy == "drop":
            newly_dropped = np.unique(later[~self._dropped[later]])
            self._dropped[newly_dropped] = True
            for split, state in self.splits.items():
                state.left_out[kind] += int((splits[newly_dropped] == SPLIT_INDEX[split]).sum())

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
            is_in_split = splits == SPLIT_INDEX[split]
            for index, (name, feature) in enumerate(self.spec.of(LabelFeature).items()):
                class_indices = classes[:, index]
                has_class = is_in_split & (class_indices < len(feature.classes))
                state.read_labels[name] = _count_in_order(class_indices[has_class])
                state.labels[name] = _count_in_order(class_indices[has_class & ~self._dropped])

    def _check(self, kind: str) -> Check:
        return getattr(self.settings, "leakage" if kind == "groups" else kind) or Check()


def _count_in_order(values: np.ndarray) -> Counter:
    """Returns value -> number of its occurrences, in order of first occurrence; `values` are unsigned `(rows,)`."""
    counts = np.bincount(values, minlength=1)
    ordered: Counter = Counter()
    for begin in range(0, len(values), BLOCK_ROWS):
        if len(ordered) == np.count_nonzero(counts):
            break
        values_of_block, first = np.unique(values[begin : begin + BLOCK_ROWS], return_index=True)
        for value in values_of_block[first.argsort()].tolist():
            ordered[value] = int(counts[value])
    return ordered
