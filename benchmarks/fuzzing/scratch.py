"""A file in memory, for targets that read files."""

import tempfile
from pathlib import Path


def scratch(name: str) -> Path:
    """Returns a path for a file of this name in a new folder, in /dev/shm where it exists."""
    return Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)) / name
