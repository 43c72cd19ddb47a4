"""Publishes a blessed model."""

import getpass
import json
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import InfraBlessing, Model, ModelBlessing, ModelEvaluation, PushedModel

from components.artifact_files import METRICS, RECEIPT, SERVING, saved_model_folder
from components.manifests import damage
from data.errors import ServingError
from models import progress
from models.serving.rollout import rollouts
from models.serving.rollout.inputs import changed_inputs
from models.serving.rollout.versions import last_version, publish


@component
def Publisher(
    model: InputArtifact[Model],
    model_blessing: InputArtifact[ModelBlessing],
    infra_blessing: InputArtifact[InfraBlessing],
    evaluation: InputArtifact[ModelEvaluation],
    pushed_model: OutputArtifact[PushedModel],
    destination: Parameter[str],
    manifest: Parameter[str],
    keep: Parameter[int],
    mode: Parameter[int],
    run: Parameter[str],
):
    """Publishes the model and records where it is; a model that is the newest version already is left alone.

    `keep` is the number of versions that stay, 0 for all; `mode` the permissions of published files.
    """
    if not (model_blessing.get_int_custom_property("blessed") and infra_blessing.get_int_custom_property("blessed")):
        # Only --allow-unblessed lets a run come here with such a model.
        progress.report(summary="not blessed, not published")
        RECEIPT.path(pushed_model.uri).write_text(json.dumps({"folder": None, "new": False}))
        return
    facts = json.loads(manifest) | {
        "run": run,
        "evaluation": json.loads(METRICS.path(evaluation.uri).read_text()),
        "serving": json.loads(SERVING.path(infra_blessing.uri).read_text()),
        "by": getpass.getuser(),
    }
    before, asked = last_version(Path(destination)), rollouts.live_version(Path(destination))
    wrong = damage(Path(model.uri), thorough=True)
    if wrong:
        raise ServingError(f"The model in {model.uri} is damaged ({wrong}); run again to rebuild it.")
    live = rollouts.read(Path(destination)).kept()
    version = publish(
        Path(saved_model_folder(model.uri)), Path(destination), facts, keep=keep or None, kept=live, mode=mode
    )
    folder = Path(destination) / str(version)
    progress.report(summary=_summary(Path(destination), version, before, asked))
    RECEIPT.path(pushed_model.uri).write_text(json.dumps({"folder": str(folder), "new": version != before}))
    pushed_model.set_string_custom_property("pushed_destination", str(folder))
    pushed_model.set_string_custom_property("pushed_version", str(version))


def _summary(destination: Path, version: int, before: int | None, asked: int | None) -> str:
    """Returns which version it is, and what clients of the one that was live have to change."""
    if version == before:
        return f"version {version}, published before"
    changed = changed_inputs(destination, asked, version) if asked is not None else ""
    return f"version {version}" + (f"; clients of version {asked} must change: {changed}" if changed else "")
