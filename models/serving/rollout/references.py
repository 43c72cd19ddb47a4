"""The reference data that new data of a pipeline is compared with: that of the live version, or the last accepted."""

from collections.abc import Collection
from pathlib import Path

from data.checks.reference import Reference
from models.serving.rollout.rollouts import live_version


def profile_path(profiles: Path, version: int) -> Path:
    """Returns the path, below `profiles`, of the profile of a version's training data."""
    return profiles / f"{version}.npz"


def references(profiles: Path, accepted: Path, destination: Path, *, version: int | None = None) -> list[Reference]:
    """Returns the references that new data is compared with: the first decides, the other is for the report.

    The first is the data of the live version, or the last accepted data if nothing is live or the live version has no
    profile, because an older release published it.

    Args:
        profiles: Folder of the profiles of published versions.
        accepted: Profile of the data that the data gate accepted last.
        destination: Folder of the published versions.
        version: If this version has a profile, its data comes first.

    Raises:
        ConfigError: `models.config` was edited by hand and cannot be read.
    """
    live, results, note = live_version(destination), [], ""
    for number, title in ((version, "version"), (live, "the live version")):
        if number is None or results:
            continue
        path = profile_path(profiles, number)
        if path.exists():
            results.append(Reference(path, f"the data of {title} {number}", "the last accepted data is the reference"))
    if live is not None and not results:
        note = f"there is no profile of the data of the live version {live}, the last accepted data is the reference"
    if accepted.exists():
        results.append(Reference(accepted, "the last accepted data", "this data becomes the new reference", note))
    return results


def remove_profiles(profiles: Path, kept: Collection[int]) -> None:
    """Removes the profiles of versions that are not among `kept`."""
    for path in profiles.glob("*.npz"):
        if path.stem not in map(str, kept):
            path.unlink()
