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
from components.classical import ClassicalModels, metric_values
from data.errors import ModelError
from data.scripts import listed
from data.spec import DatasetSpec, LabelFeature
from data.texts import significant, span, to_json
from models import progress, registry
from models.evaluation.comparison import Interval, difference
from models.evaluation.estimates import Estimate, num_groups
from models.evaluation.metrics import Metric
from models.evaluation.predictions import Predictions, read

MAX_CLASSES = 3  # that a message lists


class Comparison(Artifact):
    """The comparison of the network with the classical models."""

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
    """Reports whether the network beats, ties with or loses to the best classical model, and may stop the run.

    `metric` is the name of the metric that is compared; `require`, what the network has to reach, is `beat`, `tie`,
    `beat_trivial` or `report`, which stops no run.
    """
    dataset_spec = DatasetSpec.model_validate_json(spec)
    metrics = registry.config_class(task).model_validate_json(config).compared(dataset_spec)
    classes = [name for label in dataset_spec.of(LabelFeature).values() for name in label.classes]
    predictions = read(PREDICTIONS.path(evaluation.uri))
    network = network_facts(predictions, json.loads(TRAINING.path(model_run.uri).read_text()), metrics)
    result = compare(predictions, Path(classical.uri), metrics[metric], classes)
    result["models"] = {"network": network, **result["models"]}
    result["conclusion"] = conclusion(result, require)
    COMPARISON.path(comparison.uri).write_text(to_json(result, indent=1))
    judge(result, require)


def compare(predictions: Predictions, classical: Path, metric: Metric, classes: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the comparison of the network with the best classical model and, as `trivial`, with the best trivial one.

    Args:
        predictions: The network's predictions.
        classical: Folder of the classical models' predictions and metrics.
        metric: The metric that is compared.
        classes: Names of the classes, where labels are predicted.
    """
    models = json.loads(CLASSICAL.path(classical).read_text())
    trivial_models = {name: facts for name, facts in models.items() if facts["trivial"]}
    estimate = metric.function(predictions.targets, predictions.values, predictions.weights)
    with_best, with_trivial = (
        compare_with(best_model(candidates, metric), metric, predictions, estimate, classical, classes)
        for candidates in (models, trivial_models)
    )
    return {"metric": metric.name, **with_best, "trivial": with_trivial, "models": models}


def compare_with(
    model: str,
    metric: Metric,
    predictions: Predictions,
    network: Estimate,
    classical: Path,
    classes: Sequence[str],
) -> dict[str, Any]:
    """Returns the paired comparison of the network with another model on the same rows, as JSON values.

    Args:
        model: Name of the other model.
        metric: The metric that is compared.
        predictions: The network's predictions.
        network: The estimate that `metric.function` returns for them.
        classical: Folder of the other models' predictions.
        classes: Names of the classes, where labels are predicted.
    """
    other = metric.function(predictions.targets, np.load(classical / f"{model}.npy"), predictions.weights)
    interval = difference(metric, network, other, groups=predictions.groups)
    groups = None if predictions.groups is None else num_groups(predictions.groups)
    ends = [end if math.isfinite(end) else None for end in (interval.low, interval.high)]  # JSON has no infinity
    sentence = describe(interval, metric.name, {"the network": network.value, model: other.value}, groups)
    if None in ends:
        sentence += f": {_why_unknown(predictions.targets, classes, groups)}"
    return {
        "best": model,
        "verdict": interval.verdict,
        "difference": interval.difference,
        "interval": ends,
        "groups": groups,
        "sentence": sentence,
    }


def best_model(models: dict[str, dict[str, Any]], metric: Metric) -> str:
    """Returns the name of the model with the best value of a metric on the test split.

    Chance favours the best of several models, so the network is compared with a value that is rather too good.

    Args:
        models: Name -> what `components.classical.fit` returns, of which `metrics` is read.
        metric: The metric.
    """
    values = {name: model["metrics"][metric.name] for name, model in models.items()}
    finite = {name: value for name, value in values.items() if value is not None}  # JSON has null for NaN
    choose = min if metric.lower_is_better else max
    return choose(finite or values, key=lambda name: finite.get(name, 0.0))


def network_facts(predictions: Predictions, training: dict[str, Any], metrics: dict[str, Metric]) -> dict[str, Any]:
    """Returns the network's metrics, seconds and memory under the keys of `components.classical.fit`."""
    return {
        "metrics": metric_values(metrics, predictions.targets, predictions.values, predictions.weights),
        "rows": training["rows"],
        "train_seconds": training["seconds"],
        "microseconds_per_row": predictions.seconds / len(predictions.targets) * 1e6,
        "peak_mib": training["peak_mib"],
        "features": "none but those of preprocessing, learned with the data",
    }


def describe(interval: Interval, metric: str, values: dict[str, float], groups: int | None) -> str:
    """Returns a sentence on the comparison of two models.

    Args:
        interval: Their difference.
        metric: Name of the metric.
        values: Name -> value of the first model and of the second.
        groups: Number of groups of rows; None where rows are independent.
    """
    (first, first_value), (second, second_value) = values.items()
    by = "" if groups is None else f", by {groups:,} groups of rows"
    ends = interval.low, interval.high
    shown_values = " and ".join(significant(value, interval=ends) for value in (first_value, second_value))
    sentence = f"{metric}: {first} {interval.verdict} {second}, {shown_values}"
    if not np.isfinite(ends).all():
        return f"{sentence}, and no difference can be seen"
    return f"{sentence} (95 % of differences {span(ends, '+')}{by})"


def _why_unknown(targets: np.ndarray, classes: Sequence[str], groups: int | None) -> str:
    """Returns why the interval of the difference is not finite.

    Args:
        targets: Targets of the test split, `(rows,)`.
        classes: Names of the classes, where labels are predicted.
        groups: Number of groups of rows; None where rows are independent.
    """
    if groups == 1:
        return "all test rows are of one group"
    single = [classes[index] for index in np.flatnonzero(np.bincount(targets) == 1)] if classes else []
    return f"only 1 test row is {listed(single, MAX_CLASSES)}" if single else "there are too few test rows"


def conclusion(result: dict[str, Any], require: str) -> str:
    """Returns a sentence on a network that passes the gate: the required comparison, then that with the best model.

    Args:
        result: What `compare` returns.
        require: As for `judge`.
    """
    best, trivial = result["sentence"], result["trivial"]
    if require == "report":
        return best
    if require != "beat_trivial" or trivial["best"] == result["best"]:
        return f"{best}, as required"
    return f"{trivial['sentence']}, as required; {best.removeprefix(result['metric'] + ': ')}"


def judge(result: dict[str, Any], require: str) -> None:
    """Reports the comparison with the best model, or the one by which the network is refused.

    Args:
        result: What `compare` returns.
        require: `beat`, `tie` or `report`, about the best model, or `beat_trivial`, about the best trivial one.

    Raises:
        ModelError: The network does not do as well as `require` demands.
    """
    comparison = result["trivial"] if require == "beat_trivial" else result
    passing = {"beat": ("beats",), "beat_trivial": ("beats",), "tie": ("beats", "ties with")}
    if require in passing and comparison["verdict"] not in passing[require]:
        progress.report(summary=comparison["sentence"])
        raise ModelError(
            f"The network does not earn its place (baseline.require is {require}) and was not published; "
            f"{comparison['sentence']}."
        )
    progress.report(summary=conclusion(result, require))
