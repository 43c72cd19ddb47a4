"""Published versions in TF Serving's layout: numbered folders, each published atomically."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Collection
from pathlib import Path

from data.errors import ServingError
from data.texts import to_json

MANIFEST = Path("assets.extra") / "headrace.json"
REPORT = Path("assets.extra") / "report.html"
FIRST_TIMESTAMP = 10**9  # versions from here on are seconds since 1970
_VERSION = re.compile("0|[1-9][0-9]{0,18}")


def publish(
    model: Path,
    destination: Path,
    facts: dict,
    *,
    keep: int | None = None,
    kept: Collection[int] = (),
    mode: int | None = None,
) -> int:
    """Publishes a SavedModel below `destination` and returns its version.

    The version is the time in seconds since 1970, or the highest version plus one if that is larger. TF Serving loads
    any folder whose name is a number, complete or not: therefore the copy is staged under another name, flushed to
    disk, compared with the original, and renamed. After a failure the published versions are unchanged. A model that
    is the newest version already is not published again.

    Args:
        model: Folder of the SavedModel.
        destination: Folder of the pipeline's versions.
        facts: Written to `assets.extra/headrace.json` with the model's digest, its version and the time.
        keep: Number of newest versions that stay; None: all.
        kept: Versions that stay in any case: the live ones.
        mode: Permissions of files; folders can be entered by users who can read the files. None: by the umask.

    Raises:
        ServingError: The copy differs from the model, or the newest version was not published by Headrace.
        OSError: The destination cannot be written to.
    """
    mode = _make_destination(destination, mode)
    with (destination / ".lock").open("a") as lock:
        # Two pipelines may publish to the same folder; the kernel releases the lock when the process ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
        for staging in destination.glob(".staging-*"):
            shutil.rmtree(staging, ignore_errors=True)
        digest, newest = model_digest(model), last_version(destination)
        if newest is None or read_manifest(destination / str(newest)).get("digest") != digest:
            newest = max(int(time.time()), (newest or 0) + 1)
            identity = {"digest": digest, "version": newest, "published": int(time.time())}
            _stage_and_rename(model, destination, newest, {**identity, **facts}, mode)
        _remove(
            destination, [version for version in versions(destination)[: -keep if keep else 0] if version not in kept]
        )
    return newest


def _remove(destination: Path, old: list[int]) -> None:
    """Removes versions. Each is renamed first, so that TF Serving never sees a partly deleted one."""
    for version in old:
        leaving = (destination / str(version)).rename(destination / f".staging-removed-{version}")
        shutil.rmtree(leaving)


def _make_destination(destination: Path, mode: int | None) -> int:
    """Makes the folder of versions, accessible to users who can read the files; returns the permissions of files."""
    mode = 0o600 | (0o666 & ~_umask() if mode is None else mode)
    if not destination.exists():
        destination.mkdir(parents=True, exist_ok=True)
        destination.chmod(_folder_mode(mode))
    for folder in (destination, destination.parent):  # a server of another user must be able to enter both
        _open_up(folder, mode)
    return mode


def _umask() -> int:
    """Returns the process's umask, which can only be read by setting it."""
    before = os.umask(0o077)
    os.umask(before)
    return before


def _folder_mode(mode: int) -> int:
    """Returns the permissions of a folder whose files have `mode`: read permission implies access."""
    return mode | (mode & 0o444) >> 2


def _open_up(folder: Path, mode: int) -> None:
    """Lets users who can read files of `mode` enter a folder; another owner's folder is left unchanged."""
    with contextlib.suppress(PermissionError):
        folder.chmod(folder.stat().st_mode & 0o7777 | (_folder_mode(mode) & 0o555))


def _stage_and_rename(model: Path, destination: Path, version: int, manifest: dict, mode: int) -> None:
    staging = destination / f".staging-{os.getpid()}-{version}"
    try:
        shutil.copytree(model, staging)
        (staging / MANIFEST).parent.mkdir(exist_ok=True)
        (staging / MANIFEST).write_text(to_json(manifest, indent=1))
        for path in [*staging.rglob("*"), staging]:
            path.chmod(_folder_mode(mode) if path.is_dir() else mode)
            _flush(path)
        if model_digest(staging) != manifest["digest"]:
            raise ServingError(f"The copy of {model} in {destination} differs from it; nothing was published.")
        staging.rename(destination / str(version))
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    _flush(destination)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def versions(destination: Path) -> list[int]:
    """Returns the published versions, lowest first."""
    if not destination.is_dir():
        return []
    return sorted(int(path.name) for path in destination.iterdir() if is_version(path.name) and path.is_dir())


def is_version(name: str) -> bool:
    """Whether a folder name is a version: a number as `publish` writes it, within int64."""
    return _VERSION.fullmatch(name) is not None and int(name) < 2**63


def last_version(destination: Path) -> int | None:
    """Returns the highest published version; None without one."""
    return max(versions(destination), default=None)


def read_manifest(version_folder: Path) -> dict:
    """Returns the manifest of a version, written when it was published.

    Raises:
        ServingError: The folder holds no manifest: it was not published by Headrace.
    """
    try:
        manifest = json.loads((version_folder / MANIFEST).read_text())
        if not isinstance(manifest, dict):
            raise ValueError("it is no JSON object")
        return manifest
    except (OSError, ValueError) as error:
        raise ServingError(
            f"{version_folder} has no readable {MANIFEST}; move it away, it was not published by Headrace."
        ) from error


def published_at(version_folder: Path) -> float:
    """Returns the time of publication in seconds since 1970, which the files lose when they are copied.

    It is in the manifest. Manifests of older releases lack it: then it is the version, which is a timestamp, or for the
    small version numbers of other tools the modification time of the folder.
    """
    version = int(version_folder.name)
    with contextlib.suppress(ServingError):
        published = read_manifest(version_folder).get("published")
        if isinstance(published, int | float):
            return float(published)
    return float(version) if version >= FIRST_TIMESTAMP else version_folder.stat().st_mtime


def model_digest(folder: Path) -> str:
    """Returns the SHA-256 over names and contents of a SavedModel's files, without those added on publishing."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if name not in (MANIFEST, REPORT):
            digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
