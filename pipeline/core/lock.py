"""File locks: one run of a pipeline at a time."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from data.errors import LockError


@contextlib.contextmanager
def hold(path: Path, pipeline: str, *, wait: bool = False, say: Callable[[str], None] = print) -> Iterator[None]:
    """Holds the pipeline's lock within the block; the kernel releases it when the process ends, also by a kill.

    Args:
        path: The lock file.
        pipeline: Name of the pipeline, for messages.
        wait: Whether to wait for the holder instead of raising.
        say: Prints a line on what is waited for.

    Raises:
        LockError: Another process holds the lock; the message has its pid and the time since when.
    """

    def on_locked(holder: str) -> None:
        running = f"Pipeline {pipeline} is already running ({holder})"
        if not wait:
            raise LockError(f"{running}; --wait waits for it.") from None
        say(f"{running}; waiting for it to end.")

    with locked(path, on_locked):
        yield


@contextlib.contextmanager
def locked(path: Path, on_locked: Callable[[str], None]) -> Iterator[None]:
    """Holds a lock file within the block.

    Args:
        path: The lock file.
        on_locked: Called with the holder if another process holds the lock; raises, or returns to wait for it.
    """
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            on_locked(_holder(file.read()))
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}))
        file.flush()
        yield
        file.truncate(0)


def _holder(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"pid {holder['pid']} since {holder['since']}"
    except (ValueError, KeyError):
        return "it has just started"
