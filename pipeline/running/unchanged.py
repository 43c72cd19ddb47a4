"""Detects, without TensorFlow, TFX or Beam, that nothing has changed since the last run.

A run that publishes a version writes its identity: a digest of settings, data, code and packages. A run of the same
identity would take every stage from the cache if all outputs are undamaged, the version is still the newest, and the
same version is live.
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
    """Returns a digest of settings, data, code and packages, which determine a run's result; paths do not count."""
    facts = [named.config.model_dump(mode="json"), named.dataset.digest(), code_and_packages()]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def remember(paths: PipelinePaths, run_identity: str, run: str) -> None:
    """Writes the identity of a published run, its identifier, its version and the live version."""
    version = last_version(paths.serving)
    digest = read_manifest(paths.serving / str(version)).get("digest")
    live = live_version(paths.serving)  # the gates compare data and model with it
    last = {"identity": run_identity, "version": version, "digest": digest, "live": live, "run": run}
    atomic.write(paths.last, json.dumps(last))


def forget(paths: PipelinePaths) -> None:
    """Deletes what `remember` wrote, before a run that may change the outputs."""
    paths.last.unlink(missing_ok=True)


def recall(paths: PipelinePaths, run_identity: str) -> RunRecord | None:
    """Returns the last run's record, with all stages cached, if nothing has changed since; else None."""
    try:
        last = json.loads(paths.last.read_text())
        is_unchanged = last["identity"] == run_identity and last_version(paths.serving) == last["version"]
        is_unchanged = is_unchanged and live_version(paths.serving) == last["live"]
        if not is_unchanged or read_manifest(paths.serving / str(last["version"])).get("digest") != last["digest"]:
            return None
        record = RunRecord.read(paths.record(last["run"]))
        if record is None or not _is_complete(record, str(last["version"])):
            return None
        with mlmd.reading(paths.database) as database:
            unfinished = mlmd.unfinished(database)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, sqlite3.Error, HeadraceError):
        return None
    if unfinished:
        return None
    stages = [replace(stage, state="cached", seconds=0.0, cpu_seconds=0.0, detail="cached") for stage in record.stages]
    return replace(record, stages=stages)


def _is_complete(record: RunRecord, version: str) -> bool:
    """Returns whether a record is of a run that published this version, and all outputs of its stages are undamaged."""
    outputs = [folder for stage in record.stages for folder in stage.outputs.values()]
    return (
        record.state == "published"
        and record.version == version
        and BY_ID.keys() <= {stage.name for stage in record.stages}
        and not any(damage(Path(folder)) for folder in outputs)
    )
