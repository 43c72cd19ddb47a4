"""The baseline gate: does the network beat the best classical model on the test split?"""

import json
from pathlib import Path

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
from models.evaluation.bootstrap import paired_bootstrap
from models.evaluation.predictions import read


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
    facts = DatasetSpec.model_validate_json(spec)
    others = json.loads(CLASSICAL.path(classical.uri).read_text())
    training = json.loads(TRAINING.path(model_run.uri).read_text())
    compared = registry.config_class(task).model_validate_json(config).compared(facts)
    judged = compared[metric]
    # On the test split, where chance may favour one of several: the network has to beat the luckiest of them.
    best = (min if judged.lower_is_better else max)(others, key=lambda name: others[name]["metrics"][metric])
    answers = read(PREDICTIONS.path(evaluation.uri))
    others_best = np.load(Path(classical.uri) / f"{best}.npy")
    interval = paired_bootstrap(judged, answers.targets, answers.values, others_best, seed=seed)
    network = {
        "metrics": values_of(compared, answers.targets, answers.values),
        "rows": training["rows"],
        "train_seconds": training["seconds"],
        "microseconds_per_row": answers.seconds / len(answers.targets) * 1e6,
        "peak_mib": training["peak_mib"],
        "features": "none but those of preprocessing, learned with the data",
    }
    sentence = (
        f"{metric}: the network {interval.verdict} {best}, {network['metrics'][metric]:.4f} and "
        f"{others[best]['metrics'][metric]:.4f} "
        f"(95 % of differences {interval.low:+.4f} to {interval.high:+.4f})"
    )
    result = {"metric": metric, "best": best, "models": {"network": network, **others}, "verdict": interval.verdict}
    result |= {"difference": interval.difference, "interval": [interval.low, interval.high], "sentence": sentence}
    COMPARISON.path(comparison.uri).write_text(json.dumps(result, indent=1))
    progress.report(summary=sentence)
    check(interval.verdict, require, sentence)


def check(verdict: str, require: str, sentence: str) -> None:
    """Raises ModelError when the network does not do as well as `require` demands."""
    enough = {"beat": ("beats",), "tie": ("beats", "ties with"), "report": ("beats", "ties with", "loses to")}
    if verdict not in enough[require]:
        raise ModelError(
            f"The network does not earn its place (baseline.require is {require}) and was not published; {sentence}."
        )
