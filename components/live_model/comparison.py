"""Compares candidate and live version on the same test rows: their metrics, and the paired difference."""

import functools
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from components import predictions
from components.artifact_files import OVERALL, PREDICTIONS
from components.example_gen import split_files
from components.live_model.comparable import LiveModel
from components.live_model.shared_rows import SharedRows
from data.spec import DatasetSpec
from data.texts import significant, span
from models.config import TaskConfig
from models.evaluation import EXAMPLE_COUNT
from models.evaluation.comparison import difference
from models.evaluation.evaluation import Evaluation
from models.evaluation.metrics import Metric
from models.evaluation.predictions import Predictions, read
from models.task import Task


@dataclass(frozen=True)
class Candidate:
    """The model that a run made.

    Attributes:
        saved_model: Folder of its SavedModel.
        metrics: Its evaluation on the test split, as `metrics.json` has it.
        evaluation: Folder with its predictions for the test split.
        task: Its task.
        config: The task's settings.
        spec: Features of its data set.
    """

    saved_model: str
    metrics: dict[str, Any]
    evaluation: Path
    task: Task
    config: TaskConfig
    spec: DatasetSpec


@dataclass(frozen=True)
class SameRowsMetrics:
    """Metrics of candidate and live version on the test rows that both can predict.

    Attributes:
        version: The live version.
        live: Its metrics by name.
        candidate: The candidate's.
        num_rows: Number of rows that both predicted.
        num_test_rows: Number of rows of the test split.
        is_judged: Whether a regression stops the run. It is only reported if the live version's splits follow another
            rule.
        missing_columns: Optional inputs of the live version that the data has no longer.
    """

    version: int
    live: dict[str, float]
    candidate: dict[str, float]
    num_rows: int
    num_test_rows: int
    is_judged: bool = True
    missing_columns: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """Returns limits of the comparison, a sentence each."""
        notes = []
        if self.num_rows < self.num_test_rows:
            notes.append(
                f"version {self.version} was compared on {self.num_rows:,} of {self.num_test_rows:,} test rows, "
                "those whose class it knows and whose cells it can read"
            )
        if self.missing_columns:
            names = ", ".join(self.missing_columns)
            notes.append(f"version {self.version} predicted without {names}, which the data has no longer")
        if not self.is_judged:
            notes.append(
                f"the splits of version {self.version} follow another rule: it may have been trained on these test rows"
            )
        return notes


@dataclass(frozen=True)
class PairedComparison:
    """Paired comparison of candidate and live version on the same test rows by one metric.

    Attributes:
        metric: The metric's name.
        version: The live version.
        candidate: The candidate's value; NaN if it has none.
        published: The live version's value; NaN if it has none.
        low: Lower end of the 95 % interval of the candidate's lead, positive if it is better; -inf if not known.
        high: Upper end; inf if not known.
        verdict: `beats`, `ties with` or `loses to`.
    """

    metric: str
    version: int
    candidate: float
    published: float
    low: float
    high: float
    verdict: str

    def sentence(self) -> str:
        """Returns the comparison as a sentence."""
        ends = self.low, self.high
        candidate, published = (
            significant(value, interval=ends) if math.isfinite(value) else "no finite value"
            for value in (self.candidate, self.published)
        )
        is_known = math.isfinite(self.low) and math.isfinite(self.high)
        difference_text = f"95 % of differences {span(ends, '+')}" if is_known else "the difference is not known"
        return (
            f"{self.metric}: the candidate {self.verdict} version {self.version}, {candidate} and {published} "
            f"({difference_text})"
        )


class LiveComparison:
    """Comparison of candidate and live version on the test rows that both can predict; each predicts once."""

    def __init__(self, live: LiveModel, shared_rows: SharedRows, candidate: Candidate):
        self._live, self._shared_rows, self._candidate = live, shared_rows, candidate

    @functools.cached_property
    def _candidate_predictions(self) -> Predictions:
        stored = read(PREDICTIONS.path(self._candidate.evaluation))
        return stored if self._shared_rows.row_mask is None else stored.of(self._shared_rows.row_mask)

    @functools.cached_property
    def _live_predictions(self) -> Predictions:
        files = split_files(self._shared_rows.live_examples, "test")
        batches = predictions.predict_batches(self._shared_rows.saved_model, files, self._candidate.task)
        outputs = np.concatenate([batch_outputs for _, batch_outputs, _ in batches])
        return replace(self._candidate_predictions, values=outputs, slices={})

    def same_rows(self, *, is_judged: bool) -> SameRowsMetrics:
        """Returns the metrics of both; `is_judged` as `SameRowsMetrics` has it."""
        candidate_metrics = self._candidate.metrics["slices"][OVERALL]
        num_test_rows = int(candidate_metrics[EXAMPLE_COUNT])
        if self._shared_rows.row_mask is not None:
            candidate_metrics = self._compute_metrics(self._candidate_predictions)
        return SameRowsMetrics(
            version=self._live.version,
            live=self._recorded_live_metrics() or self._compute_metrics(self._live_predictions),
            candidate=candidate_metrics,
            num_rows=int(candidate_metrics[EXAMPLE_COUNT]),
            num_test_rows=num_test_rows,
            is_judged=is_judged,
            missing_columns=self._shared_rows.missing_columns,
        )

    def _recorded_live_metrics(self) -> dict[str, float] | None:
        """Returns the metrics in the live version's manifest; None if they have other rows or another definition."""
        metrics, recorded = self._candidate.metrics, self._live.manifest["evaluation"]
        is_same = all(recorded.get(key) == metrics[key] for key in ("data_digest", "definition"))
        return recorded["slices"][OVERALL] if is_same and self._shared_rows.is_as_stored else None

    def _compute_metrics(self, stored: Predictions) -> dict[str, float]:
        evaluation = Evaluation(self._candidate.config.metrics(self._candidate.spec))
        evaluation.add(replace(stored, slices={}))
        return evaluation.result().slices[OVERALL]

    def paired(self, metric: Metric) -> PairedComparison:
        """Returns the comparison by a metric, from the paired difference.

        A model without a finite value loses. If both have one and the difference is not known, as for a class with a
        single row, they tie.
        """
        stored, live_values = self._candidate_predictions, self._live_predictions.values
        candidate, live = (
            metric.function(stored.targets, outputs, stored.weights) for outputs in (stored.values, live_values)
        )
        interval, verdict = difference(metric, candidate, live, groups=stored.groups), ""
        if math.isfinite(candidate.value) != math.isfinite(live.value):
            verdict = "beats" if math.isfinite(candidate.value) else "loses to"
        return PairedComparison(
            metric=metric.name,
            version=self._live.version,
            candidate=candidate.value,
            published=live.value,
            low=interval.low,
            high=interval.high,
            verdict=verdict or interval.verdict,
        )
