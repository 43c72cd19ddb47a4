"""Links to folders whose paths TensorFlow and Beam would read as glob patterns."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from data.errors import ConfigError

# TensorFlow takes the path of a model's variables as a pattern, and Beam that of its output: with a `*` in the name of
# a folder they would find files of other folders.
PATTERN_SIGNS = "[*?\\"


def is_pattern(path: str | Path) -> bool:
    """Returns whether TensorFlow and Beam take a path for a pattern."""
    return any(sign in str(path) for sign in PATTERN_SIGNS)


@contextlib.contextmanager
def without_signs(folder: Path) -> Iterator[Path]:
    """Yields a path of a folder that is no pattern: its own, or that of a link, in a private folder, to it.

    Raises:
        ConfigError: No folder for temporary files can be used for the link.
    """
    if not is_pattern(folder):
        yield folder
        return
    parents = [path for path in (tempfile.gettempdir(), "/tmp", "/var/tmp") if not is_pattern(path)]
    parent = next((path for path in parents if os.access(path, os.W_OK | os.X_OK)), None)
    if parent is None:
        raise ConfigError(
            f"TensorFlow takes {folder} for a pattern, and a link to it needs a folder for temporary files; set TMPDIR "
            f"to one that can be written to and has none of {' '.join(PATTERN_SIGNS)} in its path."
        )
    with tempfile.TemporaryDirectory(prefix="headrace-", dir=parent) as private:
        link = Path(private) / "folder"
        link.symlink_to(folder.absolute(), target_is_directory=True)
        yield link
