"""Why a stage ran: what changed since the last run in which it had come to something."""

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

# Parameters that are different in each run, or say where something lies: that decides nothing.
NOT_SETTINGS = {"run", "base", "accepted", "destination", "scratch"}
_FOLDERS = {f"custom_config.{name}" for name in ("home", "tensorboard", "checkpoints", "published.folder")}


def explain(home: Path, pipeline: str, identifier: str, stage: str | None = None) -> dict[str, list[str]]:
    """Returns stage -> why it ran, or was not run again, in words; of one stage or of all.

    Raises:
        ConfigError: The run came to no stage, or the stage is not in it.
    """
    paths = PipelinePaths.of(home, pipeline)
    known = executions.of(paths)
    run = next((one for one in known if one.run == identifier), None)
    if run is None:
        raise ConfigError(f"Run {identifier} stopped before its first stage; `headrace logs {identifier}` says why.")
    chosen = [one for one in run.stages if stage in (None, one.name)]
    if not chosen:
        raise ConfigError(f"Stage {stage} did not run in {run.run}; stages: {', '.join(s.name for s in run.stages)}.")
    earlier = [other for other in known if other.run < run.run]
    return {one.name: _reasons(paths, one, earlier) for one in chosen}


def _reasons(paths: PipelinePaths, stage: StageRecord, earlier: list[RunRecord]) -> list[str]:
    declared = BY_ID.get(stage.name)  # None for one of another version of Headrace
    if declared and declared.looks_at:
        return [f"runs every time: it looks at {declared.looks_at}"]
    before = [(run, other) for run in earlier for other in run.stages if other.name == stage.name]
    finished = [(run, other) for run, other in before if other.state in FINISHED]
    if stage.state == "cached":
        return [f"nothing changed: taken from the cache, last seen in {finished[0][0].run}"]
    if not before:
        return ["it ran for the first time"]
    run, other = (finished or before)[0]
    changes = differences(_facts(paths, other), _facts(paths, stage))
    if changes:
        return [f"{change} (since {run.run})" for change in changes]
    if not finished:
        return [f"nothing changed, but it had not finished before: it was {before[0][1].state} in {before[0][0].run}"]
    return [f"nothing changed since {run.run}, but that result was damaged or gone"]


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Returns what differs between the facts of two executions, a sentence each.

    Args:
        before: Dotted name -> value; code below `fingerprint.`, inputs below `input.`.
        after: The same of the later execution.
    """
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        _kind, _, rest = name.partition("fingerprint.")
        if rest:
            found.append(_code_changed(rest, old, new))
        elif name.startswith("input."):
            found.append(f"input {name.removeprefix('input.')} is new")
        else:
            setting = name.removeprefix("custom_config.").replace("config.", "model.", 1)
            found.append(f"setting {setting} was {json.dumps(old)}, is {json.dumps(new)}")
    return found


def _code_changed(name: str, old: str | None, new: str | None) -> str:
    if name.split(".")[0] in PACKAGES:
        file = source_file(name).relative_to(ROOT)
        return f"{file} {'was changed' if old and new else 'is used now' if new else 'is no longer used'}"
    return f"package {name} was {old or 'not used'}, is {new or 'not used'}"


def _facts(paths: PipelinePaths, stage: StageRecord) -> dict[str, Any]:
    """Returns what the cache key of a stage was made of, flat: dotted name -> value."""
    facts: dict[str, Any] = {}
    for name, value in mlmd.properties(paths.database, stage.execution).items():
        if not name.startswith("__") and name not in NOT_SETTINGS:
            _flatten(facts, name, value)
    with mlmd.reading(paths.database) as database:
        found = mlmd.inputs(database, stage.execution)
    facts = {name: value for name, value in facts.items() if name not in _FOLDERS}
    return facts | {f"input.{name}": str(paths.artifact(folder)) for name, folder in found.items()}


def _flatten(facts: dict[str, Any], name: str, value: Any) -> None:
    """Adds a value to `facts`; dictionaries, also those written as JSON, key by key."""
    if isinstance(value, str) and value.startswith("{"):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if not isinstance(value, dict):
        facts[name] = value
        return
    for key, inner in value.items():
        separator = "." if name else ""
        # Module names have dots of their own; they stay whole behind `fingerprint.`.
        _flatten(facts, f"{name}{separator}{key}", inner)
