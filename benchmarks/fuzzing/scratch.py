"""A file in memory for what is fuzzed by a reader of files."""

import tempfile
from pathlib import Path


def scratch(name: str) -> Path:
    """Returns a path for a file of this name, in a new folder, on a disk of memory where there is one."""
    return Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)) / name
