"""Published versions in TF Serving's layout: numbered folders that appear whole, or not at all."""

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
CLOCK = 10**9  # versions from here on are seconds since 1970
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

    The version is the clock in seconds since 1970, or one more than the highest there is. TF Serving takes any folder
    whose name is a number and never checks that it is complete: the copy is staged under another name, flushed to
    disk, checked against the original, and renamed once. A failure anywhere leaves what is served as it was. A model
    that is the newest version already is not published again.

    Args:
        model: Folder of the SavedModel.
        destination: Folder of the pipeline's versions.
        facts: Written to `assets.extra/headrace.json` beside the model's digest, its version and when it was published.
        keep: How many versions stay, the newest; None for all.
        kept: Versions that stay in any case: those that are live.
        mode: Permissions of files; who may read them may enter the folders. None: as the process makes files.

    Raises:
        ServingError: The copy is not what was to be published, or a newest version was not published by Headrace.
        OSError: The destination cannot be written to.
    """
    mode = _make_destination(destination, mode)
    with (destination / ".lock").open("a") as lock:
        # Two pipelines may publish to one place; the kernel lets go of the lock when the process ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in destination.glob(".staging-*"):
            shutil.rmtree(left, ignore_errors=True)
        digest, newest = model_digest(model), last_version(destination)
        if newest is None or read_manifest(destination / str(newest)).get("digest") != digest:
            newest = max(int(time.time()), (newest or 0) + 1)
            named = {"digest": digest, "version": newest, "published": int(time.time())}
            _stage_and_rename(model, destination, newest, {**named, **facts}, mode)
        _remove(destination, [old for old in versions(destination)[: -keep if keep else 0] if old not in kept])
    return newest


def _remove(destination: Path, old: list[int]) -> None:
    """Removes versions; out of TF Serving's sight first: it must never see half a version, on the way out either."""
    for version in old:
        leaving = (destination / str(version)).rename(destination / f".staging-removed-{version}")
        shutil.rmtree(leaving)


def _make_destination(destination: Path, mode: int | None) -> int:
    """Makes the folder of versions, which who may read a version's files may enter; returns the files' permissions."""
    mode = 0o600 | (0o666 & ~_umask() if mode is None else mode)
    if not destination.exists():
        destination.mkdir(parents=True, exist_ok=True)
        destination.chmod(_folder_mode(mode))
    for folder in (destination, destination.parent):  # to where a server of another user has to come
        _open_up(folder, mode)
    return mode


def _umask() -> int:
    """Returns the process's umask, which can only be read by setting it."""
    before = os.umask(0o077)
    os.umask(before)
    return before


def _folder_mode(mode: int) -> int:
    """Returns the permissions of a folder whose files have `mode`: who may read may enter."""
    return mode | (mode & 0o444) >> 2


def _open_up(folder: Path, mode: int) -> None:
    """Lets those enter a folder who may read files of `mode` in it; a folder of somebody else stays as it is."""
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
    """Whether a name is that of a version's folder: a number as `publish` writes it, and one that an int64 holds."""
    return _VERSION.fullmatch(name) is not None and int(name) < 2**63


def last_version(destination: Path) -> int | None:
    """Returns the highest published version; None without one."""
    return max(versions(destination), default=None)


def read_manifest(version_folder: Path) -> dict:
    """Returns what was written about a version when it was published.

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
    """Returns when a version was published, seconds since 1970: its files have other times once they were copied.

    A manifest of an older release does not say so; the version is the clock's then. Versions that others numbered, with
    smaller numbers, have nothing but the time of their folder.
    """
    version = int(version_folder.name)
    with contextlib.suppress(ServingError):
        found = read_manifest(version_folder).get("published")
        if isinstance(found, int | float):
            return float(found)
    return float(version) if version >= CLOCK else version_folder.stat().st_mtime


def model_digest(folder: Path) -> str:
    """Returns the SHA-256 over names and contents of a SavedModel's files; what was added on publishing is left out."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        if name not in (MANIFEST, REPORT):
            digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
