"""The baseline gate: does the network beat the best classical model on the test split?"""

import json
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
from data.spec import DatasetSpec
from models import progress, registry
from models.evaluation.bootstrap import Interval, paired_bootstrap
from models.evaluation.metrics import Metric
from models.evaluation.predictions import Answers, read


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
    seed: Parameter[int],
    fingerprint: Parameter[str],
):
    """Says whether the network beats, ties with or loses to the best classical model; stops the run where it must not.

    `metric` is what is compared, `require` is `beat`, `tie` or `report`.
    """
    compared = registry.config_class(task).model_validate_json(config).compared(DatasetSpec.model_validate_json(spec))
    answers = read(PREDICTIONS.path(evaluation.uri))
    others = json.loads(CLASSICAL.path(classical.uri).read_text())
    best = best_of(others, compared[metric])
    others_best = np.load(Path(classical.uri) / f"{best}.npy")
    interval = paired_bootstrap(compared[metric], answers.targets, answers.values, others_best, seed=seed)
    network = network_facts(answers, json.loads(TRAINING.path(model_run.uri).read_text()), compared)
    sentence = describe(interval, metric, {"network": network, **others}, best)
    result = {"metric": metric, "best": best, "models": {"network": network, **others}, "verdict": interval.verdict}
    result |= {"difference": interval.difference, "interval": [interval.low, interval.high], "sentence": sentence}
    COMPARISON.path(comparison.uri).write_text(json.dumps(result, indent=1))
    progress.report(summary=sentence)
    check(interval.verdict, require, sentence)


def best_of(models: dict[str, dict[str, Any]], metric: Metric) -> str:
    """Returns the name of the model that reached most, name -> facts with `metrics` among them.

    On the test split, where chance may favour one of several: the network has to beat the luckiest of them.
    """
    choose = min if metric.lower_is_better else max
    return choose(models, key=lambda name: models[name]["metrics"][metric.name])


def network_facts(answers: Answers, training: dict[str, Any], compared: dict[str, Metric]) -> dict[str, Any]:
    """Returns what the network reached and took, as `components.classical.fit` says it of the other models."""
    return {
        "metrics": values_of(compared, answers.targets, answers.values),
        "rows": training["rows"],
        "train_seconds": training["seconds"],
        "microseconds_per_row": answers.seconds / len(answers.targets) * 1e6,
        "peak_mib": training["peak_mib"],
        "features": "none but those of preprocessing, learned with the data",
    }


def describe(interval: Interval, metric: str, models: dict[str, dict[str, Any]], best: str) -> str:
    """Returns in a sentence how the network does beside the best of the other models."""
    network, other = (models[name]["metrics"][metric] for name in ("network", best))
    return (
        f"{metric}: the network {interval.verdict} {best}, {network:.4f} and {other:.4f} "
        f"(95 % of differences {interval.low:+.4f} to {interval.high:+.4f})"
    )


def check(verdict: str, require: str, sentence: str) -> None:
    """Raises ModelError when the network does not do as well as `require` demands."""
    enough = {"beat": ("beats",), "tie": ("beats", "ties with"), "report": ("beats", "ties with", "loses to")}
    if verdict not in enough[require]:
        raise ModelError(
            f"The network does not earn its place (baseline.require is {require}) and was not published; {sentence}."
        )
