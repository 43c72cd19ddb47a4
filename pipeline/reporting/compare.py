"""Compares runs: settings, data, metrics with intervals, slices and cost. Loads no TensorFlow."""

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
MIN_DISTANCE = 0.05  # of two distributions; smaller ones are not shown
ABSENT = "–"  # noqa: RUF001 - shown for a setting or metric that a run does not have


@dataclass(frozen=True)
class Delta:
    """A metric of one run, and its difference from the first run.

    Attributes:
        value: Value in this run; None if it has none.
        difference: Value minus that of the first run; None for the first run, or if either has no value.
        low: Lower end of the difference's 95 % confidence interval; None if unknown.
        high: Upper end of that interval; None if unknown.
        paired: Whether the difference is paired: computed over the same test rows, row by row.
        interval: Ends of the 95 % confidence interval of the value itself; None if unknown.
    """

    value: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    paired: bool = False
    interval: Sequence[float] | None = None

    @property
    def ends(self) -> tuple[float, float] | None:
        """Lower and upper end of the difference's interval; None if unknown."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def measured_difference(self) -> Measured:
        """The difference with its interval."""
        return Measured(self.difference, self.ends)

    @property
    def is_significant(self) -> bool:
        """Whether the difference's interval excludes zero."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    def text(self) -> str:
        """Returns value, difference and its interval as text, such as `0.942 (+0.021, +0.005 to +0.037)`."""
        if self.value is None:
            return ABSENT
        value = number(self.value, self.interval)
        if self.difference is None:
            return value
        interval_text = f", {span(self.ends, '+')}" if self.ends else ""
        return f"{value} ({difference(self.difference, self.ends)}{interval_text})"


@dataclass
class Comparison:
    """The differences between runs; every list in a mapping has a value for each run, in the order of `runs`.

    Attributes:
        runs: The runs; the others are compared with the first.
        settings: Dotted name -> values; only settings that differ.
        data: Property of the data -> values; only properties that differ.
        environment: Package, property of the machine or `commit` -> values; only those that differ.
        metrics: Metric -> values on the test splits.
        lower_is_better: Metric -> whether a lower value is better; only metrics that models are compared by.
        slices: Slice -> values of `slice_metric`; only slices with a significant difference.
        slice_metric: The metric by which slices are compared; empty without common slices.
        steady_slices: Number of slices without a significant difference.
        unknown_slices: Number of slices without intervals, as in runs of older releases.
        gone_slices: Slices that only the first run has.
        new_slices: Slices that the first run does not have.
        cost: Resource with its unit -> values.
        histories: Run -> metric -> its value after each epoch.
        notes: Sentences that say what could not be compared.
    """

    runs: list[RunRecord]
    settings: dict[str, list[Any]] = field(default_factory=dict)
    data: dict[str, list[Any]] = field(default_factory=dict)
    environment: dict[str, list[Any]] = field(default_factory=dict)
    metrics: dict[str, list[Delta]] = field(default_factory=dict)
    lower_is_better: dict[str, bool] = field(default_factory=dict)
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
    def cost_texts(self) -> dict[str, list[str]]:
        """The cost as text: resource with its unit -> values."""
        return {
            name: [f"{value:,.0f}" if value >= 100 else f"{value:.1f}" for value in values]
            for name, values in self.cost.items()
        }


def compare(home: Path, runs: list[RunRecord]) -> Comparison:
    """Compares runs with the first of them.

    Args:
        home: The home folder.
        runs: Records of at least two different runs.

    Raises:
        ConfigError: There are fewer than two runs, or a run is given twice.
    """
    if len(runs) < 2 or len({run.run for run in runs}) < len(runs):
        raise ConfigError(f"Two or more different runs are compared; given {', '.join(run.run for run in runs)}.")
    facts = [gather(PipelinePaths.of(home, run.pipeline), run) for run in runs]
    comparison = Comparison(runs)
    comparison.settings = _settings(runs)
    comparison.data = _data(runs, facts)
    comparison.environment = _differing([{**run.packages, **run.machine, "commit": run.commit} for run in runs])
    comparison.lower_is_better = {name: metric.lower_is_better for name, metric in facts[0].compared.items()}
    _add_metrics(comparison, facts)
    _add_slices(comparison, facts)
    comparison.cost = {
        "wall seconds": [run.seconds for run in runs],
        "CPU seconds": [run.cpu_seconds for run in runs],
        "peak MiB": [run.peak_mib for run in runs],
        "MiB written": [run.disk_mib for run in runs],
    }
    comparison.histories = {
        run.run: run_facts.training.get("history", {}) for run, run_facts in zip(runs, facts, strict=True)
    }
    comparison.notes = [
        f"{run.run}: {line}" for run, run_facts in zip(runs, facts, strict=True) for line in run_facts.missing
    ]
    comparison.notes += [
        f"{run.run}: its splits follow another rule than those of {runs[0].run}"
        for run, run_facts in zip(runs[1:], facts[1:], strict=True)
        if _split_rules_differ(facts[0], run_facts)
    ]
    return comparison


