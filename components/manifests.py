"""What an artifact held when its stage was done: damage is noticed before anything is built on it.

The manifest of the artifact `train/model/7` lies beside it, in `train/model/7.manifest.json`.
"""

import json
from pathlib import Path

from data.files import atomic
from data.files.checksums import sha256

MANIFEST_SUFFIX = ".manifest.json"


def manifest_path(artifact: Path) -> Path:
    """Returns where the manifest of an artifact's folder lies."""
    return artifact.with_name(artifact.name + MANIFEST_SUFFIX)


def write_manifest(artifact: Path) -> None:
    """Writes down size, time and SHA-256 of every file of an artifact."""
    files = {str(path.relative_to(artifact)): _facts(path) for path in sorted(artifact.rglob("*")) if path.is_file()}
    atomic.write(manifest_path(artifact), json.dumps(files, indent=1))


def damage(artifact: Path, *, thorough: bool = False) -> str | None:
    """Returns what is wrong with an artifact in a few words; None when it is as its manifest says.

    Args:
        artifact: The artifact's folder.
        thorough: Hash every file. By default a file is hashed only when its time is not the one written down.
    """
    try:
        files = json.loads(manifest_path(artifact).read_text())
    except FileNotFoundError:
        return "its manifest is missing"
    except ValueError:
        return "its manifest is damaged"
    if not artifact.is_dir():
        return "it is gone"
    for name, facts in files.items():
        path = artifact / name
        if not path.is_file():
            return f"{name} is missing"
        status = path.stat()
        if status.st_size != facts["size"]:
            return f"{name} has {status.st_size:,} bytes, expected {facts['size']:,}"
        if (thorough or status.st_mtime_ns != facts["mtime_ns"]) and sha256(path) != facts["sha256"]:
            return f"{name} was changed"
    more = added(artifact)
    return f"{more} was added" if more else None


def added(artifact: Path) -> str | None:
    """Returns a file of an artifact that was not there when its stage was done; None without one, or a manifest."""
    try:
        known = set(json.loads(manifest_path(artifact).read_text()))
    except (OSError, ValueError):
        return None
    return min(
        {str(path.relative_to(artifact)) for path in artifact.rglob("*") if path.is_file()} - known, default=None
    )


def _facts(path: Path) -> dict:
    status = path.stat()
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "sha256": sha256(path)}
