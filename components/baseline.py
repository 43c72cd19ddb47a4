"""The baseline gate: does the network beat the best classical model on the test split?"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.artifact import Artifact
from tfx.types.standard_artifacts import Examples, Model, ModelRun

from components.classical import FACTS, ClassicalModels, measured, read_frame, values_of
from components.evaluator import saved_model_folder
from components.example_gen import split_files
from data.errors import ModelError
from data.spec import DatasetSpec
from models import progress, registry
from models.classical import paired_bootstrap

COMPARISON = "comparison.json"
TRAINING = "training.json"


class Comparison(Artifact):
    """The network beside classical models."""

    TYPE_NAME = "Comparison"


@component
def Baseline(
    model: InputArtifact[Model],
    model_run: InputArtifact[ModelRun],
    classical: InputArtifact[ClassicalModels],
    examples: InputArtifact[Examples],
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
    others = json.loads((Path(classical.uri) / FACTS).read_text())
    training = json.loads((Path(model_run.uri) / TRAINING).read_text())
    provider = registry.task(task)
    compared = provider.compared(provider.config.model_validate_json(config), facts)
    judged = compared[metric]
    # On the test split, where chance may favour one of several: the network has to beat the luckiest of them.
    best = (min if judged.lower_is_better else max)(others, key=lambda name: others[name]["metrics"][metric])
    (target,) = facts.targets()
    targets = read_frame(examples.uri, "test", facts)[target].to_numpy()
    predictions, seconds = predict_split(saved_model_folder(model.uri), examples.uri, "test", provider.prediction_key)
    interval = paired_bootstrap(judged, targets, predictions, np.load(Path(classical.uri) / f"{best}.npy"), seed=seed)
    network = {
        "metrics": values_of(compared, targets, predictions),
        "rows": training["rows"],
        "train_seconds": training["seconds"],
        "microseconds_per_row": seconds / len(targets) * 1e6,
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
    (Path(comparison.uri) / COMPARISON).write_text(json.dumps(result, indent=1))
    progress.report(summary=sentence)
    check(interval.verdict, require, sentence)


def check(verdict: str, require: str, sentence: str) -> None:
    """Raises ModelError when the network does not do as well as `require` demands."""
    enough = {"beat": ("beats",), "tie": ("beats", "ties with"), "report": ("beats", "ties with", "loses to")}
    if verdict not in enough[require]:
        raise ModelError(
            f"The network does not earn its place (baseline.require is {require}) and was not published; {sentence}."
        )


def predict_split(saved_model: str, examples_uri: str, split: str, key: str) -> tuple[np.ndarray, float]:
    """Returns what `serving_default` answers under `key` for each row of a split, and the seconds it took."""
    answer = tf.saved_model.load(saved_model).signatures["serving_default"]
    batches = list(tf.data.TFRecordDataset(split_files(examples_uri, split)).batch(512))
    answer(batches[0])  # the first one is traced

    def ask() -> np.ndarray:
        return np.concatenate([answer(batch)[key].numpy() for batch in batches])

    predictions, seconds, _ = measured(ask)
    return predictions, seconds
