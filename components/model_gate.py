"""The model gate: thresholds, and no regression against the live model."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing, ModelEvaluation

from components import predictions
from components.artifact_files import CHALLENGE, METRICS, OVERALL, PREDICTIONS, VERDICT, saved_model_folder
from components.evaluator import evaluate
from data.errors import ModelError
from data.spec import DatasetSpec
from models import progress, registry
from models.evaluation.bootstrap import paired_bootstrap
from models.evaluation.metrics import Metric
from models.evaluation.predictions import read
from models.serving.rollout.rollouts import live_version
from models.serving.rollout.versions import model_digest, read_manifest
from models.task import Task

ENOUGH = {"not_worse": ("beats", "ties with"), "better": ("beats",)}


@component
def ModelGate(
    evaluation: InputArtifact[ModelEvaluation],
    model: InputArtifact[Model],
    examples: InputArtifact[Examples],
    blessing: OutputArtifact[ModelBlessing],
    thresholds: Parameter[str],
    destination: Parameter[str],
    spec: Parameter[str],
    beam_args: Parameter[str],
    task: Parameter[str],
    config: Parameter[str],
    metric: Parameter[str],
    challenge: Parameter[str],
    allow_unblessed: Parameter[bool],
    run: Parameter[str],
):
    """Blesses the model, or stops the run with the numbers that fell short.

    With `allow_unblessed` the run goes on, the model unblessed. `metric` is what candidate and published model are
    compared by, `challenge` is `off`, `not_worse` or `better`.
    """
    metrics = json.loads(METRICS.path(evaluation.uri).read_text())
    candidate = model_digest(Path(saved_model_folder(model.uri)))
    facts = DatasetSpec.model_validate_json(spec)
    published = published_metrics(Path(destination), candidate, metrics, examples.uri, facts, json.loads(beam_args))
    verdicts = judge(metrics["slices"][OVERALL], published, json.loads(thresholds))
    told = [{**vars(verdict), "sentence": verdict.sentence()} for verdict in verdicts]
    VERDICT.path(blessing.uri).write_text(json.dumps(told, indent=1))
    duel = None
    if challenge != "off" and published is not None:
        compared = registry.config_class(task).model_validate_json(config).compared(facts)[metric]
        duel = duelled(compared, Path(destination), Path(evaluation.uri), examples.uri, facts, registry.task(task))
        CHALLENGE.path(blessing.uri).write_text(json.dumps(vars(duel) | {"sentence": duel.sentence()}))
    decision = Decision(verdicts, duel, challenge)
    progress.report(summary=decision.sentence())
    if not (decision.passed or allow_unblessed):
        raise ModelError(decision.refusal(metrics["slices"]))
    # As stock TFX's Evaluator says it.
    (Path(blessing.uri) / ("BLESSED" if decision.passed else "NOT_BLESSED")).touch()
    blessing.set_int_custom_property("blessed", int(decision.passed))


@dataclass(frozen=True)
class Verdict:
    """One metric held against its threshold and against the live model.

    Attributes:
        metric: Name.
        value: The candidate's.
        bound: The threshold; a least value unless `lower_is_better`.
        lower_is_better: Whether `bound` is a greatest value.
        published: The live model's value on the same examples; None without one.
        max_regression: How much worse than `published` is accepted.
    """

    metric: str
    value: float
    bound: float
    lower_is_better: bool
    published: float | None
    max_regression: float

    @property
    def reaches_bound(self) -> bool:
        """Whether the value is on the right side of the threshold."""
        return self.value <= self.bound if self.lower_is_better else self.value >= self.bound

    @property
    def regression(self) -> float:
        """How much worse than the live model; negative when better, 0 without one."""
        if self.published is None:
            return 0.0
        return self.value - self.published if self.lower_is_better else self.published - self.value

    @property
    def passed(self) -> bool:
        """Whether the metric lets the model through."""
        return self.reaches_bound and self.regression <= self.max_regression

    def sentence(self) -> str:
        """Returns the value against what was asked, such as `accuracy 0.912: expected >= 0.92`."""
        text = f"{self.metric} {self.value:.4f}: expected {'<=' if self.lower_is_better else '>='} {self.bound:g}"
        if self.published is not None:
            text += f", live {self.published:.4f} (at most {self.max_regression:g} worse)"
        return text


def judge(metrics: dict[str, float], published: dict[str, float] | None, thresholds: dict[str, dict]) -> list[Verdict]:
    """Returns a verdict for each threshold.

    Args:
        metrics: The candidate's metrics by name.
        published: The live model's, on the same examples; None without one.
        thresholds: Metric name -> `min` or `max`, and `max_regression`.

    Raises:
        ModelError: A metric was not computed or is not a finite number.
    """
    verdicts = []
    for name, threshold in thresholds.items():
        if name not in metrics:
            raise ModelError(f"Metric {name} has no finite value; computed were {', '.join(metrics)}.")
        lower_is_better = threshold.get("max") is not None
        verdicts.append(
            Verdict(
                metric=name,
                value=metrics[name],
                bound=threshold["max"] if lower_is_better else threshold["min"],
                lower_is_better=lower_is_better,
                published=published.get(name) if published else None,
                max_regression=threshold["max_regression"],
            )
        )
    return verdicts


@dataclass(frozen=True)
class Duel:
    """Candidate and published model on the same test rows.

    Attributes:
        metric: What they are compared by.
        version: The published version.
        candidate: The candidate's value.
        published: The published model's.
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


