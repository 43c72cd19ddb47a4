"""The baseline gate: does the network beat the best classical model on the test split?"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.artifact import Artifact
from tfx.types.standard_artifacts import ModelEvaluation, ModelRun

from components.artifact_files import CLASSICAL, COMPARISON, PREDICTIONS, TRAINING
from components.classical import ClassicalModels, values_of
from data.errors import ModelError
from data.scripts import listed
from data.spec import DatasetSpec, LabelFeature
from data.texts import significant, span, to_json
from models import progress, registry
from models.evaluation.comparison import Interval, difference
from models.evaluation.estimates import Estimate, num_groups
from models.evaluation.metrics import Metric
from models.evaluation.predictions import Predictions, read

SHOWN = 3  # classes


class Comparison(Artifact):
    """The network beside classical models."""

    TYPE_NAME = "Comparison"


@component
def Baseline(
    evaluation: InputArtifact[ModelEvaluation],
    model_run: InputArtifact[ModelRun],
    classical: InputArtifact[ClassicalModels],
    comparison: OutputArtifact[Comparison],
    task: Parameter[str],
    config: Parameter[str],
    spec: Parameter[str],
    metric: Parameter[str],
    require: Parameter[str],
    fingerprint: Parameter[str],
):
    """Says whether the network beats, ties with or loses to the best classical model; stops the run where it must not.

    `metric` is what is compared, `require` is `beat`, `tie`, `beat_trivial` or `report`.
    """
    facts = DatasetSpec.model_validate_json(spec)
    compared = registry.config_class(task).model_validate_json(config).compared(facts)
    classes = [name for label in facts.of(LabelFeature).values() for name in label.classes]
    predicted = read(PREDICTIONS.path(evaluation.uri))
    network = network_facts(predicted, json.loads(TRAINING.path(model_run.uri).read_text()), compared)
    result = compare(predicted, Path(classical.uri), compared[metric], classes)
    result["models"] = {"network": network, **result["models"]}
    COMPARISON.path(comparison.uri).write_text(to_json(result, indent=1))
    judge(result, require)


def compare(predicted: Predictions, classical: Path, metric: Metric, classes: Sequence[str] = ()) -> dict[str, Any]:
    """Returns how the network does beside the best classical model and, as `trivial`, beside the best trivial one.

    Args:
        predicted: The network's predictions.
        classical: Folder of the classical models' predictions and facts.
        metric: What they are compared by.
        classes: Names of the classes, where labels are predicted.
    """
    models = json.loads(CLASSICAL.path(classical).read_text())
    trivial = {name: facts for name, facts in models.items() if facts["trivial"]}
    network = metric.function(predicted.targets, predicted.values)
    beside_best, beside_trivial = (
        held_against(best_of(some, metric), metric, predicted, network, classical, classes)
        for some in (models, trivial)
    )
    return {"metric": metric.name, **beside_best, "trivial": beside_trivial, "models": models}


def held_against(
    best: str,
    metric: Metric,
    predicted: Predictions,
    network: Estimate,
    classical: Path,
    classes: Sequence[str],
) -> dict[str, Any]:
    """Returns how the network does beside another model on the same rows, as JSON values.

    Args:
        best: Name of the other model.
        metric: What they are compared by.
        predicted: The network's predictions.
        network: What `metric.function` says of them.
        classical: Folder of the other models' predictions.
        classes: Names of the classes, where labels are predicted.
    """
    other = metric.function(predicted.targets, np.load(classical / f"{best}.npy"))
    interval = difference(metric, network, other, groups=predicted.groups)
    groups = None if predicted.groups is None else num_groups(predicted.groups)
    ends = [end if math.isfinite(end) else None for end in (interval.low, interval.high)]  # JSON has no infinity
    sentence = describe(interval, metric.name, {"the network": network.value, best: other.value}, groups)
    if None in ends:
        sentence += f": {_why_unknown(predicted.targets, classes, groups)}"
    return {
        "best": best,
        "verdict": interval.verdict,
        "difference": interval.difference,
        "interval": ends,
        "groups": groups,
        "sentence": sentence,
    }


def best_of(models: dict[str, dict[str, Any]], metric: Metric) -> str:
    """Returns the name of the model that reached most, name -> facts with `metrics` among them.

    On the test split, where chance may favour one of several: the network has to beat the luckiest of them.
    """
    reached = {name: one["metrics"][metric.name] for name, one in models.items()}
    known = {name: value for name, value in reached.items() if value is not None}  # null: it was no finite number
    choose = min if metric.lower_is_better else max
    return choose(known or reached, key=lambda name: known.get(name, 0.0))


def network_facts(predicted: Predictions, training: dict[str, Any], compared: dict[str, Metric]) -> dict[str, Any]:
    """Returns what the network reached and took, as `components.classical.fit` says it of the other models."""
    return {
        "metrics": values_of(compared, predicted.targets, predicted.values),
        "rows": training["rows"],
        "train_seconds": training["seconds"],
        "microseconds_per_row": predicted.seconds / len(predicted.targets) * 1e6,
        "peak_mib": training["peak_mib"],
        "features": "none but those of preprocessing, learned with the data",
    }


def describe(interval: Interval, metric: str, values: dict[str, float], groups: int | None) -> str:
    """Returns in a sentence how the first of two models, name -> value, does beside the second."""
    (ours, value), (other, others_value) = values.items()
    by = "" if groups is None else f", by {groups:,} groups of rows"
    ends = interval.low, interval.high
    reached = " and ".join(significant(one, interval=ends) for one in (value, others_value))
    sentence = f"{metric}: {ours} {interval.verdict} {other}, {reached}"
    if not np.isfinite(ends).all():
        return f"{sentence}, and no difference can be seen"
    return f"{sentence} (95 % of differences {span(ends, '+')}{by})"


def _why_unknown(targets: np.ndarray, classes: Sequence[str], groups: int | None) -> str:
    """Returns why the test split says nothing about a difference."""
    if groups == 1:
        return "all test rows are of one group"
    single = [classes[index] for index in np.flatnonzero(np.bincount(targets) == 1)] if classes else []
    return f"only 1 test row is {listed(single, SHOWN)}" if single else "there are too few test rows"


def judge(result: dict[str, Any], require: str) -> None:
    """Reports how the network does beside the best model, or the comparison by which it is refused.

    Args:
        result: What `compare` returns.
        require: `beat`, `tie` or `report`, about the best model, or `beat_trivial`, about the best trivial one.

    Raises:
        ModelError: The network does not do as well as `require` demands.
    """
    judged = result["trivial"] if require == "beat_trivial" else result
    enough = {"beat": ("beats",), "beat_trivial": ("beats",), "tie": ("beats", "ties with")}
    if require in enough and judged["verdict"] not in enough[require]:
        progress.report(summary=judged["sentence"])
        raise ModelError(
            f"The network does not earn its place (baseline.require is {require}) and was not published; "
            f"{judged['sentence']}."
        )
    progress.report(summary=result["sentence"])
