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
    """Publishes the model and records where it is; a model that is the newest version already is left alone.

    `keep` is the number of versions that stay, 0 for all; `mode` the permissions of published files; `profiles` the
    folder that receives the profile of the data that the model learned from, which later data is held against.
    """
    if not (model_blessing.get_int_custom_property("blessed") and infra_blessing.get_int_custom_property("blessed")):
        # Only --allow-unblessed lets a run come here with such a model.
        progress.report(summary="not blessed, not published")
        RECEIPT.path(pushed_model.uri).write_text(json.dumps({"folder": None, "new": False}))
        return
    before, asked = last_version(Path(destination)), rollouts.live_version(Path(destination))
    wrong = damage(Path(model.uri), thorough=True)
    if wrong:
        raise ServingError(f"The model in {model.uri} is damaged ({wrong}); run again to rebuild it.")
    facts = json.loads(manifest) | {"run": run, **_measured(evaluation.uri, infra_blessing.uri)}
    live = rollouts.read(Path(destination)).kept()
    version = publish(
        Path(saved_model_folder(model.uri)), Path(destination), facts, keep=keep or None, kept=live, mode=mode
    )
    keep_profile(statistics.uri, run, Path(profiles), version, is_new=version != before)
    references.remove_profiles(Path(profiles), kept=versions(Path(destination)))
    folder = Path(destination) / str(version)
    progress.report(summary=_summary(Path(destination), version, before, asked))
    place = str(folder.relative_to(folder.parents[2]))  # to the home, which may move
    RECEIPT.path(pushed_model.uri).write_text(json.dumps({"folder": place, "new": version != before}))
    pushed_model.set_string_custom_property("pushed_destination", place)
    pushed_model.set_string_custom_property("pushed_version", str(version))


def _measured(evaluation_uri: str, infra_blessing_uri: str) -> dict[str, Any]:
    """Returns what was measured of the model, and who publishes it."""
    return {
        "evaluation": json.loads(METRICS.path(evaluation_uri).read_text()),
        "serving": json.loads(SERVING.path(infra_blessing_uri).read_text()),
        "by": getpass.getuser(),
    }


def _summary(destination: Path, version: int, before: int | None, asked: int | None) -> str:
    """Returns which version it is, and what clients of the one that was live have to change."""
    if version == before:
        return f"version {version}, published before"
    live = rollouts.live_version(destination)
    if live != version:
        return (
            f"version {version}; version {live} stays live: `headrace promote {destination.name} {version}` changes it"
        )
    changed = changed_inputs(destination, asked, version) if asked is not None else ""
    return f"version {version}" + (f"; clients of version {asked} must change: {changed}" if changed else "")


def keep_profile(statistics_uri: str, run: str, profiles: Path, version: int, *, is_new: bool) -> None:
    """Keeps what the training data of a version looks like; what is kept of one that was there before stays."""
    path = references.profile_path(profiles, version)
    if path.exists() and not is_new:
        return
    path.parent.mkdir(exist_ok=True)
    stored = STATISTICS.path(statistics_uri, "train").read_bytes()
    statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(stored)
    DataSummary(statistics, profile.load(PROFILE.path(statistics_uri)), run).write(path)
