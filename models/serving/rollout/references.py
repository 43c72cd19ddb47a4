"""The data that new data of a pipeline is held against: that of the live version, and the last accepted."""

from collections.abc import Collection
from pathlib import Path

from data.checks.reference import Reference
from models.serving.rollout.rollouts import live_version


def profile_path(profiles: Path, version: int) -> Path:
    """Returns the file below `profiles` that tells what the training data of a version looked like."""
    return profiles / f"{version}.npz"


def references(profiles: Path, accepted: Path, destination: Path, *, version: int | None = None) -> list[Reference]:
    """Returns the data that new data is held against: the first decides, the other is for a report.

    The first is the data of the live version. Before anything is live it is the last accepted data, as it is for a
    version without a profile, which an older release published.

    Args:
        profiles: Folder of the profiles of published versions.
        accepted: File of the data that the data gate accepted last.
        destination: Folder of the published versions.
        version: Where its profile is there, the data of this version comes first.

    Raises:
        ConfigError: The file that says what is live was changed by hand.
    """
    live, found, note = live_version(destination), [], ""
    for one, words in ((version, "version"), (live, "the live version")):
        if one is None or found:
            continue
        path = profile_path(profiles, one)
        if path.exists():
            found.append(Reference(path, f"the data of {words} {one}", "the last accepted data is the reference"))
    if live is not None and not found:
        note = f"there is no profile of the data of the live version {live}, the last accepted data is the reference"
    if accepted.exists():
        found.append(Reference(accepted, "the last accepted data", "this data becomes the new reference", note))
    return found


def remove_profiles(profiles: Path, kept: Collection[int]) -> None:
    """Removes the profiles of versions that are not among `kept`."""
    for path in profiles.glob("*.npz"):
        if path.stem not in map(str, kept):
            path.unlink()
