"""Files of a run or a server: permissions, temporary files, and no secret in a log."""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from data.errors import ConfigError
from data.secrets import hide

# errno of a refused write -> remedy.
_FREE_SPACE = "free space on that disk, or choose another home with --home or HEADRACE_HOME"
_REMEDIES = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EROFS: "choose another home with --home or HEADRACE_HOME",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f unlimited), or choose a home on another disk",
}
_LIBRARIES = ("tensorflow.", "pyarrow.")  # with error classes of their own, whose text contains that of the system


@contextlib.contextmanager
def temporary_files(folder: Path) -> Iterator[None]:
    """Sets the folder of temporary files within the block; it is emptied before and removed after.

    TFX, TFMA, Beam and AutoGraph leave files in the system's temporary folder, in particular when they are killed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    variable, tempdir = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = tempdir
        os.environ.pop("TMPDIR") if variable is None else os.environ.update(TMPDIR=variable)
        shutil.rmtree(folder, ignore_errors=True)


# Umasks that blocks of `private_files` have replaced, the user's own first; like a umask, it is of the process.
_replaced_umasks: list[int] = []


@contextlib.contextmanager
def private_files() -> Iterator[None]:
    """Sets the umask 0027 within the block: new files are at most 0640, new folders at most 0750."""
    before = os.umask(0o027)
    _replaced_umasks.append(before)
    try:
        yield
    finally:
        _replaced_umasks.pop()
        os.umask(before)


def user_umask() -> int:
    """Returns the umask with which the process was started, also within a block of `private_files`."""
    if _replaced_umasks:
        return _replaced_umasks[0]
    before = os.umask(0o077)  # reading a umask requires setting it
    os.umask(before)
    return before


@contextlib.contextmanager
def hidden_secrets(log: Path) -> Iterator[None]:
    """Removes values of `${ENV:NAME}` settings from the log after the block, also those that C libraries wrote."""
    try:
        yield
    finally:
        text = log.read_text(errors="surrogateescape") if log.exists() else ""
        if hide(text) != text:
            log.write_text(hide(text), errors="surrogateescape")


def refused_write(error: BaseException, stage: str) -> ConfigError | None:
    """Returns the error to raise if a stage failed because a file could not be written; None for other failures."""
    text = (str(error).splitlines() or [""])[0]
    if not isinstance(error, OSError) and not type(error).__module__.startswith(_LIBRARIES):
        return None
    for number, remedy in _REMEDIES.items():
        reason = os.strerror(number)
        if getattr(error, "errno", None) == number or reason in text:
            # The text of TensorFlow is `FILE; REASON`.
            file = getattr(error, "filename", None) or (text.partition(";")[0] if ";" in text else "a file")
            config_error = ConfigError(f"Stage {stage} could not write {file} ({reason}); {remedy}.")
            config_error.__cause__ = error  # for the log
            return config_error
    return None
