"""Candidate and live version on the same test rows: their metrics, and by how much one is better."""

import functools
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from components import predictions
from components.artifact_files import OVERALL, PREDICTIONS
from components.example_gen import split_files
from components.live_model.asking import Question
from components.live_model.comparable import LiveModel
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
        saved_model: Its folder.
        metrics: Its evaluation on the test split, as `metrics.json` has it.
        evaluation: Folder with its predictions of the test split.
        task: Its task.
        config: The task's settings.
        spec: Its data set's facts.
    """

    saved_model: str
    metrics: dict[str, Any]
    evaluation: Path
    task: Task
    config: TaskConfig
    spec: DatasetSpec


@dataclass(frozen=True)
class SameRowsMetrics:
    """Metrics of candidate and live version on the test rows that both can be asked about.

    Attributes:
        version: The live version.
        live: Its metrics by name.
        candidate: The candidate's.
        num_rows: How many rows both were asked about.
        num_test_rows: How many the test split has.
        is_judged: Whether a regression stops the run; else it is only reported, as the splits were drawn by another
            rule.
        missing_columns: Columns that the live version takes and went without.
    """

    version: int
    live: dict[str, float]
    candidate: dict[str, float]
    num_rows: int
    num_test_rows: int
    is_judged: bool = True
    missing_columns: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """Returns what has to be known about the comparison, a sentence each."""
        notes = []
        if self.num_rows < self.num_test_rows:
            notes.append(
                f"version {self.version} was asked about {self.num_rows:,} of {self.num_test_rows:,} test rows, "
                "those whose class it knows and whose cells it takes"
            )
        if self.missing_columns:
            names = ", ".join(self.missing_columns)
            notes.append(f"version {self.version} went without {names}, which the data has no longer")
        if not self.is_judged:
            notes.append(
                f"the splits of version {self.version} were drawn by another rule: "
                "it may have been trained on these test rows"
            )
        return notes


@dataclass(frozen=True)
class PairedComparison:
    """Candidate and live version on the same test rows, by one metric.

    Attributes:
        metric: The metric's name.
        version: The live version.
        candidate: The candidate's value; NaN where it has none.
        published: The live version's, likewise.
        low: Lower end of the 95 % interval of how much better the candidate is; -inf where it is not known.
        high: Upper end; inf where it is not known.
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
        """Returns it in words."""
        ends = self.low, self.high
        candidate, published = (
            significant(value, interval=ends) if math.isfinite(value) else "no finite value"
            for value in (self.candidate, self.published)
        )
        is_known = math.isfinite(self.low) and math.isfinite(self.high)
        known = f"95 % of differences {span(ends, '+')}" if is_known else "nothing is known of the difference"
        return (
            f"{self.metric}: the candidate {self.verdict} version {self.version}, {candidate} and {published} ({known})"
        )


class LiveComparison:
    """Candidate and live version on the test rows that both can be asked about; each is asked once."""

    def __init__(self, live: LiveModel, question: Question, candidate: Candidate):
        self._live, self._question, self._candidate = live, question, candidate

    @functools.cached_property
    def _candidate_predictions(self) -> Predictions:
        stored = read(PREDICTIONS.path(self._candidate.evaluation))
        return stored if self._question.row_mask is None else stored.of(self._question.row_mask)

    @functools.cached_property
    def _live_predictions(self) -> Predictions:
        files = split_files(self._question.live_examples, "test")
        batches = predictions.predict_batches(self._question.saved_model, files, self._candidate.task)
        outputs = np.concatenate([batch_outputs for _, batch_outputs, _ in batches])
        return replace(self._candidate_predictions, values=outputs, slices={})

    def same_rows(self, *, is_judged: bool) -> SameRowsMetrics:
        """Returns the metrics of both; `is_judged` as `SameRowsMetrics` has it."""
        own = self._candidate.metrics["slices"][OVERALL]
        num_test_rows = int(own[EXAMPLE_COUNT])
        if self._question.row_mask is not None:
            own = self._measure(self._candidate_predictions)
        return SameRowsMetrics(
            version=self._live.version,
            live=self._recorded_live_metrics() or self._measure(self._live_predictions),
            candidate=own,
            num_rows=int(own[EXAMPLE_COUNT]),
            num_test_rows=num_test_rows,
            is_judged=is_judged,
            missing_columns=self._question.missing_columns,
        )

    def _recorded_live_metrics(self) -> dict[str, float] | None:
        """Returns what was measured before the live version was published; None unless rows and definition are those
        of today.
        """
        metrics, recorded = self._candidate.metrics, self._live.manifest["evaluation"]
        is_same = all(recorded.get(key) == metrics[key] for key in ("data_digest", "definition"))
        return recorded["slices"][OVERALL] if is_same and self._question.is_as_stored else None

    def _measure(self, rows: Predictions) -> dict[str, float]:
        evaluation = Evaluation(self._candidate.config.metrics(self._candidate.spec))
        evaluation.add(replace(rows, slices={}))
        return evaluation.result().slices[OVERALL]

    def paired(self, metric: Metric) -> PairedComparison:
        """Returns how the candidate does beside the live version, by the paired difference.

        No value is worse than any. Where both have one and nothing is known of the difference, as of a single row of a
        class, they tie.
        """
        own, other = self._candidate_predictions, self._live_predictions
        ours, theirs = (metric.function(own.targets, outputs) for outputs in (own.values, other.values))
        interval, verdict = difference(metric, ours, theirs, groups=own.groups), ""
        if math.isfinite(ours.value) != math.isfinite(theirs.value):
            verdict = "beats" if math.isfinite(ours.value) else "loses to"
        return PairedComparison(
            metric=metric.name,
            version=self._live.version,
            candidate=ours.value,
            published=theirs.value,
            low=interval.low,
            high=interval.high,
            verdict=verdict or interval.verdict,
        )
