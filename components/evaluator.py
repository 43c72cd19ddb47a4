"""Evaluates an exported model on the test split: predicts once, and computes all metrics from the predictions."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model, ModelEvaluation

from components import predictions
from components.artifact_files import METRICS, OVERALL, PREDICTIONS, saved_model_folder
from components.example_gen import read_summary
from data.columnar.workers import accumulate
from data.spec import DatasetSpec, LabelFeature
from data.texts import significant, to_json
from models import progress, registry
from models.config import TaskConfig
from models.evaluation import EXAMPLE_COUNT, tfma_files
from models.evaluation.evaluation import Evaluation, EvaluationResult
from models.evaluation.names import shown
from models.evaluation.predictions import batches_of, read
from models.serving.deployment import standby

VERSION = 2  # of the metrics' definitions; 1 was TFMA's


@component
def TestEvaluator(
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    evaluation: OutputArtifact[ModelEvaluation],
    spec: Parameter[str],
    task: Parameter[str],
    config: Parameter[str],
    tfma: Parameter[bool],
    beam_args: Parameter[str],
    fingerprint: Parameter[str],
):
    """Writes the predictions of the test split, its worst mistakes, metrics.json with metrics and intervals, and TFMA's
    result files.

    With `tfma`, TFMA computes its metrics, which have to agree, and writes its result files itself. `data_digest` in
    metrics.json identifies the test split.
    """
    standby.begin()  # the serving check's process: it imports its modules while the model predicts
    dataset_spec = DatasetSpec.model_validate_json(spec)
    settings = registry.config_class(task).model_validate_json(config)
    folder, options = Path(evaluation.uri), json.loads(beam_args)
    predictions.write(
        folder,
        saved_model_folder(model.uri),
        examples.uri,
        spec=dataset_spec,
        task=registry.task(task),
        slice_by=settings.slice_columns(dataset_spec),
        beam_args=options,
    )
    result = evaluate(PREDICTIONS.path(folder), settings, dataset_spec, options)
    write_metrics(folder, result, settings, dataset_spec, examples_uri=examples.uri, tfma=tfma)
    progress.report(summary=describe(result))


def evaluate(folder: Path, config: TaskConfig, spec: DatasetSpec, beam_args: Sequence[str] = ()) -> EvaluationResult:
    """Returns the metrics of stored predictions.

    Args:
        folder: Folder of the predictions' files.
        config: The task's settings, which name the metrics.
        spec: The data set's features.
        beam_args: Beam's options, if several workers evaluate.
    """
    label = next(iter(spec.of(LabelFeature)), None)
    new_evaluation = functools.partial(Evaluation, config.metrics(spec), label)
    return accumulate(sorted(folder.glob("*.parquet")), batches_of, new_evaluation, beam_args).result()


def write_metrics(
    folder: Path, result: EvaluationResult, config: TaskConfig, spec: DatasetSpec, *, examples_uri: str, tfma: bool
) -> None:
    """Writes metrics.json, and TFMA's result files.

    Args:
        folder: Folder of the evaluation, with the predictions.
        result: The metrics of these.
        config: The task's settings, which name the metrics.
        spec: The data set's features.
        examples_uri: Folder of the examples.
        tfma: Whether TFMA computes its metrics, which have to agree, and writes its result files itself.

    Raises:
        ModelError: A metric differs from TFMA's.
    """
    metrics_json = {**result.as_json(), "definition": definition(config, spec)}
    if tfma:
        from components import tfma_check  # loads TFMA

        metrics_json["tfma"] = tfma_check.check_metrics(
            read(PREDICTIONS.path(folder)), config.metrics(spec), result, folder
        )
    else:
        tfma_files.write(folder, result)
    metrics_json["data_digest"] = read_summary(examples_uri)["test"]["digest"]
    METRICS.path(folder).write_text(to_json(metrics_json, indent=1))


def describe(result: EvaluationResult) -> str:
    """Returns a line with the metrics of all rows, in the digits that their intervals allow, and the number of rows."""
    overall, intervals = result.slices[OVERALL], result.intervals[OVERALL]
    words = [f"{name} {significant(overall[name], interval=intervals.get(name))}" for name in shown(overall)]
    return ", ".join([*words, f"{overall[EXAMPLE_COUNT]:,.0f} rows"])


def definition(config: TaskConfig, spec: DatasetSpec) -> dict[str, Any]:
    """Returns the definition of an evaluation as JSON values; those of the same definition and rows can be compared."""
    return {"version": VERSION, "metrics": list(config.metric_ranges(spec)), "slices": list(config.slice_columns(spec))}
