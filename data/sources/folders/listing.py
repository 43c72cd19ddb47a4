"""Lists the files in a folder with a folder for each class, for `headrace new`, `check`, ingest and digests.

The files in a class folder, at any depth, are the examples. Hidden files and folders are left out. Links are followed,
and each folder is listed once: the folders within come before folders that links lead to.
"""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from data.errors import DataError
from data.sources.encoding import recognised

# Files and folders of operating systems and programs, hidden like all whose names begin with a dot.
HIDDEN = {"__macosx", "thumbs.db", "desktop.ini", "@eadir"}
SPLIT_NAMES = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass
class Listing:
    """Listing of a folder of classes.

    Attributes:
        folder: The folder.
        classes: Names of the class folders, sorted.
        files: The files in the class folders, sorted by their path from `folder`.
        others: Files in the class folders that are not examples, by their endings; set by `only`.
        beside: Files in `folder` itself, sorted; they are not read.
        hidden_folders: Number of hidden folders that were left out.
        hidden_files: Number of hidden files that were left out.
        linked_folders: Number of links to folders that were followed.
        linked_files: Number of links to files that were followed.
        repeats: Link that was left out because its folder was listed already -> that folder.
        broken: Number of entries that are neither files nor folders, such as broken links.
    """

    folder: Path
    classes: tuple[str, ...] = ()
    files: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    beside: list[Path] = field(default_factory=list)
    hidden_folders: int = 0
    hidden_files: int = 0
    linked_folders: int = 0
    linked_files: int = 0
    repeats: dict[Path, Path] = field(default_factory=dict)
    broken: int = 0

    def class_of(self, file: Path) -> str:
        """Returns the name of the class folder of one of `files`."""
        return file.parts[len(self.folder.parts)]

    def only(self, is_example: Callable[[Path], bool]) -> "Listing":
        """Returns the listing with only the files that are examples; the remaining files are `others`."""
        others = [path for path in self.files if not is_example(path)]
        return replace(self, files=[path for path in self.files if is_example(path)], others=others)

    def empty(self) -> list[str]:
        """Returns the classes without files."""
        filled = {self.class_of(path) for path in self.files}
        return [name for name in self.classes if name not in filled]


def top(folder: Path) -> Listing:
    """Returns the listing of a folder itself, without the content of its subfolders."""
    result = Listing(folder)
    folders, links = _list_folder(folder, result)
    result.classes = tuple(sorted(path.name for path in (*folders, *links)))
    return result


def listing(folder: Path) -> Listing:
    """Returns the listing of a folder; raises DataError where it or a subfolder cannot be read."""
    result, classes = Listing(folder), []
    # A link to a folder above this one leads back into it.
    visited = {str(above): above for above in Path(os.path.realpath(folder)).parents}
    folders: list[Path] = [folder]
    links: list[Path] = []
    while folders or links:
        current = folders.pop() if folders else links.pop(0)
        target = os.path.realpath(current)
        if target in visited:
            result.repeats[current] = visited[target]
            result.linked_folders -= 1
            continue
        visited[target] = current
        subfolders, linked_folders = _list_folder(current, result)
        folders += subfolders
        links = sorted([*links, *linked_folders]) if linked_folders else links
        if current == folder:
            classes = [path.name for path in (*subfolders, *linked_folders)]
    result.classes = tuple(sorted(classes))
    result.files.sort(key=lambda path: path.parts)
    result.beside.sort()
    return result


def _list_folder(current: Path, result: Listing) -> tuple[list[Path], list[Path]]:
    """Adds the files of one folder to `result`; returns the folders in it, and the links to folders."""
    folders, links = [], []
    files = result.beside if current == result.folder else result.files
    with _scan(current) as entries:
        for entry in entries:
            is_folder, is_link = _check_entry(entry.is_dir), entry.is_symlink()
            if is_hidden(entry.name):
                result.hidden_folders += is_folder
                result.hidden_files += not is_folder
            elif is_folder:
                (links if is_link else folders).append(current / entry.name)
                result.linked_folders += is_link
            elif _check_entry(entry.is_file):
                files.append(current / entry.name)
                result.linked_files += is_link
            else:
                result.broken += 1
    return folders, links


def _check_entry(test: Callable[[], bool]) -> bool:
    """Returns the result of `is_dir` or `is_file` of an entry; False for a link to itself or through a file."""
    try:
        return test()
    except OSError:
        return False


def _scan(folder: Path):
    try:
        return os.scandir(folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}).") from error


def is_hidden(name: str) -> bool:
    """Returns whether a file or folder of this name is left out."""
    return name.startswith(".") or name.lower() in HIDDEN


def folders_in(folder: Path) -> list[Path]:
    """Returns the folders in a folder, linked ones included, hidden ones left out, sorted.

    Raises:
        DataError: It cannot be read, or the name of a folder is not UTF-8, as from old archives.
    """
    with _scan(folder) as entries:
        folders = sorted(
            folder / entry.name for entry in entries if _check_entry(entry.is_dir) and not is_hidden(entry.name)
        )
    for path in folders:
        if readable(path) != str(path):
            encoding_name = recognised(os.fsencode(path.name))
            hint = f", it looks like {encoding_name}" if encoding_name else ""
            raise DataError(f"{readable(path)}: the name of the folder is not UTF-8{hint}; rename the folder.")
    return folders


def readable(path: Path | str) -> str:
    """Returns a path, or a text, that can be encoded in UTF-8: other characters become escapes such as \\udce9."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def split_folders(folder: Path) -> dict[str, list[Path]]:
    """Returns split -> its folders, where all folders in `folder` have names of splits, in any case; else empty.

    If some have other names, `train` is a class, like `bus` and `ship`; unless the folders of two splits have
    class folders in common, at least half of those of the split with fewer: then the other folders are not classes.
    """
    splits: dict[str, list[Path]] = {}
    for path in folders_in(folder):
        if split := SPLIT_NAMES.get(path.name.lower()):
            splits.setdefault(split, []).append(path)
    return splits if not beside_splits(folder) or _have_same_classes(splits) else {}


def beside_splits(folder: Path) -> list[Path]:
    """Returns the folders in a folder that do not have names of splits, sorted."""
    return [path for path in folders_in(folder) if path.name.lower() not in SPLIT_NAMES]


def _have_same_classes(splits: dict[str, list[Path]]) -> bool:
    """Returns whether two splits have at least half of the class folders of the smaller one in common."""
    names = [{inner.name for path in paths for inner in folders_in(path)} for paths in splits.values()]
    return any(
        first and second and 2 * len(first & second) >= min(len(first), len(second))
        for first, second in itertools.combinations(names, 2)
    )