def _settings(runs: list[RunRecord]) -> dict[str, list[Any]]:
    """Returns dotted name -> values of settings that differ; a setting that a release lacks has its default value."""
    not_default = [_not_default(run) for run in runs]
    return {
        name: values
        for name, values in _differing([dict(flat(run.settings)) for run in runs]).items()
        if ABSENT not in values
        or any(
            value != ABSENT and (names is None or name in names)
            for value, names in zip(values, not_default, strict=True)
        )
    }


def _not_default(run: RunRecord) -> set[str] | None:
    """Returns the names of settings that differ from their defaults; None if the settings are of another release."""
    try:
        config = schema_class(run.settings["task"]).model_validate(run.settings)
    except (ValueError, KeyError, HeadraceError):
        return None
    return {name for name, _ in flat(config.model_dump(mode="json", exclude_defaults=True))}


def _split_rules_differ(first: Facts, other: Facts) -> bool:
    """Returns whether two runs split their rows by different rules; False if unknown or if all splits are the same."""
    if first.digests and first.digests == other.digests:
        return False
    if first.split_rule and other.split_rule:
        return not agree(first.split_rule, other.split_rule)
    split_rule = first.split_rule or other.split_rule
    # Older releases stored no rule. Splits that come with the data are the same in all releases.
    return (
        split_rule is not None and "data" not in split_rule and first.digests.get("test") != other.digests.get("test")
    )


