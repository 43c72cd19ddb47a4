"""Manifests of artifacts: the files of each when its stage ended, so that damage is noticed before it is used.

The manifest of the artifact `train/model/7` is `train/model/7.manifest.json`.
"""

import json
from pathlib import Path

from data.files import atomic
from data.files.checksums import sha256

MANIFEST_SUFFIX = ".manifest.json"


def manifest_path(artifact: Path) -> Path:
    """Returns the path of the manifest of an artifact's folder."""
    return artifact.with_name(artifact.name + MANIFEST_SUFFIX)


def write_manifest(artifact: Path) -> None:
    """Writes the manifest of an artifact: size, modification time and SHA-256 of each of its files."""
    files = {str(path.relative_to(artifact)): _entry(path) for path in sorted(artifact.rglob("*")) if path.is_file()}
    atomic.write(manifest_path(artifact), json.dumps(files, indent=1))


def damage(artifact: Path, *, thorough: bool = False) -> str | None:
    """Returns in a few words how an artifact differs from its manifest; None if it does not.

    Args:
        artifact: The artifact's folder.
        thorough: Hash every file. By default only files are hashed whose modification time has changed.
    """
    try:
        files = json.loads(manifest_path(artifact).read_text())
    except FileNotFoundError:
        return "its manifest is missing"
    except ValueError:
        return "its manifest is damaged"
    if not artifact.is_dir():
        return "it is gone"
    for name, entry in files.items():
        path = artifact / name
        if not path.is_file():
            return f"{name} is missing"
        status = path.stat()
        if status.st_size != entry["size"]:
            return f"{name} has {status.st_size:,} bytes, expected {entry['size']:,}"
        if (thorough or status.st_mtime_ns != entry["mtime_ns"]) and sha256(path) != entry["sha256"]:
            return f"{name} was changed"
    added_file = added(artifact)
    return f"{added_file} was added" if added_file else None


def added(artifact: Path) -> str | None:
    """Returns a file of an artifact that is not in its manifest; None if there is none, or no readable manifest."""
    try:
        listed = set(json.loads(manifest_path(artifact).read_text()))
    except (OSError, ValueError):
        return None
    return min(
        {str(path.relative_to(artifact)) for path in artifact.rglob("*") if path.is_file()} - listed, default=None
    )


def _entry(path: Path) -> dict:
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": sha256(path)}
