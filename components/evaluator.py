"""Evaluates an exported model on the test split: predicts once, and measures what was predicted."""

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
from data.columnar.workers import over
from data.spec import DatasetSpec, LabelFeature
from data.texts import significant, to_json
from models import progress, registry
from models.config import TaskConfig
from models.evaluation import EXAMPLE_COUNT, tfma_files
from models.evaluation.evaluation import Evaluated, Evaluation
from models.evaluation.names import shown
from models.evaluation.predictions import batches_of, read
from models.serving.deployment import standby

VERSION = 2  # of the definitions of metrics; 1 was TFMA's


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

    With `tfma` TFMA computes its own, has to agree, and writes those files. The metrics carry what identifies the test
    split, `data_digest`.
    """
    standby.begin()  # for the serving check: it imports beside the model
    facts, settings = DatasetSpec.model_validate_json(spec), registry.config_class(task).model_validate_json(config)
    folder, options = Path(evaluation.uri), json.loads(beam_args)
    predictions.write(
        folder,
        saved_model_folder(model.uri),
        examples.uri,
        spec=facts,
        task=registry.task(task),
        slice_by=settings.slice_columns(facts),
        beam_args=options,
    )
    result = evaluate(PREDICTIONS.path(folder), settings, facts, options)
    write_metrics(folder, result, settings, facts, examples_uri=examples.uri, tfma=tfma)
    progress.report(summary=describe(result))


def evaluate(folder: Path, config: TaskConfig, spec: DatasetSpec, beam_args: Sequence[str] = ()) -> Evaluated:
    """Returns the metrics of stored predictions.

    Args:
        folder: Of the predictions' files.
        config: The task's settings, which name the metrics.
        spec: The data set's facts.
        beam_args: Beam's options, where several workers measure.
    """
    label = next(iter(spec.of(LabelFeature)), None)
    make = functools.partial(Evaluation, config.metrics(spec), label)
    return over(sorted(folder.glob("*.parquet")), batches_of, make, beam_args).result()


def write_metrics(
    folder: Path, result: Evaluated, config: TaskConfig, spec: DatasetSpec, *, examples_uri: str, tfma: bool
) -> None:
    """Writes metrics.json, and TFMA's result files.

    Args:
        folder: The evaluation's, with the predictions.
        result: The metrics of these.
        config: The task's settings, which name the metrics.
        spec: The data set's facts.
        examples_uri: Folder of the examples.
        tfma: Whether TFMA computes its own, which have to agree, and writes its files.

    Raises:
        ModelError: TFMA computes another number.
    """
    metrics_json = {**result.as_json(), "definition": definition(config, spec)}
    if tfma:
        from components import tfma_referee  # loads TFMA

        metrics_json["tfma"] = tfma_referee.hold(read(PREDICTIONS.path(folder)), config.metrics(spec), result, folder)
    else:
        tfma_files.write(folder, result)
    metrics_json["data_digest"] = read_summary(examples_uri)["test"]["digest"]
    METRICS.path(folder).write_text(to_json(metrics_json, indent=1))


def describe(result: Evaluated) -> str:
    """Returns the metrics of all rows in a line, with the digits that their intervals allow, and the number of rows."""
    overall, intervals = result.slices[OVERALL], result.intervals[OVERALL]
    words = [f"{name} {significant(overall[name], interval=intervals.get(name))}" for name in shown(overall)]
    return ", ".join([*words, f"{overall[EXAMPLE_COUNT]:,.0f} rows"])


def definition(config: TaskConfig, spec: DatasetSpec) -> dict[str, Any]:
    """Returns what was measured, as JSON values: evaluations of the same definition and rows can be compared."""
    return {"version": VERSION, "metrics": list(config.metric_ranges(spec)), "slices": list(config.slice_columns(spec))}
