"""The serving check: loads the exported model anew and asks every signature about the same examples."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, InfraBlessing, Model

from components.evaluator import saved_model_folder
from components.example_gen import first_rows
from data.errors import ServingError
from data.spec import DatasetSpec
from models import progress, registry

ANSWER = "answer.txt"
NUM_ROWS = 8
TOLERANCE = 1e-5


@component
def ServingCheck(
    model: InputArtifact[Model],
    examples: InputArtifact[Examples],
    blessing: OutputArtifact[InfraBlessing],
    task: Parameter[str],
    spec: Parameter[str],
    fingerprint: Parameter[str],
):
    """Stops the run unless all signatures load, answer, and agree; writes down the first answer."""
    facts = DatasetSpec.model_validate_json(spec)
    rows = first_rows(examples.uri, "test", facts, NUM_ROWS)
    provider = registry.task(task)
    answer = check(saved_model_folder(model.uri), rows, provider, facts)
    progress.report(summary=f"all signatures agree on {len(rows)} test examples")
    if provider.describe_answer:
        (Path(blessing.uri) / ANSWER).write_text(provider.describe_answer(answer, rows[0], facts))
    (Path(blessing.uri) / "INFRA_BLESSED").touch()
    blessing.set_int_custom_property("blessed", 1)


def check(saved_model: str, rows: list, task, spec: DatasetSpec) -> dict:
    """Returns the first row's answer from `serving_default`.

    Args:
        saved_model: Folder of the SavedModel.
        rows: Stored rows to ask about.
        task: The `models.task.Task`.
        spec: The data set's facts.

    Raises:
        ServingError: The model does not load, a signature is missing, answers are not finite, or signatures disagree.
    """
    try:
        signatures = tf.saved_model.load(saved_model).signatures
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise ServingError(
            f"{saved_model} does not load ({str(error).splitlines()[0]}); nothing was published."
        ) from error
    queries = [task.queries(row, spec) for row in rows]
    answers = {}
    for name in queries[0]:
        if name not in signatures:
            raise ServingError(f"Signature {name} is missing; the model has {', '.join(signatures)}.")
        _, wanted = signatures[name].structured_input_signature
        inputs = {key: tf.constant([query[name][key] for query in queries], wanted[key].dtype) for key in wanted}
        answers[name] = {key: value.numpy() for key, value in signatures[name](**inputs).items()}
        _compare(name, answers[name], answers["serving_default"])
    return {key: _text(value[0]) for key, value in answers["serving_default"].items()}


def _compare(name: str, answer: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for key, value in answer.items():
        if value.dtype.kind != "f":
            continue
        if not np.isfinite(value).all():
            raise ServingError(f"Signature {name} answered {key} that is not finite; nothing was published.")
        if key not in expected:  # a signature that answers another question
            continue
        difference = float(np.abs(value - expected[key]).max())
        if difference > TOLERANCE:
            raise ServingError(
                f"Signatures serving_default and {name} disagree on {key} by {difference:.2g} for the same example "
                f"(at most {TOLERANCE:g} allowed); nothing was published."
            )


def _text(value):
    """Returns an answer for one row as Python values, bytes as text."""
    found = value.tolist()
    if isinstance(found, list):
        return [item.decode() if isinstance(item, bytes) else item for item in found]
    return found.decode() if isinstance(found, bytes) else found
