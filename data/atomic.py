"""Files that appear whole, or not at all: readers see the content before, or the new one."""

import os
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
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with staging.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        if mode is not None:
            staging.chmod(mode)
        staging.replace(path)
    except BaseException:
        staging.unlink(missing_ok=True)
        raise
