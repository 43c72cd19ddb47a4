"""Reads a folder with a folder for each class, and images in those."""

from collections.abc import Iterator
from pathlib import Path

from data.errors import DataError
from data.sources.records import Record

IMAGE, LABEL = "image", "label"


def classes(folder: Path) -> tuple[str, ...]:
    """Returns the names of the class folders, sorted; raises DataError when there is none."""
    found = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))
    if not found:
        raise DataError(f"{folder} has no folders; an image folder has one for each class, with its images in it.")
    return found


def files(folder: Path) -> list[Path]:
    """Returns the files in the class folders, sorted; hidden ones are left out."""
    return [
        path
        for name in classes(folder)
        for path in sorted((folder / name).rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    ]


def read(folder: Path) -> Iterator[Record]:
    """Yields an `image`, the bytes of a file, and a `label`, the name of its class folder.

    Raises:
        DataError: The folder has no class folders, or one of them has no file.
    """
    found = files(folder)
    filled = {path.relative_to(folder).parts[0] for path in found}
    for name in classes(folder):
        if name not in filled:
            raise DataError(f"{folder / name} has no images; fill or remove the folder.")
    for path in found:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}).") from error
        yield Record(str(path), {IMAGE: content, LABEL: path.relative_to(folder).parts[0]})
