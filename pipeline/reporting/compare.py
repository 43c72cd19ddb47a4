"""How runs differ: in settings, data, metrics with intervals, slices and cost. Loads no TensorFlow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from components.artifact_files import OVERALL
from data.checks.profile import kolmogorov_smirnov, quantiles
from data.columnar.splitting import agree
from data.errors import ConfigError, HeadraceError
from data.spec import SPLITS
from data.texts import span
from models.evaluation.comparison import Interval, paired_interval
from models.evaluation.intervals import of_difference
from models.evaluation.metrics import Metric
from models.evaluation.names import of_slices, shown
from pipeline.core.config.settings import schema_class
from pipeline.core.paths import PipelinePaths
from pipeline.history.record import RunRecord
from pipeline.reporting.facts import Facts, gather
from pipeline.reporting.formatting import Measured, difference, flat, number

DIGEST_LENGTH = 64  # of a split, see components.example_gen
MIN_DISTANCE = 0.05  # of two distributions, to be worth a line
ABSENT = "–"  # noqa: RUF001 - what stands where a run has no such setting


@dataclass(frozen=True)
class Delta:
    """A value of one run beside that of the first.

    Attributes:
        value: This run's; None where it has none.
        difference: To the first run's.
        low: Lower end of the difference's 95 % interval; None where it is not known.
        high: Upper end.
        paired: Whether both runs were asked about the same rows.
        interval: The ends of the 95 % interval of the value itself; None where it is not known.
    """

    value: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    paired: bool = False
    interval: Sequence[float] | None = None

    @property
    def ends(self) -> tuple[float, float] | None:
        """The ends of the difference's interval."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def measured_difference(self) -> Measured:
        """The difference with its interval."""
        return Measured(self.difference, self.ends)

    @property
    def moved(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    def words(self) -> str:
        """Returns it in a few words, such as `0.942 (+0.021, +0.005 to +0.037)`."""
        if self.value is None:
            return ABSENT
        value = number(self.value, self.interval)
        if self.difference is None:
            return value
        known = f", {span(self.ends, '+')}" if self.ends else ""
        return f"{value} ({difference(self.difference, self.ends)}{known})"


@dataclass
class Comparison:
    """How runs differ; every list has a value for each run, in their order.

    Attributes:
        runs: The runs, the first being what the others are held against.
        settings: Dotted name -> values, where they differ.
        data: What of the data -> values, where they differ.
        environment: Package, machine or commit -> values, where they differ.
        metrics: Metric -> the runs' values on their test splits.
        slices: Slice -> the runs' values of `slice_metric`, where one has moved.
        slice_metric: What slices are compared by.
        steady_slices: How many slices have not moved.
        unknown_slices: Of how many nothing is known, as of a run of an older release, which stored no intervals.
        gone_slices: Those of the first run that no other has.
        new_slices: Those that the first run has not.
        cost: What it took -> values.
        histories: Run -> metric -> its value after each epoch of the training.
        notes: What could not be compared, a sentence each.
    """

    runs: list[RunRecord]
    settings: dict[str, list[Any]] = field(default_factory=dict)
    data: dict[str, list[Any]] = field(default_factory=dict)
    environment: dict[str, list[Any]] = field(default_factory=dict)
    metrics: dict[str, list[Delta]] = field(default_factory=dict)
    slices: dict[str, list[Delta]] = field(default_factory=dict)
    slice_metric: str = ""
    steady_slices: int = 0
    unknown_slices: int = 0
    gone_slices: list[str] = field(default_factory=list)
    new_slices: list[str] = field(default_factory=list)
    cost: dict[str, list[float]] = field(default_factory=dict)
    histories: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def costs_in_words(self) -> dict[str, list[str]]:
        """The cost as it is written for people."""
        return {name: list(map(number, values)) for name, values in self.cost.items()}


def compare(home: Path, runs: list[RunRecord]) -> Comparison:
    """Returns how runs differ from the first of them.

    Raises:
        ConfigError: There are fewer than two, or one twice.
    """
    if len(runs) < 2 or len({run.run for run in runs}) < len(runs):
        raise ConfigError(f"Two or more different runs are compared; given {', '.join(run.run for run in runs)}.")
    facts = [gather(PipelinePaths.of(home, run.pipeline), run) for run in runs]
    found = Comparison(runs)
    found.settings = _settings(runs)
    found.data = _data(runs, facts)
    found.environment = _differing([{**run.packages, **run.machine, "commit": run.commit} for run in runs])
    _add_metrics(found, facts)
    _add_slices(found, facts)
    found.cost = {
        "wall seconds": [run.seconds for run in runs],
        "CPU seconds": [run.cpu_seconds for run in runs],
        "peak MiB": [run.peak_mib for run in runs],
        "MiB written": [run.disk_mib for run in runs],
    }
    found.histories = {run.run: one.training.get("history", {}) for run, one in zip(runs, facts, strict=True)}
    found.notes = [f"{run.run}: {line}" for run, one in zip(runs, facts, strict=True) for line in one.missing]
    found.notes += [
        f"{run.run}: its splits follow another rule than those of {runs[0].run}"
        for run, one in zip(runs[1:], facts[1:], strict=True)
        if _split_otherwise(facts[0], one)
    ]
    return found


def _settings(runs: list[RunRecord]) -> dict[str, list[Any]]:
    """Returns the settings that differ; one that a release did not have yet is as good as its default."""
    set_by_hand = [_not_default(run) for run in runs]
    return {
        name: row
        for name, row in _differing([dict(flat(run.settings)) for run in runs]).items()
        if ABSENT not in row
        or any(
            value != ABSENT and (names is None or name in names) for value, names in zip(row, set_by_hand, strict=True)
        )
    }


def _not_default(run: RunRecord) -> set[str] | None:
    """Returns the settings of a run that are not at their defaults; None where another release's are not known."""
    try:
        config = schema_class(run.settings["task"]).model_validate(run.settings)
    except (ValueError, KeyError, HeadraceError):
        return None
    return {name for name, _ in flat(config.model_dump(mode="json", exclude_defaults=True))}


def _split_otherwise(before: Facts, after: Facts) -> bool:
    """Whether the rows of two runs found their splits by rules that are not the same, as far as that is known.

    Where each split has the same rows it does not matter.
    """
    if before.digests and before.digests == after.digests:
        return False
    if before.split_rule and after.split_rule:
        return not agree(before.split_rule, after.split_rule)
    known = before.split_rule or after.split_rule
    # An older release wrote none down. Splits of a publisher have been the same at all times.
    return known is not None and "data" not in known and before.digests.get("test") != after.digests.get("test")


def _differing(values: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = sorted({name for one in values for name in one})
    rows = {name: [one.get(name, ABSENT) for one in values] for name in names}
    return {name: row for name, row in rows.items() if any(value != row[0] for value in row)}


# --- data -----------------------------------------------------------------------------------------------------------


def _data(runs: list[RunRecord], facts: list[Facts]) -> dict[str, list[Any]]:
    told = [
        {
            "content": run.data_digest,
            **{f"{split} rows": rows for split, rows in one.rows.items()},
            **{f"{split} digest": digest for split, digest in one.digests.items()},
            **_means(one),
        }
        for run, one in zip(runs, facts, strict=True)
    ]
    differing = _differing(told)
    for split in SPLITS:
        name = f"{split} digest"
        if name in differing:
            differing[name] = list(map(_content, differing[name]))
    return differing | _distances(facts)


def _content(digest: str) -> str:
    """Returns the half of a split's digest that is of its rows' content, cut; the first half is of their lengths."""
    return digest[len(digest) // 2 :][:12] if len(digest) == DIGEST_LENGTH else digest[:12]


def _means(found: Facts) -> dict[str, Any]:
    """Returns mean or number of values, and missing share, of each feature of the training split."""
    told: dict[str, Any] = {}
    for feature in found.statistics.get("train", []):
        name, stats = feature.path.step[0], getattr(feature, feature.WhichOneof("stats"))
        common = stats.common_stats
        missing = common.num_missing / max(common.num_missing + common.num_non_missing, 1)
        told[f"missing in {name}"] = f"{missing:.1%}"
        if feature.WhichOneof("stats") == "num_stats":
            told[f"mean of {name}"] = number(stats.mean)
        elif feature.WhichOneof("stats") == "string_stats":
            told[f"values of {name}"] = number(int(stats.unique))
    return told


def _distances(facts: list[Facts]) -> dict[str, list[Any]]:
    """Returns how far numbers of the training split are from the first run's, where it is more than MIN_DISTANCE."""
    told = [quantiles(found.statistics.get("train", [])) for found in facts]
    rows = {}
    for name, (before, _) in told[0].items():
        far = [kolmogorov_smirnov(before, one[name][0]) if name in one else 0.0 for one in told]
        if max(far) > MIN_DISTANCE:
            rows[f"distance of {name} (Kolmogorov-Smirnov)"] = [round(value, 3) for value in far]
    return rows


# --- metrics and slices ---------------------------------------------------------------------------------------------


def _add_metrics(found: Comparison, facts: list[Facts]) -> None:
    first, before = found.runs[0], facts[0]
    usual = list(dict.fromkeys(chain(*(run.usual_metrics for run in found.runs))))
    for name in shown(chain(*(run.metrics for run in found.runs)), usual):
        row = [Delta(first.metrics.get(name), interval=first.intervals.get(name))]
        for run, one in zip(found.runs[1:], facts[1:], strict=True):
            row.append(_delta(name, first, run, before, one))
        found.metrics[name] = row


def _delta(name: str, first: RunRecord, run: RunRecord, before: Facts, after: Facts) -> Delta:
    """Returns a metric beside the first run's: paired, where both are of the same rows."""
    paired = _paired(before.compared.get(name), before, after) if _same_rows(before, after) else None
    value, other = (Measured.of(name, one.metrics, one.intervals) for one in (first, run))
    return _beside(value, other, paired)


def _beside(first: Measured, other: Measured, paired: Interval | None) -> Delta:
    """Returns a value beside the first run's, with the paired difference where there is one, else by that of each.

    Paired, difference and interval are both of the stored predictions: of the stored values one may be TFMA's, of an
    older release, which has other last digits.
    """
    if first.value is None or other.value is None:
        return Delta(other.value, interval=other.interval)
    if paired:
        return Delta(other.value, paired.difference, paired.low, paired.high, True, other.interval)
    low, high = None, None
    if first.interval and other.interval:
        low, high = of_difference(first.value, first.interval, other.value, other.interval)
    return Delta(other.value, other.value - first.value, low, high, interval=other.interval)


def _same_rows(before: Facts, after: Facts) -> bool:
    if before.answers is None or after.answers is None:
        return False
    return before.digests.get("test") == after.digests.get("test") and (
        before.answers.values.shape == after.answers.values.shape
    )


def _paired(metric: Metric | None, before: Facts, after: Facts, rows: np.ndarray | None = None) -> Interval | None:
    """Returns the difference over the same rows, of `rows` alone, their numbers, where they are given.

    None where it is not known, as of a metric that cannot be computed from stored answers.
    """
    if metric is None or before.answers is None or after.answers is None:
        return None
    said, other = before.answers, after.answers.values
    targets, values, groups = said.targets, said.values, said.groups
    if rows is not None:
        targets, values, other = targets[rows], values[rows], other[rows]
        groups = None if groups is None else np.unique(groups[rows], return_inverse=True)[1]
    paired = paired_interval(metric, targets, other, values, groups=groups)
    if not math.isfinite(paired.low):  # of one group only nothing is known
        return None
    # It speaks of better and worse; here it is more and less. Without a minus there is none before a zero.
    return Interval(0 - paired.difference, 0 - paired.high, 0 - paired.low) if metric.lower_is_better else paired


def _add_slices(found: Comparison, facts: list[Facts]) -> None:
    before, named = facts[0], [set(one.slices) - {OVERALL} for one in facts]
    later = set().union(*named[1:])
    found.gone_slices, found.new_slices = sorted(named[0] - later), sorted(later - named[0])
    slices = [metrics for one in facts for name, metrics in one.slices.items() if name in named[0] & later]
    metric = of_slices(slices, list(found.metrics))
    if metric is None:
        return
    found.slice_metric = metric
    compared = before.compared.get(metric)
    rows = _rows_of_slices(before) if any(_same_rows(before, one) for one in facts[1:]) else {}
    for name in before.slices:
        first = before.measured(name, metric)
        if name not in later or first.value is None:
            continue
        row = [Delta(first.value, interval=first.interval)]
        for one in facts[1:]:
            is_paired = name in rows and _same_rows(before, one)
            paired = _paired(compared, before, one, rows[name]) if is_paired else None
            row.append(_beside(first, one.measured(name, metric), paired))
        if any(one.moved for one in row):
            found.slices[name] = row
        elif all(one.ends is None for one in row):
            found.unknown_slices += 1
        else:
            found.steady_slices += 1
    found.slices = dict(sorted(found.slices.items(), key=lambda item: -max(abs(d.difference or 0) for d in item[1])))


def _rows_of_slices(found: Facts) -> dict[str, np.ndarray]:
    """Returns the numbers of the rows of each slice of the stored predictions, by its name such as `label=Shirt`."""
    rows: dict[str, np.ndarray] = {}
    for column, values in found.answers.slices.items() if found.answers else ():
        codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        order, names = np.argsort(codes, kind="stable"), values.dictionary.to_pylist()
        ends = np.searchsorted(codes[order], np.arange(len(names) + 1))
        for name, begin, end in zip(names, ends[:-1], ends[1:], strict=True):
            if end > begin:
                rows[f"{column}={name}"] = order[begin:end]
    return rows
