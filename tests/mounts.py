"""File systems mounted for tests, as root ignores permissions but not a read-only mount or a full disk."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Makes a path read-only within the block, for root too; skips the test where mounting is not permitted."""
    if os.geteuid():
        mode = path.stat().st_mode
        path.chmod(0o555)
        try:
            yield
        finally:
            path.chmod(mode)
        return
    _mount("--bind", str(path), str(path))
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(path)], check=True)
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


@contextlib.contextmanager
def bound(folder: Path, at: Path) -> Iterator[None]:
    """Mounts a folder at another path within the block; skips the test where that is not permitted."""
    _mount("--bind", str(folder), str(at))
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True)


@contextlib.contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    """Mounts an empty disk of a size such as `1m` within the block; skips the test where that is not permitted."""
    path.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path))
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def _mount(*arguments: str) -> None:
    if subprocess.run(["mount", *arguments], capture_output=True).returncode:
        pytest.skip("this user may not mount a file system")
