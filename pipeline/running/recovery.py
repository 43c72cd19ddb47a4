"""What a run leaves behind when it is stopped, and how it or the next one cleans up."""

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from components.manifests import damage
from data.secrets import hide
from pipeline.core.paths import PipelinePaths

# A stage that does not come back to Python in this time is given up.
GRACE_SECONDS = 8.0


class Stopped(BaseException):
    """A signal asked the run to stop; not an Exception, so that no library takes it for a failure of its own."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def stop_on_signals(give_up: Callable[[int], None]) -> Iterator[None]:
    """Within this block SIGTERM and SIGINT raise Stopped in the main thread.

    Args:
        give_up: Called with the signal's number from another thread when the block has not ended GRACE_SECONDS after
            the signal; it must end the process.
    """
    ended, asked = threading.Event(), False
    receiver, sender = socket.socketpair()
    sender.setblocking(False)

    def stop(number, frame):
        nonlocal asked
        if not asked:  # asked for a second time, it is stopping already
            asked = True
            raise Stopped(number)

    def watch() -> None:
        """Python handles a signal when its main thread comes back from C; the wakeup socket tells at once."""
        number = receiver.recv(1)
        if number and not ended.wait(GRACE_SECONDS):
            give_up(number[0])

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    previous_fd = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(previous_fd)
        for number, handler in previous.items():
            signal.signal(number, handler)
        sender.close()  # the watcher reads the end and returns
        watcher.join()
        receiver.close()


@contextlib.contextmanager
def temporary_files(paths: PipelinePaths) -> Iterator[None]:
    """Within this block all libraries put their temporary files below the pipeline's own folder, removed at the end.

    TFX, TFMA, Beam and AutoGraph leave files in the system's temporary folder, more so when they are killed.
    """
    shutil.rmtree(paths.temporary, ignore_errors=True)
    paths.temporary.mkdir(parents=True)
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = str(paths.temporary)
    try:
        yield
    finally:
        tempfile.tempdir = before[1]
        os.environ.pop("TMPDIR") if before[0] is None else os.environ.update(TMPDIR=before[0])
        shutil.rmtree(paths.temporary, ignore_errors=True)


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """Within this block new files are 0640 and new folders 0750 at most, whoever makes them."""
    before = os.umask(0o027)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def hidden_secrets(log: Path) -> Iterator[None]:
    """After this block the log holds no value of a `${ENV:NAME}` setting, not even from libraries in C."""
    try:
        yield
    finally:
        text = log.read_text(errors="surrogateescape") if log.exists() else ""
        if hide(text) != text:
            log.write_text(hide(text), errors="surrogateescape")


@dataclass(frozen=True)
class Unfinished:
    """A run that was stopped before its end.

    Attributes:
        stage: The stage it was in.
        finished: How many stages it had finished.
    """

    stage: str
    finished: int


def reap(paths: PipelinePaths) -> Unfinished | None:
    """Cleans up after a run that was stopped: no execution stays RUNNING, no half-written folder stays.

    Must be called with the pipeline's lock held.

    Returns:
        Where the run was stopped; None when there is nothing to clean up.
    """
    for staging in paths.serving.glob(".staging-*"):
        shutil.rmtree(staging, ignore_errors=True)
    if not paths.database.exists():
        return None
    from ml_metadata.proto import metadata_store_pb2
    from tfx.orchestration import metadata

    state = metadata_store_pb2.Execution
    found = None
    with metadata.Metadata(metadata.sqlite_metadata_connection_config(str(paths.database))) as handle:
        running = [one for one in handle.store.get_executions() if one.last_known_state in (state.RUNNING, state.NEW)]
        for execution in running:
            contexts = {context.type: context.name for context in handle.store.get_contexts_by_execution(execution.id)}
            stage = contexts["node"].rsplit(".", 1)[-1]
            run = handle.store.get_context_by_type_and_name("pipeline_run", contexts["pipeline_run"])
            siblings = handle.store.get_executions_by_context(run.id)
            finished = sum(one.last_known_state in (state.COMPLETE, state.CACHED) for one in siblings)
            found = Unfinished(stage, finished)
            _remove_outputs(paths.artifacts / stage, execution.id)
            execution.last_known_state = state.CANCELED
        handle.store.put_executions(running)
    return found


def set_aside_damaged(paths: PipelinePaths) -> list[str]:
    """Moves artifacts that are not as their manifests say out of the cache's sight; returns what was wrong with each.

    TFX takes a cached result only while the artifact's folder is there. Folders are never used again: the stage that is
    redone writes to a new one.
    """
    found = []
    for artifact in sorted(path for path in paths.artifacts.glob("*/*/*") if path.name.isdecimal()):
        wrong = damage(artifact)
        if wrong:
            found.append(f"{artifact.parts[-3]} is rebuilt: in its {artifact.parts[-2]}, {wrong}")
            artifact.rename(artifact.with_name(f"{artifact.name}.damaged-{time.time_ns()}"))
    return found


def _remove_outputs(stage: Path, execution: int) -> None:
    """Removes the folders that TFX made for one execution: outputs, and its own below `.system`."""
    for pattern in (f"*/{execution}", f".system/*/{execution}", ".system/*/.temp"):
        for folder in stage.glob(pattern):
            shutil.rmtree(folder, ignore_errors=True)
