"""Candidate and live version on the same test rows: their metrics, and by how much one is better."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components import predictions
from components.artifact_files import OVERALL, PREDICTIONS
from components.evaluator import evaluate
from components.live_model.asking import Question
from components.live_model.comparable import LiveModel
from data.spec import DatasetSpec
from models.evaluation.comparison import paired_interval
from models.evaluation.metrics import Metric
from models.evaluation.predictions import read
from models.task import Task


@dataclass(frozen=True)
class Candidate:
    """The model that a run made.

    Attributes:
        saved_model: Its folder.
        metrics: What the evaluation wrote about it.
        evaluation: Folder with its answers about the test split.
        task: Its task.
        spec: Its data set's facts.
        beam_args: Beam's options, where it is evaluated again.
    """

    saved_model: str
    metrics: dict[str, Any]
    evaluation: Path
    task: Task
    spec: DatasetSpec
    beam_args: list[str]


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
                f"version {self.version} is only reported: its splits were drawn by another rule, "
                "and it may have been trained on these test rows"
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
        return (
            f"{self.metric}: the candidate {self.verdict} version {self.version}, {self.candidate:.4f} and "
            f"{self.published:.4f} (95 % of differences {self.low:+.4f} to {self.high:+.4f})"
        )


def beside(live: LiveModel, asked: Question, candidate: Candidate, *, is_judged: bool) -> Beside:
    """Returns the metrics of both on the rows that both are asked about.

    What was measured when the live version was published is taken where rows and config are the same; else it is
    evaluated anew.
    """
    metrics, config = candidate.metrics, candidate.metrics["eval_config"]
    recorded = live.manifest["evaluation"]

    def evaluated(saved_model: str, examples_uri: str) -> dict[str, float]:
        return evaluate(saved_model, examples_uri, config, candidate.spec, candidate.beam_args)["slices"][OVERALL]

    of_candidate = metrics["slices"][OVERALL]
    of = rows = int(of_candidate["example_count"]) if asked.asked is None else len(asked.asked)
    same = all(recorded[key] == metrics[key] for key in ("data_digest", "eval_config"))
    if asked.is_as_stored and same:
        of_live = recorded["slices"][OVERALL]
    else:
        of_live = evaluated(asked.saved_model, asked.live_examples)
    if asked.asked is not None:
        rows = int(asked.asked.sum())
        of_candidate = evaluated(candidate.saved_model, asked.candidate_examples)
    return Beside(live.version, of_live, of_candidate, rows, of, is_judged, asked.lacking)


def duel(live: LiveModel, asked: Question, candidate: Candidate, metric: Metric) -> Duel:
    """Returns how the candidate does beside the live version, by the paired difference on the rows both are asked."""
    own = read(PREDICTIONS.path(candidate.evaluation))
    kept: np.ndarray | slice = slice(None) if asked.asked is None else asked.asked
    targets, values = own.targets[kept], own.values[kept]
    others = np.concatenate(
        [answered for _, answered, _ in predictions.answers(asked.saved_model, asked.live_examples, candidate.task)]
    )
    groups = None if own.groups is None else own.groups[kept]
    found = paired_interval(metric, targets, values, others, groups=groups)
    reached = [metric.value(targets, one) for one in (values, others)]
    return Duel(metric.name, live.version, *reached, found.low, found.high, found.verdict)
