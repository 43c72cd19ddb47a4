"""The model gate: metrics must reach their thresholds and must not regress against the live version."""

import json
import math
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing, ModelEvaluation

from components.artifact_files import CHALLENGE, METRICS, OVERALL, VERDICT, saved_model_folder
from components.live_model.comparable import LiveModel
from components.live_model.comparison import Candidate, LiveComparison, PairedComparison, SameRowsMetrics
from components.live_model.shared_rows import DataSource, prepare_shared_rows
from data.config import DataConfig
from data.errors import ModelError
from data.spec import DatasetSpec
from data.texts import significant, span, to_json
from models import progress, registry
from models.serving.rollout.versions import model_digest

PASSING_VERDICTS = {"not_worse": ("beats", "ties with"), "better": ("beats",)}
ROUNDING = 1e-12  # relative tolerance: in float64, 0.905 - 0.9 is more than 0.005


@component
def ModelGate(
    evaluation: InputArtifact[ModelEvaluation],
    model: InputArtifact[Model],
    examples: InputArtifact[Examples],
    blessing: OutputArtifact[ModelBlessing],
    thresholds: Parameter[str],
    destination: Parameter[str],
    spec: Parameter[str],
    task: Parameter[str],
    config: Parameter[str],
    metric: Parameter[str],
    challenge: Parameter[str],
    against_live: Parameter[str],
    source: Parameter[str],
    base: Parameter[str],
    split_rule: Parameter[str],
    split_plan: Parameter[str],
    allow_unblessed: Parameter[bool],
    run: Parameter[str],
):
    """Blesses the model, or stops the run with the metrics that failed.

    With `allow_unblessed` the run goes on without a blessing. `thresholds` is JSON, see `Requirements`. `metric` is the
    one by which candidate and live version are compared, `challenge` is `off`, `not_worse` or `better`; nothing is
    compared if `against_live` is `never`. `source` is the data source as JSON, and `base` the folder to which its paths
    are relative; `split_rule` and `split_plan` are those by which the rows were split.
    """
    candidate = Candidate(
        saved_model=saved_model_folder(model.uri),
        metrics=json.loads(METRICS.path(evaluation.uri).read_text()),
        evaluation=Path(evaluation.uri),
        task=registry.task(task),
        config=registry.config_class(task).model_validate_json(config),
        spec=DatasetSpec.model_validate_json(spec),
    )
    required = Requirements(json.loads(thresholds), challenge, metric)
    live = None if against_live == "never" else other_live_version(Path(destination), candidate)
    same_rows, paired, note = None, None, ""
    if live and required.needs_live:
        same_rows, paired, note = compare_with_live(
            live,
            candidate,
            required,
            source=_source(source, Path(base)),
            examples_uri=examples.uri,
            is_judged=live.was_tested_on(candidate.metrics["data_digest"])
            or live.has_rule(json.loads(split_rule), json.loads(split_plan)),
        )
    verdicts = judge(
        candidate.metrics["slices"][OVERALL],
        required.thresholds,
        lower_is_better=candidate.config.lower_is_better(candidate.spec),
        same_rows=same_rows,
        intervals=candidate.metrics.get("intervals", {}).get(OVERALL, {}),
    )
    decision = Decision(verdicts=verdicts, same_rows=same_rows, paired=paired, challenge=challenge, note=note)
    is_blessed = bless(Path(blessing.uri), decision, candidate.metrics, allow_unblessed=allow_unblessed)
    blessing.set_int_custom_property("blessed", int(is_blessed))


@dataclass(frozen=True)
class Requirements:
    """Requirements on a model.

    Attributes:
        thresholds: Metric name -> `max` if lower is better, else `min`, and `max_regression`.
        challenge: Required result of the paired comparison with the live version: `off`, `not_worse` or `better`.
        metric: Name of the metric of that comparison.
    """

    thresholds: Mapping[str, Mapping[str, Any]]
    challenge: str
    metric: str

    @property
    def needs_live(self) -> bool:
        """Whether any of them compares the model with the live version."""
        return bool(self.thresholds) or self.challenge != "off"


