"""One run of a pipeline at a time."""

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
    """Holds the pipeline's lock within the block; the kernel lets go of it when the process ends, however it ends.

    Args:
        path: The lock file.
        pipeline: Name of the pipeline, for messages.
        wait: Wait for the holder to let go, instead of giving up.
        say: Tells a person what is waited for.

    Raises:
        LockError: Another process holds it; names the process and since when.
    """

    def taken(holder: str) -> None:
        running = f"Pipeline {pipeline} is already running ({holder})"
        if not wait:
            raise LockError(f"{running}; --wait waits for it.") from None
        say(f"{running}; waiting for it to end.")

    with locked(path, taken):
        yield


@contextlib.contextmanager
def locked(path: Path, taken: Callable[[str], None]) -> Iterator[None]:
    """Holds a lock file within the block.

    Args:
        path: The file.
        taken: Is told who holds it, where another process does, and raises, or returns to wait for it.
    """
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            taken(_holder(file.read()))
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
