"""The serving check: serves the exported model, and compares its predictions of test examples in each signature."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, InfraBlessing, Model

from components.artifact_files import ANSWER, SERVING, saved_model_folder
from components.example_gen import first_rows, read_originals
from data.errors import ServingError
from data.spec import DatasetSpec, ImageFeature, Row
from data.texts import to_json
from models import progress, registry
from models.config import TaskConfig
from models.export import batch
from models.precision import FLOAT32, TOLERANCES, precision_of
from models.serving.rollout.rollouts import live_version
from models.serving.rollout.versions import read_manifest
from models.serving.smoke_test.candidate import greatest_difference
from models.serving.smoke_test.measurement import Measurement, over_budget
from models.serving.smoke_test.smoke_test import run_smoke_test
from models.task import FileQuery, Task

NUM_ROWS = 8

Tensors = dict[str, dict[str, np.ndarray]]  # signature -> alias -> values, `(examples, ...)`


@component
def ServingCheck(
    model: InputArtifact[Model],
    examples: InputArtifact[Examples],
    blessing: OutputArtifact[InfraBlessing],
    name: Parameter[str],
    task: Parameter[str],
    config: Parameter[str],
    spec: Parameter[str],
    budget: Parameter[str],
    destination: Parameter[str],
    live: Parameter[str],
    scratch: Parameter[str],
    fingerprint: Parameter[str],
):
    """Stops the run unless a server that serves the model predicts as the model does, within the budget.

    It writes the prediction of the first test example. `budget` is the run file's section `serving` as JSON;
    `destination` is the folder of the published versions. `live` is there for the cache key: the version whose latency
    is part of the budget, empty if it is not. `scratch` is the folder in which a failed candidate is left.
    """
    dataset_spec = DatasetSpec.model_validate_json(spec)
    rows = first_rows(examples.uri, "test", dataset_spec, NUM_ROWS)
    originals = read_originals(examples.uri, dataset_spec)
    provider, folder, limits = registry.task(task), saved_model_folder(model.uri), json.loads(budget)
    settings = provider.config.model_validate_json(config)
    results: list[tuple[Tensors, Tensors]] = []

    def predict_once() -> tuple[Tensors, Tensors]:
        results.append(predict_rows(folder, rows, provider, settings, dataset_spec, originals))
        return results[0]

    progress.report(summary="starting the server")
    measured = run_smoke_test(Path(folder), name, ask=predict_once, folder=Path(scratch), engine=limits["engine"])
    _, predictions = results[0]
    live_facts = live_measurement(Path(destination))
    SERVING.path(blessing.uri).write_text(to_json(measured.facts()))
    progress.report(
        summary=_summary(measured.facts(), live_facts, len(rows), precision_of(Path(folder)), len(originals))
    )
    check_budget(measured, limits, live_facts)
    if provider.describe_answer:
        first = {key: as_python(value[0]) for key, value in predictions["serving_default"].items()}
        ANSWER.path(blessing.uri).write_text(provider.describe_answer(first, rows[0], dataset_spec))
    (Path(blessing.uri) / "INFRA_BLESSED").touch()
    blessing.set_int_custom_property("blessed", 1)


def predict_rows(
    saved_model: str,
    rows: list[Row],
    task: Task,
    config: TaskConfig,
    spec: DatasetSpec,
    originals: Sequence[tuple[Row, Row]] = (),
) -> tuple[Tensors, Tensors]:
    """Returns the inputs and the outputs of each signature for the same rows, predicted within this process.

    Args:
        saved_model: Folder of the SavedModel.
        rows: Stored rows.
        task: The task, whose `queries` are the inputs of each signature.
        config: The task's settings.
        spec: The data set's features.
        originals: More rows, each as stored and with the original picture files in place of the pixels; the task's
            signature for files gets the files.

    Raises:
        ServingError: The model does not load, a signature is missing, outputs are not finite, or signatures disagree.
    """
    try:
        signatures = tf.saved_model.load(saved_model).signatures
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ServingError(
            f"{saved_model} does not load ({str(error).splitlines()[0]}); nothing was published."
        ) from error
    tolerance = TOLERANCES[precision_of(Path(saved_model))]
    queries = [task.queries(row, config, spec) for row in rows]
    queries += [
        _with_file(task.queries(row, config, spec), task.file_query(config, spec), original, spec)
        for row, original in originals
    ]
    inputs: Tensors = {}
    outputs: Tensors = {}
    for name in queries[0]:
        if name not in signatures:
            raise ServingError(f"Signature {name} is missing; the model has {', '.join(signatures)}.")
        _, specs = signatures[name].structured_input_signature
        inputs[name] = {key: batch([query[name][key] for query in queries], specs[key].dtype) for key in specs}
        tensors = {key: tf.constant(value, specs[key].dtype) for key, value in inputs[name].items()}
        try:
            outputs[name] = {key: value.numpy() for key, value in signatures[name](**tensors).items()}
        except tf.errors.InvalidArgumentError as error:
            raise ServingError(
                f"Signature {name} refuses test examples that ingest took ({error.message.splitlines()[0]}); nothing "
                "was published."
            ) from None
        _compare(name, outputs[name], outputs["serving_default"], tolerance, len(rows))
    return inputs, outputs


def _with_file(query: dict, file_query: FileQuery, original: Row, spec: DatasetSpec) -> dict:
    """Returns the inputs of each signature, with the original file for the signature that takes files."""
    key, _ = spec.only(ImageFeature)
    return query | {file_query.signature: {file_query.input_key: original[key]}}


def check_budget(measured: Measurement, limits: Mapping, live_facts: Mapping) -> None:
    """Raises ServingError if the measured latency or memory exceeds the budget.

    Args:
        measured: The candidate's latency and memory.
        limits: The run file's section `serving`.
        live_facts: What `live_measurement` returns.
    """
    exceeded = over_budget(measured, limits, live_facts)
    if exceeded:
        bounds = "; ".join(exceeded)
        raise ServingError(f"Serving check: {bounds}; nothing was published. Raise it, or choose a smaller model.")


def live_measurement(destination: Path) -> dict:
    """Returns the recorded latency and memory of the live version; empty if there are none."""
    version = live_version(destination)
    try:
        return read_manifest(destination / str(version)).get("serving", {}) if version is not None else {}
    except ServingError:
        return {}


def _summary(measured: Mapping, live: Mapping, rows: int, precision: str, originals: int = 0) -> str:
    """Returns the line of a passed comparison: numbers of rows and files, latency, memory, and those of `live`."""

    def value(key: str, unit: str, digits: int = 1) -> str:
        last = f" (live version {live[key]:.{digits}f})" if live.get(key) else ""
        return f"{measured[key]:.{digits}f} {unit}{last}"

    memory = f"; memory {value('mib', 'MiB', 0)}" if measured["mib"] else ""
    within = "" if precision == FLOAT32 else f" within {TOLERANCES[precision]:.2g}, as {precision} rounds,"
    files = f" and {originals} original file{'s' if originals > 1 else ''}" if originals else ""
    return (
        f"{measured['engine']} server agrees{within} on {rows} test examples{files}; 95 % of single requests within "
        f"{value('p95_ms', 'ms')}; with 8 clients within {value('p95_ms_8', 'ms')}{memory}"
    )


def _compare(name: str, outputs: dict, expected: dict, tolerance: float, num_rows: int) -> None:
    """Raises ServingError unless two signatures agree.

    Args:
        name: The signature.
        outputs: Its outputs by alias, `(examples, ...)`.
        expected: Those of `serving_default`.
        tolerance: The greatest difference that is accepted.
        num_rows: Number of stored rows; the examples after them are original files.
    """
    for key, value in outputs.items():
        if value.dtype.kind != "f":
            continue
        if not np.isfinite(value).all():
            raise ServingError(f"Signature {name} answered {key} that is not finite; nothing was published.")
        if key not in expected:  # this signature has another output
            continue
        for rows, what in (
            (slice(num_rows), "the same example"),
            (slice(num_rows, None), "an original file and the pixels that ingest made of it"),
        ):
            difference = greatest_difference(value[rows], expected[key][rows])
            if difference > tolerance:
                raise ServingError(
                    f"Signatures serving_default and {name} disagree on {key} by {difference:.2g} for {what} "
                    f"(at most {tolerance:g} allowed); nothing was published."
                )


def as_python(output: np.ndarray):
    """Returns an output for one row as Python values, bytes as text."""
    value = output.tolist()
    if isinstance(value, list):
        return [item.decode() if isinstance(item, bytes) else item for item in value]
    return value.decode() if isinstance(value, bytes) else value