def other_live_version(destination: Path, candidate: Candidate) -> LiveModel | None:
    """Returns the live version; None if there is none, or if it is the candidate itself."""
    live = LiveModel.of(destination)
    return live if live and live.manifest["digest"] != model_digest(Path(candidate.saved_model)) else None


def _source(source_json: str, base: Path) -> DataSource:
    """Returns the data source of the run, from its JSON."""
    values = json.loads(source_json)
    return DataSource(DataConfig.model_validate(values["config"]), values["name"], base, values["digest"])


def compare_with_live(
    live: LiveModel,
    candidate: Candidate,
    required: Requirements,
    *,
    source: DataSource,
    examples_uri: str,
    is_judged: bool,
) -> tuple[SameRowsMetrics | None, PairedComparison | None, str]:
    """Compares the candidate with the live version on the same test rows.

    Args:
        live: The live version.
        candidate: The model that the run trained.
        required: Requirements on it.
        source: Data from which its rows were read.
        examples_uri: Folder of its examples.
        is_judged: Whether a regression stops the run.

    Returns:
        Metrics of both, None without common rows; the paired comparison, None without a challenge; and why nothing was
        compared, empty if it was.

    Raises:
        DataError: The data has changed since it was read, or rows are not where ingest found them.
    """
    spec, task = candidate.spec, candidate.task
    with tempfile.TemporaryDirectory() as scratch:
        shared_rows = prepare_shared_rows(
            live, source, examples_uri=examples_uri, spec=spec, task=task, scratch=Path(scratch)
        )
        if shared_rows.is_empty:
            return None, None, f"not compared with version {live.version}: there is no test row that it can predict"
        comparison = LiveComparison(live, shared_rows, candidate)
        same_rows = comparison.same_rows(is_judged=is_judged)
        if required.challenge == "off":
            return same_rows, None, ""
        return same_rows, comparison.paired(candidate.config.compared(spec)[required.metric]), ""


def bless(folder: Path, decision: "Decision", metrics: Mapping[str, Any], *, allow_unblessed: bool) -> bool:
    """Writes the decision into a blessing's folder, reports it, and returns whether the model is blessed.

    Args:
        folder: Folder of the blessing.
        decision: The decision.
        metrics: The candidate's evaluation, as in `metrics.json`.
        allow_unblessed: Whether the run goes on without a blessing if the model is not good enough.

    Raises:
        ModelError: The model is not good enough, and `allow_unblessed` is false.
    """
    if decision.paired:
        challenge_json = vars(decision.paired) | {"sentence": decision.paired.sentence()}
        CHALLENGE.path(folder).write_text(to_json(challenge_json))
    verdicts_json = [{**vars(verdict), "sentence": verdict.sentence()} for verdict in decision.verdicts]
    VERDICT.path(folder).write_text(to_json(verdicts_json, indent=1))
    progress.report(summary=decision.sentence())
    if not (decision.passed or allow_unblessed):
        raise ModelError(decision.refusal(metrics["slices"], metrics.get("intervals", {})))
    # The file names of stock TFX's Evaluator.
    (folder / ("BLESSED" if decision.passed else "NOT_BLESSED")).touch()
    return decision.passed


def reaches(value: float, bound: float, *, lower_is_better: bool, scale: float = 0.0) -> bool:
    """Whether a value reaches a bound, up to the rounding of float64.

    Args:
        value: The value.
        bound: The greatest accepted value if `lower_is_better`, else the least.
        lower_is_better: Whether a lower value is better.
        scale: Absolute value of the greatest number from which `bound` was computed, if greater than `bound`.
    """
    tolerance = ROUNDING * max(abs(value), abs(bound), scale)
    return value <= bound + tolerance if lower_is_better else value >= bound - tolerance


