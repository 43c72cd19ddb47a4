"""Removes files that no recent run refers to; files of unknown origin stay."""

import contextlib
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from components.manifests import MANIFEST_SUFFIX, added
from data.errors import ConfigError, ServingError
from models.serving.rollout import rollouts
from models.serving.rollout.versions import read_manifest, versions
from pipeline.core.lock import hold
from pipeline.core.paths import PipelinePaths
from pipeline.history import database, execution_records, executions, mlmd
from pipeline.history.record import RunRecord

UNKNOWN = "no run is known that made it"
LINKED = "it is a link, or below one"


_DAMAGED = re.compile(r"\.damaged-\d+$")  # as `running.recovery` names it
_RUN = re.compile(r"\d{8}-\d{6}-\d{3}")


@dataclass(frozen=True)
class Removed:
    """A file or folder that was removed, or would be.

    Attributes:
        path: Absolute path.
        size: Size in bytes.
    """

    path: Path
    size: int


@dataclass(frozen=True)
class Kept:
    """A file or folder that stays.

    Attributes:
        path: Absolute path.
        reason: Reason in a few words.
    """

    path: Path
    reason: str


@dataclass
class Collection:
    """The result of a clean-up.

    Attributes:
        removed: Files and folders that were removed, or would be, sorted by path.
        kept: Files and folders that stay, sorted by path.
    """

    removed: list[Removed] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Returns a line for each reason to keep files; files of unknown origin and links have a line each."""
        lines = [f"kept {item.path}: {item.reason}" for item in self.kept if item.reason in (UNKNOWN, LINKED)]
        reasons: dict[str, list[Path]] = {}
        for item in self.kept:
            reasons.setdefault(item.reason, []).append(item.path)
        return lines + [
            f"kept {len(paths)} {'item' if len(paths) == 1 else 'items'}: {reason}"
            for reason, paths in reasons.items()
            if reason not in (UNKNOWN, LINKED)
        ]


def collect(home: Path, pipeline: str, keep: int, *, dry_run: bool = False) -> Collection:
    """Removes artifacts, logs and versions that none of the newest `keep` runs of a pipeline refers to.

    The newest version and live versions always stay, as does everything that no known run made.

    Args:
        home: The home folder.
        pipeline: Name of the pipeline.
        keep: Number of runs to keep.
        dry_run: Remove nothing, only return what would be removed.

    Raises:
        ConfigError: The home's records do not match its files; nothing was removed.
        LockError: The pipeline is running.
        OSError: The home cannot be written to.
    """
    paths = PipelinePaths.of(home, pipeline)
    if not paths.runs.is_dir():
        return Collection()
    with hold(paths.lock, pipeline):
        collection = _collection(paths, keep)
        for removed in [] if dry_run else collection.removed:
            shutil.rmtree(removed.path) if removed.path.is_dir() else removed.path.unlink()
    return collection


def _collection(paths: PipelinePaths, keep: int) -> Collection:
    """Returns which files to remove and which to keep.

    Raises:
        ConfigError: The database is damaged or missing, or does not belong to these files.
    """
    database.check(paths)
    runs = executions.of(paths)
    _check_files(paths, runs)
    kept_runs = runs[:keep]
    run_names = {run.run for run in runs} | {path.stem for path in paths.reports.glob("*.json")}
    reasons = _artifacts(paths, kept_runs) | _logs(paths, kept_runs, run_names) | _versions(paths, kept_runs, run_names)
    collection = Collection()
    for path, reason in sorted(reasons.items()):
        if path.resolve() != path:  # a link may lead to another home, where nothing may be removed
            collection.kept.append(Kept(path, LINKED))
        elif reason:
            collection.kept.append(Kept(path, reason))
        else:
            collection.removed.append(Removed(path, _size(path)))
    return collection


def _check_files(paths: PipelinePaths, runs: list[RunRecord]) -> None:
    """Raises ConfigError if the database belongs to another home, or if outputs of the newest run are missing."""
    if not execution_records.match(paths):
        raise ConfigError(
            f"{paths.database} does not know the newest run in {paths.execution_records}: it is older, or of another "
            "home; nothing was removed. Put this home's own back, or move database and backup away and run `headrace "
            f"repair {paths.runs.name}`."
        )
    newest = next((run for run in runs if any(stage.outputs for stage in run.stages)), None)
    outputs = [Path(folder) for stage in newest.stages for folder in stage.outputs.values()] if newest else []
    missing = [folder for folder in outputs if not folder.is_dir()]
    if newest and missing:
        raise ConfigError(
            f"{paths.artifacts} does not hold what {paths.database} says: of {newest.run}, the newest run, "
            f"{len(missing)} of {len(outputs)} outputs are gone, such as {paths.relative(missing[0])}; nothing was "
            f"removed. Put them back, or run {paths.runs.name}, which makes them anew."
        )


def _artifacts(paths: PipelinePaths, kept_runs: list[RunRecord]) -> dict[Path, str]:
    """Returns artifact folder or manifest -> reason to keep it; empty for one to remove."""
    if not paths.database.exists():
        return {}
    with mlmd.reading(paths.database) as connection:
        recorded = {str(paths.artifact(uri)) for uri in mlmd.uris(connection)}
    reasons = {
        folder: _by(run) for run in reversed(kept_runs) for stage in run.stages for folder in stage.outputs.values()
    }
    keep_reasons = {}
    for path in paths.artifacts.glob("*/*/*"):
        if path.parent.name != ".system":
            folder = str(path).removesuffix(MANIFEST_SUFFIX)
            # A damaged artifact lies beside its replacement.
            is_known = folder in recorded or _DAMAGED.sub("", folder) in recorded
            keep_reasons[path] = reasons.get(folder) or ("" if is_known and not added(Path(folder)) else UNKNOWN)
    return keep_reasons


def _logs(paths: PipelinePaths, kept_runs: list[RunRecord], run_names: set[str]) -> dict[Path, str]:
    """Returns log -> reason to keep it; empty for one to remove. `run_names` are all known runs."""
    reasons = {run.run: _by(run) for run in kept_runs}
    oldest = min(reasons, default="")
    keep_reasons = {}
    for path in paths.logs.glob("*.log"):
        # A run that was refused before its first stage has only a log.
        is_known = path.stem in run_names or (_RUN.fullmatch(path.stem) is not None and path.stem < oldest)
        keep_reasons[path] = reasons.get(path.stem) or ("" if is_known else UNKNOWN)
    return keep_reasons


def _versions(paths: PipelinePaths, kept_runs: list[RunRecord], run_names: set[str]) -> dict[Path, str]:
    """Returns published version -> reason to keep it; empty for one to remove. `run_names` are all known runs."""
    published = {name: _by(run) for run in reversed(kept_runs) for name in (run.run, run.version)}
    live, published_versions = rollouts.read(paths.serving).kept(), versions(paths.serving)
    keep_reasons = {}
    for version in published_versions:
        folder = paths.serving / str(version)
        reason = (
            "it is live" if version in live else "it is the newest version" if version == published_versions[-1] else ""
        )
        publisher = _publisher(folder)  # a later run with the same model refers to it as well
        reason = reason or published.get(publisher) or published.get(str(version), "")
        keep_reasons[folder] = reason or ("" if publisher in run_names else UNKNOWN)
        if (summary := paths.profiles / f"{version}.npz").exists():  # of its training data
            keep_reasons[summary] = keep_reasons[folder]
    return keep_reasons


def _publisher(version: Path) -> str:
    """Returns the run that published a version; empty if its manifest does not name one."""
    with contextlib.suppress(ServingError):
        return str(read_manifest(version).get("run", ""))
    return ""


def _by(run: RunRecord) -> str:
    return f"of run {run.run}"


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
