"""What the workers of pytest-xdist share, and the order in which they take the files of tests."""

import fcntl
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def is_worker(config: pytest.Config) -> bool:
    """Returns whether this process is one of several that run the tests."""
    return hasattr(config, "workerinput")


def made_once(request: pytest.FixtureRequest, name: str, make: Callable[[Path], None]) -> Path:
    """Returns a folder of the session that all workers share; the first that needs it makes it, the others wait.

    Args:
        request: The request of a fixture.
        name: The folder's name.
        make: Fills the new folder; where it raises, the next that needs the folder tries again.
    """
    base = request.getfixturevalue("tmp_path_factory").getbasetemp()
    shared = base.parent if is_worker(request.config) else base  # a worker's own lies in that of the session
    folder, done = shared / name, shared / f"{name}.done"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


def sort(items: list[pytest.Item]) -> None:
    """Sorts tests by file, the longest files first: then no worker goes on long after the others have ended.

    Files of whole pipelines that need the shared run come second: while one worker makes it, another has work.
    """
    by_file: dict[Path, list[pytest.Item]] = {}
    for item in items:
        by_file.setdefault(item.path, []).append(item)
    items[:] = itertools.chain.from_iterable(sorted(by_file.values(), key=_rank))


def _rank(items: list[pytest.Item]) -> int:
    """Returns the place of a file's tests, 0 to 3, the longest first."""
    marks = {mark.name for item in items for mark in item.iter_markers()}
    if "e2e" in marks:
        return 1 if any("digits_run" in item.fixturenames for item in items) else 0
    return 2 if "slow" in marks else 3
