"""Evaluates an exported model on the test split with TFMA."""

import json
import math
from pathlib import Path

import tensorflow_model_analysis as tfma
from apache_beam.options.pipeline_options import PipelineOptions
from google.protobuf import text_format
from tensorflow_model_analysis.proto import config_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model, ModelEvaluation

from components.example_gen import read_summary
from models import progress

METRICS = "metrics.json"
OVERALL = "overall"


@component
def TestEvaluator(
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    evaluation: OutputArtifact[ModelEvaluation],
    eval_config: Parameter[str],
    beam_args: Parameter[str],
    fingerprint: Parameter[str],
):
    """Writes TFMA's results, and a plain metrics.json beside them, for the model on the test split."""
    metrics = evaluate(saved_model_folder(model.uri), examples.uri, eval_config, json.loads(beam_args), evaluation.uri)
    (Path(evaluation.uri) / METRICS).write_text(json.dumps(metrics, indent=1))
    overall = {name: value for name, value in metrics["slices"][OVERALL].items() if "@" not in name}
    progress.report(**overall)


def saved_model_folder(model_uri: str) -> str:
    """Returns where TFX's Trainer puts the SavedModel below its artifact."""
    return str(Path(model_uri) / "Format-Serving")


def evaluate(
    saved_model: str, examples_uri: str, eval_config: str, beam_args: list[str], output_folder: str | None = None
) -> dict:
    """Returns the metrics of a SavedModel on the test split.

    Args:
        saved_model: Folder of the SavedModel.
        examples_uri: Folder of the examples, with `Split-test` below it.
        eval_config: tfma.EvalConfig as text proto.
        beam_args: Beam's pipeline options.
        output_folder: Receives TFMA's own files; None keeps none.

    Returns:
        `slices`: slice name (`overall`, `label:3`) -> metric name -> value, a metric of one class as `recall@3`;
        `confusion_matrix`: rows of counts, true class by predicted class, where the config asks for it;
        `data_digest`: identifies the test split; `eval_config`: the config they were made with.
    """
    config = text_format.Parse(eval_config, config_pb2.EvalConfig())
    result = tfma.run_model_analysis(
        eval_shared_model=tfma.default_eval_shared_model(saved_model, eval_config=config),
        eval_config=config,
        data_location=str(Path(examples_uri) / "Split-test" / "*.tfrecord"),
        output_path=output_folder,
        pipeline_options=PipelineOptions(beam_args),
    )
    metrics = {
        "slices": {_slice_name(key): _flatten(values) for key, values in result.slicing_metrics},
        "data_digest": read_summary(examples_uri)["test"]["digest"],
        "eval_config": eval_config,
    }
    counts = _confusion_matrix(result, len(metrics["slices"]) - 1)
    return {**metrics, "confusion_matrix": counts} if counts else metrics


def _slice_name(key: tuple) -> str:
    return ",".join(f"{column}:{value}" for column, value in key) or OVERALL


def _flatten(outputs: dict) -> dict[str, float]:
    """Returns name -> value from TFMA's output -> sub key -> name -> typed value; leaves out what is not a number."""
    flat = {}
    for sub_keys in outputs.values():
        for sub_key, values in sub_keys.items():
            suffix = "@" + sub_key.split(":")[-1] if sub_key else ""
            for name, value in values.items():
                number = value.get("doubleValue") if isinstance(value, dict) else None
                if number is not None and math.isfinite(float(number)):
                    flat[name + suffix] = float(number)
    return dict(sorted(flat.items()))


def _confusion_matrix(result, num_classes: int) -> list[list[int]] | None:
    for key, outputs in result.plots:
        if key:
            continue
        for sub_keys in outputs.values():
            for plots in sub_keys.values():
                matrices = plots.get("multiClassConfusionMatrixAtThresholds", {}).get("matrices", [])
                if matrices:
                    counts = [[0] * num_classes for _ in range(num_classes)]
                    for entry in matrices[0].get("entries", []):
                        true, predicted = entry.get("actualClassId", 0), entry.get("predictedClassId", 0)
                        if predicted >= 0:
                            counts[true][predicted] = round(float(entry.get("numWeightedExamples", 0)))
                    return counts
    return None
