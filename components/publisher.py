"""Publishes a blessed model into TF Serving's layout: a numbered folder that appears whole, or not at all."""

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import InfraBlessing, Model, ModelBlessing, ModelEvaluation, PushedModel

from data.errors import ServingError
from models import progress

METRICS = "metrics.json"
MANIFEST = Path("assets.extra") / "headrace.json"


@component
def Publisher(
    model: InputArtifact[Model],
    model_blessing: InputArtifact[ModelBlessing],
    infra_blessing: InputArtifact[InfraBlessing],
    evaluation: InputArtifact[ModelEvaluation],
    pushed_model: OutputArtifact[PushedModel],
    destination: Parameter[str],
    manifest: Parameter[str],
    run: Parameter[str],
):
    """Publishes the model and records where it is; a model that is the newest version already is left alone."""
    for artifact in (model_blessing, infra_blessing):
        if not artifact.get_int_custom_property("blessed"):
            raise ServingError(f"{artifact.type_name} is missing; nothing was published.")
    facts = json.loads(manifest) | {
        "run": run,
        "evaluation": json.loads((Path(evaluation.uri) / METRICS).read_text()),
    }
    version = publish(Path(model.uri) / "Format-Serving", Path(destination), facts)
    progress.report(summary=f"version {version}")
    pushed_model.set_string_custom_property("pushed_destination", str(Path(destination) / str(version)))
    pushed_model.set_string_custom_property("pushed_version", str(version))


def publish(model: Path, destination: Path, facts: dict) -> int:
    """Publishes a SavedModel below `destination` and returns its version.

    The version is the clock in seconds since 1970, or one more than the highest there is. TF Serving takes any folder
    whose name is a number and never checks that it is complete: the copy is staged under another name, flushed to
    disk, and renamed once.

    Args:
        model: Folder of the SavedModel.
        destination: Folder of the pipeline's versions.
        facts: Written to `assets.extra/headrace.json` beside the model's digest.
    """
    digest = model_digest(model)
    newest = last_version(destination)
    if newest is not None and read_manifest(destination / str(newest)).get("digest") == digest:
        return newest
    destination.mkdir(parents=True, exist_ok=True)
    version = max(int(time.time()), (newest or 0) + 1)
    staging = destination / f".staging-{os.getpid()}-{version}"
    try:
        shutil.copytree(model, staging)
        (staging / MANIFEST).parent.mkdir(exist_ok=True)
        (staging / MANIFEST).write_text(json.dumps({"digest": digest, "version": version, **facts}, indent=1))
        for path in [*staging.rglob("*"), staging]:
            _flush(path)
        staging.rename(destination / str(version))
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    _flush(destination)
    return version


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def versions(destination: Path) -> list[int]:
    """Returns the published versions, lowest first."""
    if not destination.is_dir():
        return []
    return sorted(int(path.name) for path in destination.iterdir() if path.name.isdecimal() and path.is_dir())


def last_version(destination: Path) -> int | None:
    """Returns the highest published version; None without one."""
    return max(versions(destination), default=None)


def read_manifest(version_folder: Path) -> dict:
    """Returns what was written about a version when it was published.

    Raises:
        ServingError: The folder holds no manifest: it was not published by Headrace.
    """
    try:
        return json.loads((version_folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise ServingError(
            f"{version_folder} has no readable {MANIFEST}; move it away, it was not published by Headrace."
        ) from error


def model_digest(folder: Path) -> str:
    """Returns the SHA-256 over names and contents of a SavedModel's files; what was added on publishing is left out."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if name != MANIFEST:
            digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
