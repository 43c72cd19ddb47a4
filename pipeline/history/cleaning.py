"""Removes what no recent run refers to."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from components.manifests import MANIFEST_SUFFIX
from models.serving.rollout import rollouts
from models.serving.rollout.versions import versions
from pipeline.core.lock import hold
from pipeline.core.paths import PipelinePaths
from pipeline.history import executions


@dataclass(frozen=True)
class Removed:
    """Something that was removed, or would be.

    Attributes:
        path: What.
        size: Its bytes.
    """

    path: Path
    size: int


def collect(home: Path, pipeline: str, keep: int, *, dry_run: bool = False) -> list[Removed]:
    """Removes artifacts, logs and versions that none of the newest `keep` runs of a pipeline refers to.

    The newest version always stays: it is what is served.

    Raises:
        LockError: The pipeline is running.
    """
    paths = PipelinePaths.of(home, pipeline)
    if not paths.runs.is_dir():
        return []
    with hold(paths.lock, pipeline):
        found = [Removed(path, _size(path)) for path in _unreferenced(paths, keep)]
        for removed in found:
            if not dry_run:
                shutil.rmtree(removed.path) if removed.path.is_dir() else removed.path.unlink()
    return found


def _unreferenced(paths: PipelinePaths, keep: int) -> list[Path]:
    kept = executions.of(paths)[:keep]
    outputs = {folder for run in kept for stage in run.stages for folder in stage.outputs.values()}
    artifacts = [path for path in paths.artifacts.glob("*/*/*") if path.parent.name != ".system"]
    old = [path for path in artifacts if str(path).split(MANIFEST_SUFFIX)[0] not in outputs]
    logs = {f"{run.run}.log" for run in kept}
    old += [path for path in paths.logs.glob("*.log") if path.name not in logs]
    published = {run.version for run in kept} | {str(version) for version in rollouts.read(paths.serving).kept()}
    unpublished = [str(v) for v in versions(paths.serving)[:-1] if str(v) not in published]
    old += [paths.serving / version for version in unpublished]
    old += [path for path in paths.profiles.glob("*.npz") if path.stem in unpublished]
    return sorted(old)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
