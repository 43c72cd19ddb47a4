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
from models.evaluation import tfma_files
from models.evaluation.evaluation import Evaluated, Evaluation
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
    slice_by = settings.slice_columns(facts)
    saved_model = saved_model_folder(model.uri)
    predictions.write(folder, saved_model, examples.uri, facts, registry.task(task), slice_by, options)
    found = evaluate(PREDICTIONS.path(folder), settings, facts, options)
    told = {**found.as_json(), "definition": definition(settings, facts)}
    if tfma:
        from components import tfma_referee  # loads TFMA

        told["tfma"] = tfma_referee.hold(read(PREDICTIONS.path(folder)), settings.metrics(facts), found, folder)
    else:
        tfma_files.write(folder, found)
    METRICS.path(folder).write_text(
        to_json({**told, "data_digest": read_summary(examples.uri)["test"]["digest"]}, indent=1)
    )
    progress.report(summary=describe(found))


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


def describe(found: Evaluated) -> str:
    """Returns the metrics of all rows in a line, with the digits that their intervals allow, and the number of rows."""
    overall, intervals = found.slices[OVERALL], found.intervals[OVERALL]
    names = [name for name in overall if "@" not in name and name != "example_count"]
    words = [f"{name} {significant(overall[name], interval=intervals.get(name))}" for name in names]
    return ", ".join([*words, f"{overall['example_count']:,.0f} rows"])


def definition(config: TaskConfig, spec: DatasetSpec) -> dict[str, Any]:
    """Returns what was measured, as JSON values: evaluations of the same definition and rows can be compared."""
    return {"version": VERSION, "metrics": list(config.metric_ranges(spec)), "slices": list(config.slice_columns(spec))}