@dataclass(frozen=True)
class Verdict:
    """Result of one metric: the candidate's value against the threshold and against the live version.

    Attributes:
        metric: Name of the metric.
        value: The candidate's value on the test split.
        bound: The threshold: the greatest value that passes if `lower_is_better`, else the least.
        lower_is_better: Whether a lower value of the metric is better.
        max_regression: By how much a value may be worse than `published`.
        is_compared: Whether both models predicted the same rows.
        published: The live version's value on those rows; None if it has no finite one, or nothing is compared.
        candidate: The candidate's value on those rows; None as for `published`.
        is_judged: Whether a regression stops the run; if not, it is only reported.
        interval: Ends of the 95 % interval of `value`; None if not known.
    """

    metric: str
    value: float
    bound: float
    lower_is_better: bool
    max_regression: float
    is_compared: bool = False
    published: float | None = None
    candidate: float | None = None
    is_judged: bool = True
    interval: Sequence[float] | None = None

    @property
    def reaches_bound(self) -> bool:
        """Whether the value reaches the threshold."""
        return reaches(self.value, self.bound, lower_is_better=self.lower_is_better)

    @property
    def regresses(self) -> bool:
        """Whether the candidate is worse than the live version by more than `max_regression`.

        A candidate without a finite value is, unless the live version has none either.
        """
        if self.published is None:
            return False
        if self.candidate is None:
            return True
        accepted = self.published + self.max_regression * (1 if self.lower_is_better else -1)
        scale = max(abs(self.published), self.max_regression)
        return not reaches(self.candidate, accepted, lower_is_better=self.lower_is_better, scale=scale)

    @property
    def passed(self) -> bool:
        """Whether the metric accepts the model."""
        return self.reaches_bound and not (self.regresses and self.is_judged)

    def sentence(self) -> str:
        """Returns value and threshold, such as `accuracy 0.912 (95 % 0.901 to 0.922): expected >= 0.92`."""
        sign, ends = "<=" if self.lower_is_better else ">=", self.interval
        value = significant(self.value, interval=ends, bound=self.bound) + (f" (95 % {span(ends)})" if ends else "")
        text = f"{self.metric} {value}: expected {sign} {self.bound:g}"
        return text + self._live_part() if self.is_compared else text

    def _live_part(self) -> str:
        """Returns the part of `sentence` on the live version."""
        if self.published is None:
            subject = "neither has" if self.candidate is None else "it does not have"
            return f"; not compared with the live version: {subject} a finite value on the same test rows"
        text, ends, bound = "", self.interval, None
        if self.candidate is None:
            text = "; on the rows that the live version can predict it has no finite value"
        elif self.candidate != self.value:
            candidate = significant(self.candidate, interval=ends)
            text = f"; on the rows that the live version can predict {candidate}"
        if self.candidate is not None and self.candidate != self.published:
            bound = self.candidate + self.max_regression * (
                -1 if self.lower_is_better else 1
            )  # the greatest accepted one, or the least
            bound = None if math.isclose(bound, self.published, rel_tol=ROUNDING) else bound
        judged = f"at most {self.max_regression:g} worse" if self.is_judged else "only reported"
        return f"{text}, live {significant(self.published, interval=ends, bound=bound)} ({judged})"


