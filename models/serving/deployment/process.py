"""A model server as a child process: the embedded one, TF Serving's binary, or its container. Loads no TensorFlow."""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.errors import ServingError
from models.serving.deployment import standby

BINARY = "tensorflow_model_server"
IMAGE = "tensorflow/serving:2.19.1"
STOP_SECONDS = 15
# A server allocates only the GPU memory that its models need, as training does.
GPU_GROWTH = ("TF_FORCE_GPU_ALLOW_GROWTH", "true")
# Flags of the embedded server that TF Serving does not have.
OURS = ("--host", "--input_validation", "--input_guard", "--max_request_mib", "--max_batch_rows", "--max_concurrency",
        "--drain_seconds", "--allow_remote_reload", "--access_log", "--default_label",
        "--sample_config_file")  # fmt: skip


_libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1  # prctl(2)


def _end_with_parent() -> None:
    """Makes the kernel send this process SIGTERM when the thread that forked it ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    """Returns a TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def listens(host: str, port: int) -> bool:
    """Returns whether a process accepts TCP connections at this address."""
    address = "127.0.0.1" if host == "0.0.0.0" else host
    try:
        with socket.create_connection((address, port), 1):
            return True
    except OSError:
        return False


def choose(engine: str) -> str:
    """Returns the engine to use; `auto` is the first available of TF Serving's binary, its container, the embedded one.

    Args:
        engine: `auto`, `binary`, `docker` or `embedded`.

    Raises:
        ServingError: The requested engine is not available.
    """
    if engine in ("auto", "binary") and shutil.which(BINARY):
        return "binary"
    if engine in ("auto", "docker") and _docker_runs():
        return "docker"
    if engine in ("auto", "embedded"):
        return "embedded"
    missing = f"{BINARY} is not on the path" if engine == "binary" else "no docker engine is running"
    raise ServingError(f"--engine {engine}: {missing}; --engine embedded needs neither.")


def _docker_runs() -> bool:
    if not shutil.which("docker"):
        return False
    try:
        return not subprocess.run(["docker", "info"], capture_output=True, timeout=10, check=False).returncode
    except (OSError, subprocess.TimeoutExpired):
        return False


@dataclass
class ServerProcess:
    """A model server, started by `start`.

    Attributes:
        flags: TF Serving's flags, without ports.
        engine: `embedded`, `binary` or `docker`.
        log: File for the output of the server.
        port: Port of the gRPC API; 0: a free one.
        rest_port: Port of the REST API; 0: a free one.
        host: Address the embedded server and the container listen on; the binary always listens on all.
        folders: Folders to mount into a container, each under its own path.
        ends_with_us: Whether it gets SIGTERM when the thread that started it ends, even by SIGKILL.
    """

    flags: Sequence[str]
    log: Path
    engine: str = "embedded"
    port: int = 0
    rest_port: int = 0
    host: str = "127.0.0.1"
    folders: Sequence[Path] = ()
    ends_with_us: bool = False
    process: subprocess.Popen | None = field(default=None, init=False)
    _log_start: int = field(default=0, init=False)

    def start(self) -> None:
        """Starts the process; returns at once."""
        self.port, self.rest_port = self.port or free_port(), self.rest_port or free_port()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self._log_start = out.tell()
            self.process = standby.take(self.arguments(), self.log) if self.engine == "embedded" else None
            if self.process is not None:
                return
            # Its own process group, so that Ctrl-C at a terminal does not reach it twice: `stop` sends the signal.
            self.process = subprocess.Popen(
                self.command(), stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
                preexec_fn=_end_with_parent if self.ends_with_us else None, env=dict([GPU_GROWTH]) | os.environ,
            )  # fmt: skip

    def command(self) -> list[str]:
        """Returns the command line."""
        if self.engine == "embedded":
            return [*standby.python(), "-m", "models.serving.server", *self.arguments()]
        ports = [f"--port={self.port}", f"--rest_api_port={self.rest_port}"]
        supported_flags = [flag for flag in self.flags if not flag.startswith(OURS)]
        if self.engine == "binary":
            return [BINARY, *ports, *supported_flags]
        published = [
            argument for port in (self.port, self.rest_port) for argument in ("-p", f"{self.host}:{port}:{port}")
        ]
        mounts = [argument for folder in self.folders for argument in ("-v", f"{folder}:{folder}:ro")]
        return [
            "docker",
            "run",
            "--rm",
            "--init",
            "-e",
            "=".join(GPU_GROWTH),
            *published,
            *mounts,
            IMAGE,
            *ports,
            *supported_flags,
        ]

    def arguments(self) -> list[str]:
        """Returns the embedded server's arguments."""
        return [f"--port={self.port}", f"--rest_api_port={self.rest_port}", f"--host={self.host}", *self.flags]

    def wait(self, seconds: float) -> None:
        """Waits until the server answers, which it does once all models are loaded.

        Args:
            seconds: Maximum wait.

        Raises:
            ServingError: The server ended, or the time is up; with the last lines of its log.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                raise ServingError(f"The model server ended before it answered: {self.last_words()}")
            if listens(self.host, self.rest_port):
                return
            time.sleep(0.05)
        raise ServingError(f"The model server does not answer after {seconds:g} s: {self.last_words()}")

    def last_words(self, count: int = 3) -> str:
        """Returns the last `count` lines that the server logged since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        return " / ".join(lines[-count:]) or "it said nothing"

    def stop(self) -> int | None:
        """Ends the process by SIGTERM, or SIGKILL if that takes too long, and returns its exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        return self.process.returncode


@contextlib.contextmanager
def running(server: ServerProcess, seconds: float = 120, meanwhile: Callable[[], Any] = lambda: None) -> Iterator[Any]:
    """Runs the server during the block.

    Args:
        server: The server, not started yet.
        seconds: Maximum wait for its start.
        meanwhile: Called while the server starts.

    Yields:
        The result of `meanwhile`.

    Raises:
        ServingError: The server does not start.
    """
    server.start()
    try:
        result = meanwhile()
        server.wait(seconds)
        yield result
    finally:
        server.stop()
