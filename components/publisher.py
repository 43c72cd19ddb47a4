"""Publishes a blessed model."""

import getpass
import json
from pathlib import Path
from typing import Any

from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import (
    ExampleStatistics,
    InfraBlessing,
    Model,
    ModelBlessing,
    ModelEvaluation,
    PushedModel,
)

from components.artifact_files import METRICS, PROFILE, RECEIPT, SERVING, STATISTICS, saved_model_folder
from components.manifests import damage
from data.checks import profile
from data.checks.reference import DataSummary
from data.errors import ServingError
from models import progress
from models.serving.rollout import references, rollouts
from models.serving.rollout.inputs import changed_inputs
from models.serving.rollout.versions import last_version, publish, versions


@component
def Publisher(
    model: InputArtifact[Model],
    model_blessing: InputArtifact[ModelBlessing],
    infra_blessing: InputArtifact[InfraBlessing],
    evaluation: InputArtifact[ModelEvaluation],
    statistics: InputArtifact[ExampleStatistics],
    pushed_model: OutputArtifact[PushedModel],
    destination: Parameter[str],
    profiles: Parameter[str],
    manifest: Parameter[str],
    keep: Parameter[int],
    mode: Parameter[int],
    run: Parameter[str],
):
    """Publishes the model and records its folder, unless the newest version is this model already.

    `keep` is the number of versions that stay, 0 for all; `mode` the permissions of published files; `profiles` the
    folder for the profile of the training data, the reference for the drift of later data.
    """
    if not (model_blessing.get_int_custom_property("blessed") and infra_blessing.get_int_custom_property("blessed")):
        # A run reaches this with an unblessed model only by --allow-unblessed.
        progress.report(summary="not blessed, not published")
        RECEIPT.path(pushed_model.uri).write_text(json.dumps({"folder": None, "new": False}))
        return
    previous, previous_live = last_version(Path(destination)), rollouts.live_version(Path(destination))
    manifest_json = json.loads(manifest) | {"run": run, **_measured(evaluation.uri, infra_blessing.uri)}
    version = publish_undamaged(model.uri, Path(destination), manifest_json, keep=keep or None, mode=mode)
    keep_profile(statistics.uri, run, Path(profiles), version, is_new=version != previous)
    references.remove_profiles(Path(profiles), kept=versions(Path(destination)))
    folder = Path(destination) / str(version)
    progress.report(summary=_summary(Path(destination), version, previous, previous_live))
    relative_folder = str(folder.relative_to(folder.parents[2]))  # to the home, which may move
    RECEIPT.path(pushed_model.uri).write_text(json.dumps({"folder": relative_folder, "new": version != previous}))
    pushed_model.set_string_custom_property("pushed_destination", relative_folder)
    pushed_model.set_string_custom_property("pushed_version", str(version))


def publish_undamaged(
    model_uri: str, destination: Path, manifest: dict[str, Any], *, keep: int | None, mode: int | None
) -> int:
    """Publishes a model whose files are those that training wrote, and returns its version.

    Args:
        model_uri: Folder of the model artifact.
        destination: Folder of the published versions.
        manifest: Entries of the version's manifest.
        keep: Number of newest versions that stay, beside the live ones; None: all.
        mode: Permissions of published files.

    Raises:
        ServingError: A file of the model is missing, was changed or was added.
    """
    problem = damage(Path(model_uri), thorough=True)
    if problem:
        raise ServingError(f"The model in {model_uri} is damaged ({problem}); run again to rebuild it.")
    kept = rollouts.read(destination).kept()
    return publish(Path(saved_model_folder(model_uri)), destination, manifest, keep=keep, kept=kept, mode=mode)


def _measured(evaluation_uri: str, infra_blessing_uri: str) -> dict[str, Any]:
    """Returns the manifest's entries of the evaluation, the serving check and the user who publishes."""
    return {
        "evaluation": json.loads(METRICS.path(evaluation_uri).read_text()),
        "serving": json.loads(SERVING.path(infra_blessing_uri).read_text()),
        "by": getpass.getuser(),
    }


def _summary(destination: Path, version: int, previous: int | None, previous_live: int | None) -> str:
    """Returns a sentence: the version, and what clients have to change who used the previous live version.

    Args:
        destination: Folder of the published versions.
        version: The published one.
        previous: The newest version before; None without one.
        previous_live: The live version before; None without one.
    """
    if version == previous:
        return f"version {version}, published before"
    live = rollouts.live_version(destination)
    if live != version:
        return (
            f"version {version}; version {live} stays live: `headrace promote {destination.name} {version}` changes it"
        )
    changed = changed_inputs(destination, previous_live, version) if previous_live is not None else ""
    return f"version {version}" + (f"; clients of version {previous_live} must change: {changed}" if changed else "")


def keep_profile(statistics_uri: str, run: str, profiles: Path, version: int, *, is_new: bool) -> None:
    """Writes the profile of a version's training data, unless the version is not new and has one.

    Args:
        statistics_uri: Folder of the statistics.
        run: Id of the run.
        profiles: Folder of the profiles of published versions.
        version: The version.
        is_new: Whether this run published it.
    """
    path = references.profile_path(profiles, version)
    if path.exists() and not is_new:
        return
    path.parent.mkdir(exist_ok=True)
    stored = STATISTICS.path(statistics_uri, "train").read_bytes()
    statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(stored)
    DataSummary(statistics, profile.load(PROFILE.path(statistics_uri)), run).write(path)
