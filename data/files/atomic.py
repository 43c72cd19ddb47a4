"""Files and folders that appear whole, or not at all: readers see the content before, or the new one."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


def write(path: Path, content: str | bytes, *, mode: int | None = None, flush: bool = False) -> None:
    """Writes a file beside its place and renames it.

    Args:
        path: Where; its folder is there. What it held is replaced.
        content: Text becomes UTF-8.
        mode: Permissions; None: as the process makes files.
        flush: Whether it must be on disk before it is seen.

    Raises:
        OSError: It cannot be written; what was there stays.
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
    """Yields a path beside `path`; the file or folder made there is renamed to `path` when the block ends.

    After an error in the block it is removed, and what was at `path` stays.

    Args:
        path: Where; its folder is there. A file is replaced; a folder must not be there, or be empty.

    Raises:
        OSError: Nothing was made, or it cannot be renamed.
    """
    # The ending stays: NumPy and Keras go by it.
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
