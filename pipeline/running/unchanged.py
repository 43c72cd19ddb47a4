"""A run with nothing to do is told apart from the others without TensorFlow, TFX or Beam.

A run that was published leaves behind what it was made of. A run that is made of the same, finds all that came of it
as it was left, the version still the newest and the same one live, would come to the same: every stage would be taken
from the cache.
"""

import hashlib
import json
import sqlite3
from dataclasses import replace
from pathlib import Path

from components.manifests import damage
from data.errors import HeadraceError
from data.files import atomic
from models.serving.rollout.rollouts import live_version
from models.serving.rollout.versions import last_version, read_manifest
from pipeline.core.config import NamedConfig
from pipeline.core.fingerprint import code_and_packages
from pipeline.core.paths import PipelinePaths
from pipeline.core.stages import BY_ID
from pipeline.history import mlmd
from pipeline.history.record import RunRecord


def identity(named: NamedConfig) -> str:
    """Returns a digest of all that decides what a run comes to: settings, data, code, packages; not where they lie."""
    facts = [named.config.model_dump(mode="json"), named.dataset.digest(), code_and_packages()]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def remember(paths: PipelinePaths, run_identity: str, run: str) -> None:
    """Writes down what a published run was made of, and which it was; its record tells what it came to."""
    version = last_version(paths.serving)
    digest = read_manifest(paths.serving / str(version)).get("digest")
    live = live_version(paths.serving)  # what the gates hold data and model against
    last = {"identity": run_identity, "version": version, "digest": digest, "live": live, "run": run}
    atomic.write(paths.last, json.dumps(last))


def forget(paths: PipelinePaths) -> None:
    """Forgets the last run: whatever happens from now on may change what it left."""
    paths.last.unlink(missing_ok=True)


def recall(paths: PipelinePaths, run_identity: str) -> RunRecord | None:
    """Returns the last run, all its stages cached, if it was made of the same and all is as it was left; else None."""
    try:
        last = json.loads(paths.last.read_text())
        same = last["identity"] == run_identity and last_version(paths.serving) == last["version"]
        same = same and live_version(paths.serving) == last["live"]
        if not same or read_manifest(paths.serving / str(last["version"])).get("digest") != last["digest"]:
            return None
        record = RunRecord.read(paths.record(last["run"]))
        if record is None or not _is_whole(record, str(last["version"])):
            return None
        with mlmd.reading(paths.database) as database:
            unfinished = mlmd.unfinished(database)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, sqlite3.Error, HeadraceError):
        return None
    if unfinished:
        return None
    stages = [replace(one, state="cached", seconds=0.0, cpu_seconds=0.0, detail="cached") for one in record.stages]
    return replace(record, stages=stages)


def _is_whole(record: RunRecord, version: str) -> bool:
    """Returns whether a record is of a run that published this version, and all that its stages left is there."""
    outputs = [folder for stage in record.stages for folder in stage.outputs.values()]
    return (
        record.state == "published"
        and record.version == version
        and BY_ID.keys() <= {stage.name for stage in record.stages}
        and not any(damage(Path(folder)) for folder in outputs)
    )
