"""Files while a run or a server works: who may read them, where temporary ones go, and no secret in a log."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from data.errors import ConfigError
from data.secrets import hide

# Why the system may refuse to write a file -> what mends it.
_ROOM = "free space on that disk, or choose another home with --home or HEADRACE_HOME"
_REFUSED = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: "choose another home with --home or HEADRACE_HOME",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f unlimited), or choose a home on another disk",
}
_LIBRARIES = ("tensorflow.", "pyarrow.")  # whose errors are classes of their own, with the system's words


@contextlib.contextmanager
def temporary_files(folder: Path) -> Iterator[None]:
    """Within this block all libraries put their temporary files into a folder, emptied before and removed at the end.

    TFX, TFMA, Beam and AutoGraph leave files in the system's temporary folder, more so when they are killed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before[1]
        os.environ.pop("TMPDIR") if before[0] is None else os.environ.update(TMPDIR=before[0])
        shutil.rmtree(folder, ignore_errors=True)


# The umasks that blocks of `private_files` have replaced, the user's own first: like a umask, of the whole process.
_replaced: list[int] = []


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """Within this block new files are 0640 and new folders 0750 at most, whoever makes them."""
    before = os.umask(0o027)
    _replaced.append(before)
    try:
        yield
    finally:
        _replaced.pop()
        os.umask(before)


def user_umask() -> int:
    """Returns the umask that the process was started with, within a block of `private_files` and without."""
    if _replaced:
        return _replaced[0]
    before = os.umask(0o077)  # it can only be read by setting it
    os.umask(before)
    return before


@contextlib.contextmanager
def hidden_secrets(log: Path) -> Iterator[None]:
    """After this block the log holds no value of a `${ENV:NAME}` setting, not even from libraries in C."""
    try:
        yield
    finally:
        text = log.read_text(errors="surrogateescape") if log.exists() else ""
        if hide(text) != text:
            log.write_text(hide(text), errors="surrogateescape")


def refused_write(error: BaseException, stage: str) -> ConfigError | None:
    """Returns what to say where a stage failed because the system refused to write a file; None for other failures."""
    text = (str(error).splitlines() or [""])[0]
    if not isinstance(error, OSError) and not type(error).__module__.startswith(_LIBRARIES):
        return None
    for number, remedy in _REFUSED.items():
        reason = os.strerror(number)
        if getattr(error, "errno", None) == number or reason in text:
            # TensorFlow's is `FILE; REASON`.
            named = getattr(error, "filename", None) or (text.partition(";")[0] if ";" in text else "a file")
            found = ConfigError(f"Stage {stage} could not write {named} ({reason}); {remedy}.")
            found.__cause__ = error  # for the log
            return found
    return None
