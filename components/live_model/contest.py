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
        metrics: What the evaluation wrote about it.
        evaluation: Folder with its answers about the test split.
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
class Beside:
    """Metrics of both on the test rows that both can be asked about.

    Attributes:
        version: The live version.
        live: Its metrics by name.
        candidate: The candidate's.
        rows: How many rows they are.
        of: How many the test split has.
        is_judged: Whether the gate goes by it; else it is only reported, as the splits were drawn by another rule.
        lacking: Columns that the live version takes and had to go without.
    """

    version: int
    live: dict[str, float]
    candidate: dict[str, float]
    rows: int
    of: int
    is_judged: bool = True
    lacking: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """Returns what has to be known about the comparison, a sentence each."""
        found = []
        if self.rows < self.of:
            found.append(
                f"version {self.version} was asked about {self.rows:,} of {self.of:,} test rows, "
                "those whose class it knows and whose cells it takes"
            )
        if self.lacking:
            names = ", ".join(self.lacking)
            found.append(f"version {self.version} went without {names}, which the data has no longer")
        if not self.is_judged:
            found.append(
                f"the splits of version {self.version} were drawn by another rule: "
                "it may have been trained on these test rows"
            )
        return found


@dataclass(frozen=True)
class Duel:
    """Candidate and live version on the same test rows, by one metric.

    Attributes:
        metric: What they are compared by.
        version: The live version.
        candidate: The candidate's value.
        published: The live version's.
        low: Lower end of the 95 % interval of how much better the candidate is.
        high: Upper end.
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
            significant(one, interval=ends) if math.isfinite(one) else "no finite value"
            for one in (self.candidate, self.published)
        )
        is_known = math.isfinite(self.low) and math.isfinite(self.high)
        known = f"95 % of differences {span(ends, '+')}" if is_known else "nothing is known of the difference"
        return (
            f"{self.metric}: the candidate {self.verdict} version {self.version}, {candidate} and {published} ({known})"
        )


class Contest:
    """Candidate and live version on the test rows that both can be asked about; each is asked once."""

    def __init__(self, live: LiveModel, asked: Question, candidate: Candidate):
        self._live, self._asked, self._candidate = live, asked, candidate

    @functools.cached_property
    def _of_candidate(self) -> Predictions:
        found = read(PREDICTIONS.path(self._candidate.evaluation))
        return found if self._asked.asked is None else found.of(self._asked.asked)

    @functools.cached_property
    def _of_live(self) -> Predictions:
        files = split_files(self._asked.live_examples, "test")
        found = [values for _, values, _ in predictions.answers(self._asked.saved_model, files, self._candidate.task)]
        return replace(self._of_candidate, values=np.concatenate(found), slices={})

    def beside(self, *, is_judged: bool) -> Beside:
        """Returns the metrics of both.

        What was measured when the live version was published is taken where rows and definition are the same.
        """
        metrics, recorded, asked = self._candidate.metrics, self._live.manifest["evaluation"], self._asked
        same = all(recorded.get(key) == metrics[key] for key in ("data_digest", "definition"))
        of_live = recorded["slices"][OVERALL] if asked.is_as_stored and same else self._measured(self._of_live)
        of_candidate = metrics["slices"][OVERALL]
        of = rows = int(of_candidate["example_count"])
        if asked.asked is not None:
            rows, of_candidate = int(asked.asked.sum()), self._measured(replace(self._of_candidate, slices={}))
        return Beside(self._live.version, of_live, of_candidate, rows, of, is_judged, asked.lacking)

    def _measured(self, predicted: Predictions) -> dict[str, float]:
        evaluation = Evaluation(self._candidate.config.metrics(self._candidate.spec))
        evaluation.add(predicted)
        return evaluation.result().slices[OVERALL]

    def duel(self, metric: Metric) -> Duel:
        """Returns how the candidate does beside the live version, by the paired difference.

        No value is worse than any. Where both have one and nothing is known of the difference, as of a single row of a
        class, they tie.
        """
        own, other = self._of_candidate, self._of_live
        ours, theirs = (metric.function(own.targets, one.values) for one in (own, other))
        found, verdict = difference(metric, ours, theirs, groups=own.groups), ""
        if math.isfinite(ours.value) != math.isfinite(theirs.value):
            verdict = "beats" if math.isfinite(ours.value) else "loses to"
        return Duel(
            metric=metric.name,
            version=self._live.version,
            candidate=ours.value,
            published=theirs.value,
            low=found.low,
            high=found.high,
            verdict=verdict or found.verdict,
        )
