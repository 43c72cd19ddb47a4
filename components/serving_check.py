"""The serving check: a server of its own answers real examples through every signature, as the trained model does."""

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
from models.task import Task

NUM_ROWS = 8

Asked = dict[str, dict[str, np.ndarray]]


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
    """Stops the run unless a server started on the model answers as it should; writes down the first answer.

    `budget` is the run file's section `serving` as JSON, `destination` the folder of the published versions, `live` the
    one of them whose latency the budget is about, for the cache key: empty where it is not; `scratch` the folder that
    a candidate which failed is left in.
    """
    facts = DatasetSpec.model_validate_json(spec)
    rows, originals = first_rows(examples.uri, "test", facts, NUM_ROWS), read_originals(examples.uri, facts)
    provider, folder, limits = registry.task(task), saved_model_folder(model.uri), json.loads(budget)
    settings = provider.config.model_validate_json(config)
    found: list[tuple[Asked, Asked]] = []

    def asked() -> tuple[Asked, Asked]:
        found.append(ask(folder, rows, provider, settings, facts, originals))
        return found[0]

    progress.report(summary="starting the server")
    measured = run_smoke_test(Path(folder), name, ask=asked, folder=Path(scratch), engine=limits["engine"])
    _, answers = found[0]
    last = before(Path(destination))
    SERVING.path(blessing.uri).write_text(to_json(measured.facts()))
    progress.report(summary=_summary(measured.facts(), last, len(rows), precision_of(Path(folder)), len(originals)))
    check_budget(measured, limits, last)
    if provider.describe_answer:
        first = {key: text(value[0]) for key, value in answers["serving_default"].items()}
        ANSWER.path(blessing.uri).write_text(provider.describe_answer(first, rows[0], facts))
    (Path(blessing.uri) / "INFRA_BLESSED").touch()
    blessing.set_int_custom_property("blessed", 1)


def ask(
    saved_model: str,
    rows: list[Row],
    task: Task,
    config: TaskConfig,
    spec: DatasetSpec,
    originals: Sequence[tuple[Row, Row]] = (),
) -> tuple[Asked, Asked]:
    """Returns questions and answers by signature and alias, all about the same rows; asked within this process.

    Args:
        saved_model: Folder of the SavedModel.
        rows: Stored rows to ask about.
        task: Words the questions.
        config: The task's settings.
        spec: The data set's facts.
        originals: More rows, each as it is stored and with the files in place of the pixels that were made of them;
            only the task's signature of files is sent the latter.

    Raises:
        ServingError: The model does not load, a signature is missing, answers are not finite, or signatures disagree.
    """
    try:
        signatures = tf.saved_model.load(saved_model).signatures
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ServingError(
            f"{saved_model} does not load ({str(error).splitlines()[0]}); nothing was published."
        ) from error
    tolerance = TOLERANCES[precision_of(Path(saved_model))]
    queries = [task.queries(row, config, spec) for row in rows]
    queries += [_with_file(task.queries(row, config, spec), task, original, spec) for row, original in originals]
    questions: Asked = {}
    answers: Asked = {}
    for name in queries[0]:
        if name not in signatures:
            raise ServingError(f"Signature {name} is missing; the model has {', '.join(signatures)}.")
        _, wanted = signatures[name].structured_input_signature
        questions[name] = {key: batch([query[name][key] for query in queries], wanted[key].dtype) for key in wanted}
        inputs = {key: tf.constant(value, wanted[key].dtype) for key, value in questions[name].items()}
        try:
            answers[name] = {key: value.numpy() for key, value in signatures[name](**inputs).items()}
        except tf.errors.InvalidArgumentError as error:
            raise ServingError(
                f"Signature {name} refuses test examples that ingest took ({error.message.splitlines()[0]}); nothing "
                "was published."
            ) from None
        _compare(name, answers[name], answers["serving_default"], tolerance, len(rows))
    return questions, answers


def _with_file(query: dict, task: Task, original: Row, spec: DatasetSpec) -> dict:
    """Returns the inputs of each signature, that of files with the file itself."""
    key, _ = spec.only(ImageFeature)
    asked = task.file_query
    return query | {asked.signature: {asked.input_key: original[key]}}


def check_budget(measured: Measurement, limits: Mapping, last: Mapping) -> None:
    """Raises ServingError with each bound, in `limits` or set by what the last version took, that is exceeded."""
    exceeded = over_budget(measured, limits, last)
    if exceeded:
        told = "; ".join(exceeded)
        raise ServingError(f"Serving check: {told}; nothing was published. Raise it, or choose a smaller model.")


def before(destination: Path) -> dict:
    """Returns the measured latency and memory of the live version; empty where they were not measured."""
    version = live_version(destination)
    try:
        return read_manifest(destination / str(version)).get("serving", {}) if version is not None else {}
    except ServingError:
        return {}


def _summary(measured: Mapping, last: Mapping, rows: int, precision: str, originals: int = 0) -> str:
    def beside(key: str, digits: int = 1) -> str:
        return f" (last {last[key]:.{digits}f})" if last.get(key) else ""

    memory = f", {measured['mib']:.0f} MiB{beside('mib', 0)}" if measured["mib"] else ""
    within = "" if precision == FLOAT32 else f" within {TOLERANCES[precision]:.2g}, as {precision} rounds,"
    files = f" and {originals} original file{'s' if originals > 1 else ''}" if originals else ""
    return (
        f"{measured['engine']} server agrees{within} on {rows} test examples{files}, p95 {measured['p95_ms']:.1f} ms"
        f"{beside('p95_ms')}, 8 clients {measured['p95_ms_8']:.1f} ms{beside('p95_ms_8')}{memory}"
    )


def _compare(name: str, answer: dict, expected: dict, tolerance: float, num_rows: int) -> None:
    """Raises ServingError unless two signatures answer alike; behind `num_rows` rows one is asked about files."""
    for key, value in answer.items():
        if value.dtype.kind != "f":
            continue
        if not np.isfinite(value).all():
            raise ServingError(f"Signature {name} answered {key} that is not finite; nothing was published.")
        if key not in expected:  # a signature that answers another question
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


def text(value):
    """Returns an answer for one row as Python values, bytes as text."""
    found = value.tolist()
    if isinstance(found, list):
        return [item.decode() if isinstance(item, bytes) else item for item in found]
    return found.decode() if isinstance(found, bytes) else found
