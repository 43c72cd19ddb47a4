"""Reads a folder with a folder for each class, and text files in those."""

from collections.abc import Iterator
from pathlib import Path

from data.errors import DataError
from data.sources import image_folder
from data.sources.records import Record

TEXT, LABEL = "text", image_folder.LABEL


def read(folder: Path) -> Iterator[Record]:
    """Yields a `text`, the bytes of a file, and a `label`, the name of its class folder.

    Raises:
        DataError: The folder has no class folders, or one of them has no file.
    """
    for record in image_folder.read(folder):
        yield Record(record.where, {TEXT: record.cells[image_folder.IMAGE], LABEL: record.cells[LABEL]})


def is_one(folder: Path) -> bool:
    """Returns whether the files in the class folders are texts, by their endings."""
    try:
        return all(path.suffix.lower() in (".txt", ".text", ".md", "") for path in image_folder.files(folder))
    except DataError:
        return False
