"""A server process that has imported what it needs before it is known what to serve: that takes most of its start.

`begin` starts it beside work that keeps one core busy, `ServerProcess` takes it where there is one, `drop` ends one
that nobody took. It ends by itself when the process that began it does. Loads no TensorFlow.
"""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from models import progress

_waiting: subprocess.Popen | None = None


def python() -> list[str]:
    """Returns the command of a Python that takes no folder `models` of where the user stands for ours."""
    # What -I does not take from the environment.
    bytecode, utf8 = ["-B"] if sys.dont_write_bytecode else [], ["-X", "utf8"] if sys.flags.utf8_mode else []
    return [sys.executable, "-I", *bytecode, *utf8]


def begin() -> None:
    """Starts the process, unless one waits already or TF Serving's binary would be taken."""
    global _waiting
    if _waiting is None and not shutil.which("tensorflow_model_server"):
        # A group of its own, as a server has.
        _waiting = subprocess.Popen(
            [*python(), "-m", "models.serving.server.preload"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


@contextlib.contextmanager
def started_at_export() -> Iterator[None]:
    """Within this block the process starts as soon as training has its weights; one that nobody took ends with it.

    Writing vectors and model keeps one core busy for about as long as the imports take, so that the classical models,
    whose seconds are compared, are trained beside their end at most.
    """

    def listen(values: dict[str, Any]) -> None:
        if values.get("exporting"):
            begin()

    try:
        with progress.listening(listen):
            yield
    finally:
        drop()


def take(arguments: Sequence[str], log: Path) -> subprocess.Popen | None:
    """Turns the waiting process into a server with these arguments, which writes to `log`; None where none waits."""
    global _waiting
    process, _waiting = _waiting, None
    if process is None or process.stdin is None:
        return None
    message = json.dumps({"arguments": list(arguments), "log": str(log)})
    try:
        with process.stdin as sender:
            sender.write(message.encode() + b"\n")
    except OSError:
        process.wait()
        return None
    return process if process.poll() is None else None


def drop() -> None:
    """Ends the process that nobody took."""
    global _waiting
    process, _waiting = _waiting, None
    if process is not None and process.stdin is not None:
        process.kill()
        process.wait()
        process.stdin.close()
