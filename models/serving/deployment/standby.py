"""A standby server process that has done its imports, most of the start time, before its flags are known.

`begin` starts it while other work keeps one core busy, `ServerProcess` uses it if there is one, `drop` ends an unused
one. It ends by itself when its parent process does. Loads no TensorFlow.
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

_standby: subprocess.Popen | None = None


def python() -> list[str]:
    """Returns the command of a Python that imports no folder `models` of the current directory."""
    # -I ignores the environment, so these settings are passed as options.
    bytecode, utf8 = ["-B"] if sys.dont_write_bytecode else [], ["-X", "utf8"] if sys.flags.utf8_mode else []
    return [sys.executable, "-I", *bytecode, *utf8]


def begin() -> None:
    """Starts the standby process, unless there is one already or TF Serving's binary is installed."""
    global _standby
    if _standby is None and not shutil.which("tensorflow_model_server"):
        # Its own process group, as for a server.
        _standby = subprocess.Popen(
            [*python(), "-m", "models.serving.server.preload"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


@contextlib.contextmanager
def started_at_export() -> Iterator[None]:
    """Within this block, starts the standby process when the export of the model begins; ends it if it is unused.

    The export keeps one core busy for about as long as the imports take. The reference models, whose training time is
    compared, therefore share the cores with the last imports at most.
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
    """Returns the standby process as a server with these arguments that writes to `log`; None if there is none."""
    global _standby
    process, _standby = _standby, None
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
    """Ends an unused standby process."""
    global _standby
    process, _standby = _standby, None
    if process is not None and process.stdin is not None:
        process.kill()
        process.wait()
        process.stdin.close()