def _differing(mappings: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Returns name -> values in each mapping, for the values that differ; ABSENT if a mapping lacks the name."""
    names = sorted({name for mapping in mappings for name in mapping})
    rows = {name: [mapping.get(name, ABSENT) for mapping in mappings] for name in names}
    return {name: values for name, values in rows.items() if any(value != values[0] for value in values)}


# --- data -----------------------------------------------------------------------------------------------------------


def _data(runs: list[RunRecord], facts: list[Facts]) -> dict[str, list[Any]]:
    """Returns property of the data -> values, for the properties that differ."""
    values = [
        {
            "content": run.data_digest,
            **{f"{split} rows": rows for split, rows in run_facts.rows.items()},
            **{f"{split} digest": digest for split, digest in run_facts.digests.items()},
            **_means(run_facts),
        }
        for run, run_facts in zip(runs, facts, strict=True)
    ]
    differing = _differing(values)
    for split in SPLITS:
        name = f"{split} digest"
        if name in differing:
            differing[name] = list(map(_content, differing[name]))
    return differing | _distances(facts)


def _content(digest: str) -> str:
    """Returns 12 digits of the half of a split's digest that is of the rows' content; the first half is of lengths."""
    return digest[len(digest) // 2 :][:12] if len(digest) == DIGEST_LENGTH else digest[:12]


def _means(facts: Facts) -> dict[str, Any]:
    """Returns mean or number of distinct values, and share of missing values, of each feature of the training split."""
    values: dict[str, Any] = {}
    for feature in facts.statistics.get("train", []):
        name, stats = feature.path.step[0], getattr(feature, feature.WhichOneof("stats"))
        common = stats.common_stats
        missing = common.num_missing / max(common.num_missing + common.num_non_missing, 1)
        values[f"missing in {name}"] = f"{missing:.1%}"
        if feature.WhichOneof("stats") == "num_stats":
            values[f"mean of {name}"] = number(stats.mean)
        elif feature.WhichOneof("stats") == "string_stats":
            values[f"values of {name}"] = number(int(stats.unique))
    return values


def _distances(facts: list[Facts]) -> dict[str, list[Any]]:
    """Returns the Kolmogorov-Smirnov distance of numeric features to the first run, if one exceeds MIN_DISTANCE."""
    run_quantiles = [quantiles(run_facts.statistics.get("train", [])) for run_facts in facts]
    rows = {}
    for name, (first_quantiles, _) in run_quantiles[0].items():
        distances = [
            kolmogorov_smirnov(first_quantiles, other[name][0]) if name in other else 0.0 for other in run_quantiles
        ]
        if max(distances) > MIN_DISTANCE:
            rows[f"distance of {name} (Kolmogorov-Smirnov)"] = [round(distance, 3) for distance in distances]
    return rows


# --- metrics and slices ---------------------------------------------------------------------------------------------


def _add_metrics(comparison: Comparison, facts: list[Facts]) -> None:
    first, first_facts = comparison.runs[0], facts[0]
    usual_metrics = list(dict.fromkeys(chain(*(run.usual_metrics for run in comparison.runs))))
    for name in shown(chain(*(run.metrics for run in comparison.runs)), usual_metrics):
        deltas = [Delta(first.metrics.get(name), interval=first.intervals.get(name))]
        for run, run_facts in zip(comparison.runs[1:], facts[1:], strict=True):
            deltas.append(_delta(name, first, run, first_facts, run_facts))
        comparison.metrics[name] = deltas


def _delta(name: str, first: RunRecord, run: RunRecord, first_facts: Facts, run_facts: Facts) -> Delta:
    """Returns a metric compared with the first run, paired if both have predictions of the same test rows."""
    paired = (
        _paired(first_facts.compared.get(name), first_facts, run_facts) if _same_rows(first_facts, run_facts) else None
    )
    first_value, value = (Measured.of(name, record.metrics, record.intervals) for record in (first, run))
    return _compared(first_value, value, paired)


def _compared(first: Measured, other: Measured, paired: Interval | None) -> Delta:
    """Returns a value compared with the first run's.

    A paired difference and its interval are both computed from stored predictions: an older release stored values of
    TFMA, whose last digits differ. Without it the interval is combined from the intervals of both values.
    """
    if first.value is None or other.value is None:
        return Delta(other.value, interval=other.interval)
    if paired:
        return Delta(other.value, paired.difference, paired.low, paired.high, True, other.interval)
    low, high = None, None
    if first.interval and other.interval:
        low, high = of_difference(first.value, first.interval, other.value, other.interval)
    return Delta(other.value, other.value - first.value, low, high, interval=other.interval)


def _same_rows(first: Facts, other: Facts) -> bool:
    if first.predictions is None or other.predictions is None:
        return False
    return first.digests.get("test") == other.digests.get("test") and (
        first.predictions.values.shape == other.predictions.values.shape
    )


def _paired(metric: Metric | None, first: Facts, other: Facts, rows: np.ndarray | None = None) -> Interval | None:
    """Returns a metric's difference, other minus first, over the same rows.

    Args:
        metric: The metric; None if it cannot be computed from stored predictions.
        first: The first run.
        other: The other run, with predictions of the same rows.
        rows: int `(rows,)`, indices of the rows to compare; None for all.

    Returns:
        The difference and its interval; None if unknown.
    """
    if metric is None or first.predictions is None or other.predictions is None:
        return None
    predictions, other_values = first.predictions, other.predictions.values
    targets, first_values = predictions.targets, predictions.values
    groups, weights = predictions.groups, predictions.weights
    if rows is not None:
        targets, first_values, other_values = targets[rows], first_values[rows], other_values[rows]
        groups = None if groups is None else np.unique(groups[rows], return_inverse=True)[1]
        weights = None if weights is None else weights[rows]
    interval = paired_interval(metric, targets, other_values, first_values, groups=groups, weights=weights)
    if not math.isfinite(interval.low):  # one group alone has no interval
        return None
    # There positive means better, here it means greater. Subtracting from 0 avoids a minus before zero.
    return (
        Interval(0 - interval.difference, 0 - interval.high, 0 - interval.low) if metric.lower_is_better else interval
    )


def _add_slices(comparison: Comparison, facts: list[Facts]) -> None:
    first_facts, slice_names = facts[0], [set(run_facts.slices) - {OVERALL} for run_facts in facts]
    later_names = set().union(*slice_names[1:])
    comparison.gone_slices, comparison.new_slices = (
        sorted(slice_names[0] - later_names),
        sorted(later_names - slice_names[0]),
    )
    common_slices = [
        metrics
        for run_facts in facts
        for name, metrics in run_facts.slices.items()
        if name in slice_names[0] & later_names
    ]
    metric = of_slices(common_slices, list(comparison.metrics))
    if metric is None:
        return
    comparison.slice_metric = metric
    compared_metric = first_facts.compared.get(metric)
    slice_rows = (
        _rows_of_slices(first_facts) if any(_same_rows(first_facts, run_facts) for run_facts in facts[1:]) else {}
    )
    for name in first_facts.slices:
        first_value = first_facts.measured(name, metric)
        if name not in later_names or first_value.value is None:
            continue
        deltas = [Delta(first_value.value, interval=first_value.interval)]
        for run_facts in facts[1:]:
            is_paired = name in slice_rows and _same_rows(first_facts, run_facts)
            paired = _paired(compared_metric, first_facts, run_facts, slice_rows[name]) if is_paired else None
            deltas.append(_compared(first_value, run_facts.measured(name, metric), paired))
        if any(delta.is_significant for delta in deltas):
            comparison.slices[name] = deltas
        elif all(delta.ends is None for delta in deltas):
            comparison.unknown_slices += 1
        else:
            comparison.steady_slices += 1
    comparison.slices = dict(
        sorted(comparison.slices.items(), key=lambda item: -max(abs(delta.difference or 0) for delta in item[1]))
    )


def _rows_of_slices(facts: Facts) -> dict[str, np.ndarray]:
    """Returns slice, such as `label=Shirt` -> int `(rows,)`, indices of its rows in the stored predictions."""
    rows: dict[str, np.ndarray] = {}
    for column, values in facts.predictions.slices.items() if facts.predictions else ():
        codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        order, names = np.argsort(codes, kind="stable"), values.dictionary.to_pylist()
        ends = np.searchsorted(codes[order], np.arange(len(names) + 1))
        for name, start, end in zip(names, ends[:-1], ends[1:], strict=True):
            if end > start:
                rows[f"{column}={name}"] = order[start:end]
    return rows
