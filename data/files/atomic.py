"""Atomic writes of files and folders: readers see the old content or the new one, never a part."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def write(path: Path, content: str | bytes, *, mode: int | None = None, flush: bool = False) -> None:
    """Writes a file atomically: under another name in its folder, then renamed.

    Args:
        path: The file; its folder must exist. An existing file is replaced.
        content: Text becomes UTF-8.
        mode: Permissions; None: those of the umask.
        flush: Whether it is synced to disk before it is renamed.

    Raises:
        OSError: It cannot be written; the old file stays.
    """
    with replacing(path) as staging:
        with staging.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        if mode is not None:
            staging.chmod(mode)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a staging path; the file or folder written there is renamed to `path` when the block ends.

    After an error in the block it is removed, and `path` stays as it was.

    Args:
        path: The target; its folder must exist. A file is replaced; a folder must not exist, or be empty.

    Raises:
        OSError: The block wrote nothing, or it cannot be renamed.
    """
    # The ending is kept: NumPy and Keras choose the format by it.
    staging = path.with_name(f".{os.getpid()}.{path.name}")
    shutil.rmtree(staging, ignore_errors=True)  # of a process that was killed and had the same number
    try:
        yield staging
        staging.replace(path)
    except BaseException:
        if staging.is_dir():
            shutil.rmtree(staging, ignore_errors=True)
        else:
            staging.unlink(missing_ok=True)
        raise
