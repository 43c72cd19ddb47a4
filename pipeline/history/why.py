"""Why a stage ran: the changes since the last run in which it finished."""

import contextlib
import json
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from pipeline.core.fingerprint import PACKAGES, ROOT, source_file
from pipeline.core.paths import PipelinePaths
from pipeline.core.stages import BY_ID
from pipeline.history import executions, mlmd
from pipeline.history.record import FINISHED, RunRecord, StageRecord

# Parameters that differ in each run, or are locations; neither affects the result.
NOT_SETTINGS = {"run", "base", "accepted", "destination", "scratch"}
_FOLDERS = {f"custom_config.{name}" for name in ("home", "tensorboard", "checkpoints", "published.folder")}


def explain(home: Path, pipeline: str, identifier: str, stage: str | None = None) -> dict[str, list[str]]:
    """Returns stage -> sentences on why it ran, or was taken from the cache; for one stage or all.

    Raises:
        ConfigError: The run stopped before its first stage, or has no such stage.
    """
    paths = PipelinePaths.of(home, pipeline)
    runs = executions.of(paths)
    run = next((run for run in runs if run.run == identifier), None)
    if run is None:
        raise ConfigError(f"Run {identifier} stopped before its first stage; `headrace logs {identifier}` says why.")
    selected = [record for record in run.stages if stage in (None, record.name)]
    if not selected:
        raise ConfigError(f"Stage {stage} did not run in {run.run}; stages: {', '.join(s.name for s in run.stages)}.")
    earlier = [other for other in runs if other.run < run.run]
    return {record.name: _reasons(paths, record, earlier) for record in selected}


def _reasons(paths: PipelinePaths, stage: StageRecord, earlier: list[RunRecord]) -> list[str]:
    declared = BY_ID.get(stage.name)  # None for a stage of another version of Headrace
    if declared and declared.external_state:
        return [f"runs every time: it looks at {declared.external_state}"]
    before = [(run, other) for run in earlier for other in run.stages if other.name == stage.name]
    finished = [(run, other) for run, other in before if other.state in FINISHED]
    if stage.state == "cached":
        return [f"nothing changed: taken from the cache, last seen in {finished[0][0].run}"]
    if not before:
        return ["it ran for the first time"]
    run, other = (finished or before)[0]
    changes = differences(_cache_key_parts(paths, other), _cache_key_parts(paths, stage))
    if changes:
        return [f"{change} (since {run.run})" for change in changes]
    if not finished:
        return [f"nothing changed, but it had not finished before: it was {before[0][1].state} in {before[0][0].run}"]
    return [f"nothing changed since {run.run}, but that result was damaged or gone"]


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Returns a sentence for each difference between the parts of the cache keys of two executions.

    Args:
        before: Dotted name -> value; code below `fingerprint.`, inputs below `input.`.
        after: The same for the later execution.
    """
    sentences = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        _, _, code_name = name.partition("fingerprint.")
        if code_name:
            sentences.append(_code_changed(code_name, old, new))
        elif name.startswith("input."):
            sentences.append(f"input {name.removeprefix('input.')} is new")
        else:
            setting = name.removeprefix("custom_config.").replace("config.", "model.", 1)
            sentences.append(f"setting {setting} was {json.dumps(old)}, is {json.dumps(new)}")
    return sentences


def _code_changed(name: str, old: str | None, new: str | None) -> str:
    if name.split(".")[0] in PACKAGES:
        file = source_file(name).relative_to(ROOT)
        return f"{file} {'was changed' if old and new else 'is used now' if new else 'is no longer used'}"
    return f"package {name} was {old or 'not used'}, is {new or 'not used'}"


def _cache_key_parts(paths: PipelinePaths, stage: StageRecord) -> dict[str, Any]:
    """Returns the parts of a stage's cache key: dotted name -> value."""
    parts: dict[str, Any] = {}
    for name, value in mlmd.properties(paths.database, stage.execution).items():
        if not name.startswith("__") and name not in NOT_SETTINGS:
            _flatten(parts, name, value)
    with mlmd.reading(paths.database) as database:
        inputs = mlmd.inputs(database, stage.execution)
    parts = {name: value for name, value in parts.items() if name not in _FOLDERS}
    return parts | {f"input.{name}": str(paths.artifact(folder)) for name, folder in inputs.items()}


def _flatten(parts: dict[str, Any], name: str, value: Any) -> None:
    """Adds a value to `parts`; dictionaries, also in JSON, are added key by key."""
    if isinstance(value, str) and value.startswith("{"):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if not isinstance(value, dict):
        parts[name] = value
        return
    for key, inner in value.items():
        separator = "." if name else ""
        # Module names contain dots; they follow `fingerprint.` unchanged.
        _flatten(parts, f"{name}{separator}{key}", inner)
