"""Lists what lies in a folder with a folder for each class, for `headrace new`, `check`, ingest and digests alike.

The files in a class folder, at any depth, are the examples. Hidden files and folders are left out. Links are followed,
each folder once: what lies in the folder itself comes before what is linked to.
"""

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from data.errors import DataError
from data.sources.encoding import recognised

# What systems and programs leave behind, beside all whose names begin with a dot.
HIDDEN = {"__macosx", "thumbs.db", "desktop.ini", "@eadir"}
SPLIT_NAMES = {
    "train": "train", "training": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass
class Listing:
    """What lies in a folder of classes.

    Attributes:
        folder: The folder.
        classes: Names of the class folders, sorted.
        files: The files in them, sorted by their path from `folder`.
        others: Files in them that are no examples, by their endings; of what `only` returns.
        beside: Files beside the class folders, sorted; they are not read.
        hidden_folders: How many hidden folders were left out.
        hidden_files: How many hidden files were left out.
        linked_folders: How many links to folders were followed.
        linked_files: How many links to files were followed.
        repeats: Links that were left out, as they lead to a folder that was listed already -> that folder.
        broken: How many entries are neither files nor folders, such as links to nothing.
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
        """Returns the name of the class folder in which one of `files` lies."""
        return file.parts[len(self.folder.parts)]

    def only(self, is_example: Callable[[Path], bool]) -> "Listing":
        """Returns the same with those files alone that are examples, and the rest as `others`."""
        others = [path for path in self.files if not is_example(path)]
        return replace(self, files=[path for path in self.files if is_example(path)], others=others)

    def empty(self) -> list[str]:
        """Returns the classes that have no file."""
        filled = {self.class_of(path) for path in self.files}
        return [name for name in self.classes if name not in filled]


def top(folder: Path) -> Listing:
    """Returns what lies in a folder itself, without what its folders hold."""
    found = Listing(folder)
    folders, links = _list_one(folder, found)
    found.classes = tuple(sorted(path.name for path in (*folders, *links)))
    return found


def listing(folder: Path) -> Listing:
    """Returns what lies in a folder; raises DataError where one of its folders cannot be read."""
    found, classes = Listing(folder), []
    # A link to a folder above this one leads back into it.
    seen = {str(above): above for above in Path(os.path.realpath(folder)).parents}
    folders: list[Path] = [folder]
    links: list[Path] = []
    while folders or links:
        place = folders.pop() if folders else links.pop(0)
        target = os.path.realpath(place)
        if target in seen:
            found.repeats[place] = seen[target]
            found.linked_folders -= 1
            continue
        seen[target] = place
        more, linked = _list_one(place, found)
        folders += more
        links = sorted([*links, *linked]) if linked else links
        if place == folder:
            classes = [path.name for path in (*more, *linked)]
    found.classes = tuple(sorted(classes))
    found.files.sort(key=lambda path: path.parts)
    found.beside.sort()
    return found


def _list_one(place: Path, found: Listing) -> tuple[list[Path], list[Path]]:
    """Adds what lies in one folder to the listing; returns the folders in it, and the links to folders."""
    folders, links = [], []
    files = found.beside if place == found.folder else found.files
    with _scanned(place) as entries:
        for entry in entries:
            is_folder, is_link = _leads_to(entry.is_dir), entry.is_symlink()
            if is_hidden(entry.name):
                found.hidden_folders += is_folder
                found.hidden_files += not is_folder
            elif is_folder:
                (links if is_link else folders).append(place / entry.name)
                found.linked_folders += is_link
            elif _leads_to(entry.is_file):
                files.append(place / entry.name)
                found.linked_files += is_link
            else:
                found.broken += 1
    return folders, links


def _leads_to(is_one: Callable[[], bool]) -> bool:
    """Returns what `is_dir` or `is_file` of an entry does; False for a link that leads to itself or through a file."""
    try:
        return is_one()
    except OSError:
        return False


def _scanned(place: Path):
    try:
        return os.scandir(place)
    except OSError as error:
        raise DataError(f"{place} cannot be read ({error.strerror}).") from error


def is_hidden(name: str) -> bool:
    """Returns whether a file or folder of this name is left out."""
    return name.startswith(".") or name.lower() in HIDDEN


def folders_in(folder: Path) -> list[Path]:
    """Returns the folders in a folder, also linked ones, without hidden ones, sorted.

    Raises:
        DataError: It cannot be read, or one of them has a name that is no Unicode, as old archives leave them.
    """
    with _scanned(folder) as entries:
        found = sorted(
            folder / entry.name for entry in entries if _leads_to(entry.is_dir) and not is_hidden(entry.name)
        )
    for path in found:
        if readable(path) != str(path):
            likely = recognised(os.fsencode(path.name))
            looks = f", it looks like {likely}" if likely else ""
            raise DataError(f"{readable(path)}: the name of the folder is not UTF-8{looks}; rename the folder.")
    return found


def readable(path: Path | str) -> str:
    """Returns a path, or a text, as any stream takes it: what is no Unicode in it as escapes such as \\udce9."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def split_folders(folder: Path) -> dict[str, list[Path]]:
    """Returns split -> its folders, where the folders in `folder` are named as splits are, in any case.

    Nothing where one is not, `train` beside `bus` and `ship` is a class, unless folders of two splits have the same
    class folders in them, at least half of those of the one that has fewer: what lies beside those is no class.
    """
    found: dict[str, list[Path]] = {}
    for path in folders_in(folder):
        if split := SPLIT_NAMES.get(path.name.lower()):
            found.setdefault(split, []).append(path)
    return found if not beside_splits(folder) or _have_same_classes(found) else {}


def beside_splits(folder: Path) -> list[Path]:
    """Returns the folders in a folder that are not named as splits are, sorted."""
    return [path for path in folders_in(folder) if path.name.lower() not in SPLIT_NAMES]


def _have_same_classes(splits: dict[str, list[Path]]) -> bool:
    """Returns whether folders of two splits have class folders of mostly the same names in them."""
    names = [{inner.name for path in paths for inner in folders_in(path)} for paths in splits.values()]
    return any(
        one and other and 2 * len(one & other) >= min(len(one), len(other))
        for one, other in itertools.combinations(names, 2)
    )
