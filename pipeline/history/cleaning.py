"""Removes what no recent run refers to; what it cannot account for stays."""

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
LINKED = "it is a link, or lies behind one"


_DAMAGED = re.compile(r"\.damaged-\d+$")  # as `running.recovery` names it
_RUN = re.compile(r"\d{8}-\d{6}-\d{3}")


@dataclass(frozen=True)
class Removed:
    """Something that was removed, or would be.

    Attributes:
        path: What.
        size: Its bytes.
    """

    path: Path
    size: int


@dataclass(frozen=True)
class Kept:
    """Something that stays.

    Attributes:
        path: What.
        reason: Why, in a few words.
    """

    path: Path
    reason: str


@dataclass
class Collection:
    """What there was to decide about.

    Attributes:
        removed: What was removed, or would be, by path.
        kept: What stays, by path.
    """

    removed: list[Removed] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Returns what stays and why, a line for each reason; what no run is known of is named one by one."""
        told = [f"kept {one.path}: {one.reason}" for one in self.kept if one.reason in (UNKNOWN, LINKED)]
        reasons: dict[str, list[Path]] = {}
        for one in self.kept:
            reasons.setdefault(one.reason, []).append(one.path)
        return told + [
            f"kept {len(paths)} {'item' if len(paths) == 1 else 'items'}: {reason}"
            for reason, paths in reasons.items()
            if reason not in (UNKNOWN, LINKED)
        ]


def collect(home: Path, pipeline: str, keep: int, *, dry_run: bool = False) -> Collection:
    """Removes artifacts, logs and versions that none of the newest `keep` runs of a pipeline refers to.

    The newest version always stays, as do those that are live, and all of which no run is known.

    Raises:
        ConfigError: The home's records do not match its files; nothing was removed.
        LockError: The pipeline is running.
        OSError: The home cannot be written to.
    """
    paths = PipelinePaths.of(home, pipeline)
    if not paths.runs.is_dir():
        return Collection()
    with hold(paths.lock, pipeline):
        found = _sorted_out(paths, keep)
        for removed in [] if dry_run else found.removed:
            shutil.rmtree(removed.path) if removed.path.is_dir() else removed.path.unlink()
    return found


def _sorted_out(paths: PipelinePaths, keep: int) -> Collection:
    """Returns what goes and what stays.

    Raises:
        ConfigError: The database is damaged or missing, or not of these files.
    """
    database.check(paths)
    known = executions.of(paths)
    _check_files(paths, known)
    kept = known[:keep]
    told = {run.run for run in known} | {path.stem for path in paths.reports.glob("*.json")}
    reasons = _artifacts(paths, kept) | _logs(paths, kept, told) | _versions(paths, kept, told)
    found = Collection()
    for path, reason in sorted(reasons.items()):
        if path.resolve() != path:  # to another home, it may be: what is removed is removed here only
            found.kept.append(Kept(path, LINKED))
        elif reason:
            found.kept.append(Kept(path, reason))
        else:
            found.removed.append(Removed(path, _size(path)))
    return found


def _check_files(paths: PipelinePaths, known: list[RunRecord]) -> None:
    """Raises ConfigError where the database is of another home, or the newest run's files are gone."""
    if not execution_records.match(paths):
        raise ConfigError(
            f"{paths.database} does not know the newest run in {paths.execution_records}: it is older, or of another "
            "home; nothing was removed. Put this home's own back, or move database and backup away and run `headrace "
            f"repair {paths.runs.name}`."
        )
    newest = next((run for run in known if any(stage.outputs for stage in run.stages)), None)
    outputs = [Path(folder) for stage in newest.stages for folder in stage.outputs.values()] if newest else []
    gone = [folder for folder in outputs if not folder.is_dir()]
    if newest and gone:
        raise ConfigError(
            f"{paths.artifacts} does not hold what {paths.database} says: of {newest.run}, the newest run, "
            f"{len(gone)} of {len(outputs)} outputs are gone, such as {paths.relative(gone[0])}; nothing was removed. "
            f"Put them back, or run {paths.runs.name}, which makes them anew."
        )


def _artifacts(paths: PipelinePaths, kept: list[RunRecord]) -> dict[Path, str]:
    """Returns each artifact's folder and manifest -> why it stays; empty for one that goes."""
    if not paths.database.exists():
        return {}
    with mlmd.reading(paths.database) as connection:
        recorded = {str(paths.artifact(uri)) for uri in mlmd.uris(connection)}
    reasons = {folder: _by(run) for run in reversed(kept) for stage in run.stages for folder in stage.outputs.values()}
    found = {}
    for path in paths.artifacts.glob("*/*/*"):
        if path.parent.name != ".system":
            folder = str(path).removesuffix(MANIFEST_SUFFIX)
            # One that was damaged is beside the one that was made anew.
            is_known = folder in recorded or _DAMAGED.sub("", folder) in recorded
            found[path] = reasons.get(folder) or ("" if is_known and not added(Path(folder)) else UNKNOWN)
    return found


def _logs(paths: PipelinePaths, kept: list[RunRecord], told: set[str]) -> dict[Path, str]:
    """Returns each log -> why it stays; empty for one that goes. `told` has the runs that are known."""
    reasons = {run.run: _by(run) for run in kept}
    oldest = min(reasons, default="")
    found = {}
    for path in paths.logs.glob("*.log"):
        # A run that was refused before its first stage left nothing but its log.
        is_known = path.stem in told or (_RUN.fullmatch(path.stem) is not None and path.stem < oldest)
        found[path] = reasons.get(path.stem) or ("" if is_known else UNKNOWN)
    return found


def _versions(paths: PipelinePaths, kept: list[RunRecord], told: set[str]) -> dict[Path, str]:
    """Returns each published version -> why it stays; empty for one that goes. `told` has the runs that are known."""
    published = {name: _by(run) for run in reversed(kept) for name in (run.run, run.version)}
    live, there = rollouts.read(paths.serving).kept(), versions(paths.serving)
    found = {}
    for version in there:
        folder = paths.serving / str(version)
        reason = "it is live" if version in live else "it is the newest version" if version == there[-1] else ""
        publisher = _publisher(folder)  # a later run that came to the same model refers to it as well
        reason = reason or published.get(publisher) or published.get(str(version), "")
        found[folder] = reason or ("" if publisher in told else UNKNOWN)
        if (summary := paths.profiles / f"{version}.npz").exists():  # of the data that it was trained on
            found[summary] = found[folder]
    return found


def _publisher(version: Path) -> str:
    """Returns the run that published a version; empty where it does not say."""
    with contextlib.suppress(ServingError):
        return str(read_manifest(version).get("run", ""))
    return ""


def _by(run: RunRecord) -> str:
    return f"of run {run.run}"


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