def judge(
    metrics: Mapping[str, float],
    thresholds: Mapping[str, Mapping[str, Any]],
    *,
    lower_is_better: Collection[str],
    same_rows: SameRowsMetrics | None = None,
    intervals: Mapping[str, Sequence[float]] = MappingProxyType({}),
) -> list[Verdict]:
    """Returns a verdict for each threshold.

    Args:
        metrics: The candidate's metrics by name.
        thresholds: Metric name -> `max` if lower is better, else `min`, and `max_regression`.
        lower_is_better: Names of the metrics whose lower values are better.
        same_rows: Metrics of both models on the same rows; None if nothing is compared.
        intervals: Metric name -> ends of the 95 % interval of the candidate's value, if known.

    Raises:
        ModelError: A metric was not computed or is not a finite number.
    """
    verdicts = []
    for name, threshold in thresholds.items():
        if name not in metrics:
            raise ModelError(f"Metric {name} has no finite value; computed were {', '.join(metrics)}.")
        verdicts.append(
            Verdict(
                metric=name,
                value=metrics[name],
                bound=threshold["max" if name in lower_is_better else "min"],
                lower_is_better=name in lower_is_better,
                max_regression=threshold["max_regression"],
                is_compared=same_rows is not None,
                published=same_rows.live.get(name) if same_rows else None,
                candidate=same_rows.candidate.get(name) if same_rows else None,
                is_judged=same_rows is None or same_rows.is_judged,
                interval=intervals.get(name),
            )
        )
    return verdicts


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The decision on whether the candidate is good enough.

    Attributes:
        verdicts: One for each threshold.
        same_rows: Metrics of candidate and live version on the same rows; None if nothing is compared.
        paired: Their paired comparison on these rows by one metric; None without a challenge.
        challenge: Its required result: `off`, `not_worse` or `better`.
        note: Why nothing was compared though there is a live version; else empty.
    """

    verdicts: Sequence[Verdict]
    same_rows: SameRowsMetrics | None = None
    paired: PairedComparison | None = None
    challenge: str = "off"
    note: str = ""

    @property
    def fails_challenge(self) -> bool:
        """Whether the paired comparison has a result that the challenge does not accept."""
        is_judged = self.same_rows is None or self.same_rows.is_judged
        return self.paired is not None and is_judged and self.paired.verdict not in PASSING_VERDICTS[self.challenge]

    @property
    def passed(self) -> bool:
        """Whether the candidate may be published."""
        return all(verdict.passed for verdict in self.verdicts) and not self.fails_challenge

    def sentence(self) -> str:
        """Returns all verdicts and comparisons in a line."""
        parts = [verdict.sentence() for verdict in self.verdicts]
        parts += [self.paired.sentence()] if self.paired else []
        parts += self.same_rows.notes() if self.same_rows else [self.note] if self.note else []
        return "; ".join(parts) or "no thresholds set"

    def refusal(
        self, slices: Mapping[str, Mapping[str, float]], intervals: Mapping[str, Mapping[str, Sequence[float]]]
    ) -> str:
        """Returns the failed requirements, a line each, each metric with its worst slices, and notes on the comparison.

        Args:
            slices: Slice -> metric -> the candidate's value.
            intervals: Slice -> metric -> ends of the 95 % interval, if known.
        """
        failed = [verdict for verdict in self.verdicts if not verdict.passed]
        lines = [line for verdict in failed for line in (verdict.sentence(), *worst_slices(slices, intervals, verdict))]
        if self.paired and self.fails_challenge:
            lines.append(f"{self.paired.sentence()}; evaluate.challenge is {self.challenge}")
        lines += self.same_rows.notes() if self.same_rows else []
        return "\n  ".join(["The model is not good enough and was not published:", *lines])


def worst_slices(
    slices: Mapping[str, Mapping[str, float]],
    intervals: Mapping[str, Mapping[str, Sequence[float]]],
    verdict: Verdict,
    *,
    count: int = 3,
) -> list[str]:
    """Returns a line with the slices in which a metric is worst, such as `worst: label=Shirt 0.772 (0.745 to 0.797)`.

    The list is empty without slices.
    """
    values = {
        name: metrics[verdict.metric]
        for name, metrics in slices.items()
        if name != OVERALL and verdict.metric in metrics
    }
    worst = sorted(values, key=values.__getitem__, reverse=verdict.lower_is_better)[:count]
    parts = []
    for name in worst:
        ends = intervals.get(name, {}).get(verdict.metric)
        parts.append(f"{name} {significant(values[name], interval=ends)}" + (f" ({span(ends)})" if ends else ""))
    return ["worst: " + ", ".join(parts)] if parts else []
