"""Real file systems for tests: what root may do anyhow is forbidden by how it is mounted."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Within this block a file or folder is read-only, for root too; skips the test where that cannot be had."""
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
    """Within this block a folder is also at another path; skips the test where that cannot be had."""
    _mount("--bind", str(folder), str(at))
    try:
        yield
    finally:
        subprocess.run(["umount", str(at)], check=True)


@contextlib.contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    """Within this block a new folder is a disk of this size, such as `1m`; skips the test where that cannot be had."""
    path.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path))
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def _mount(*arguments: str) -> None:
    if subprocess.run(["mount", *arguments], capture_output=True).returncode:
        pytest.skip("this user may not mount a file system")
