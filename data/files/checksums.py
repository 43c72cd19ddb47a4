"""Checks that files are what the catalog says they are."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from data.errors import DataError


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(folder: Path, checksums: Mapping[str, str], *, fix: str) -> None:
    """Raises DataError, naming the file and the fix, unless every file has its SHA-256.

    Args:
        folder: Folder of the files.
        checksums: File name -> SHA-256 in hexadecimal.
        fix: What a person should do about a damaged file.
    """
    for name, expected in checksums.items():
        path = folder / name
        if not path.is_file():
            raise DataError(f"{path} is missing; {fix}.")
        actual = sha256(path)
        if actual != expected:
            size = path.stat().st_size
            raise DataError(
                f"{path} ({size:,} bytes) is damaged or another version: expected SHA-256 {expected[:12]}..., "
                f"found {actual[:12]}...; {fix}."
            )