@dataclass(frozen=True)
class Decision:
    """Whether the candidate is good enough.

    Attributes:
        verdicts: One for each threshold.
        duel: How it does beside the published model; None where they were not compared.
        challenge: How it has to do there: `off`, `not_worse` or `better`.
    """

    verdicts: list[Verdict]
    duel: Duel | None
    challenge: str

    @property
    def lost(self) -> bool:
        """Whether it does not do as well beside the published model as it has to."""
        return self.duel is not None and self.duel.verdict not in ENOUGH[self.challenge]

    @property
    def passed(self) -> bool:
        """Whether it may be published."""
        return all(verdict.passed for verdict in self.verdicts) and not self.lost

    def sentence(self) -> str:
        """Returns all that was looked at, in a line."""
        told = [verdict.sentence() for verdict in self.verdicts] + ([self.duel.sentence()] if self.duel else [])
        return "; ".join(told) or "no thresholds set"

    def refusal(self, slices: dict[str, dict[str, float]]) -> str:
        """Returns what fell short, a line each, with the slices in which it is worst."""
        failed = [verdict for verdict in self.verdicts if not verdict.passed]
        lines = [line for verdict in failed for line in (verdict.sentence(), *worst_slices(slices, verdict))]
        if self.duel and self.lost:
            lines.append(f"{self.duel.sentence()}; evaluate.challenge is {self.challenge}")
        return "\n  ".join(["The model is not good enough and was not published:", *lines])


def duelled(
    metric: Metric, destination: Path, evaluation: Path, examples_uri: str, spec: DatasetSpec, task: Task
) -> Duel:
    """Returns how the candidate, whose answers are in `evaluation`, does beside the live model."""
    version = live_version(destination)
    candidate = read(PREDICTIONS.path(evaluation))
    with tempfile.TemporaryDirectory() as scratch:
        predictions.write(Path(scratch), str(destination / str(version)), examples_uri, spec, task)
        champion = read(PREDICTIONS.path(scratch))
    found = paired_bootstrap(metric, candidate.targets, candidate.values, champion.values, seed=0)
    values = [metric.function(one.targets, one.values, np.ones(len(one.targets))) for one in (candidate, champion)]
    return Duel(metric.name, int(version or 0), *values, found.low, found.high, found.verdict)


def worst_slices(slices: dict[str, dict[str, float]], verdict: Verdict, count: int = 3) -> list[str]:
    """Returns a line with the slices in which a metric is worst, such as `worst: label=Shirt 0.7720`; none without."""
    values = {
        name: found[verdict.metric] for name, found in slices.items() if name != OVERALL and verdict.metric in found
    }
    worst = sorted(values, key=values.__getitem__, reverse=verdict.lower_is_better)[:count]
    return ["worst: " + ", ".join(f"{name} {values[name]:.4f}" for name in worst)] if worst else []


def published_metrics(
    destination: Path,
    candidate_digest: str,
    candidate: dict,
    examples_uri: str,
    spec: DatasetSpec,
    beam_args: list[str],
) -> dict[str, float] | None:
    """Returns the live model's metrics on the candidate's test split; None where there is nothing to compare.

    What was measured when it was published is taken where test split and config are the same; else it is evaluated
    anew.
    """
    version = live_version(destination)
    if version is None:
        return None
    manifest = read_manifest(destination / str(version))
    if manifest["digest"] == candidate_digest:
        return None
    recorded = manifest["evaluation"]
    if any(recorded[key] != candidate[key] for key in ("data_digest", "eval_config")):
        saved_model = str(destination / str(version))
        recorded = evaluate(saved_model, examples_uri, candidate["eval_config"], spec, beam_args)
    return recorded["slices"][OVERALL]
