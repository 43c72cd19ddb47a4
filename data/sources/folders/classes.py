"""Reads class folders: the files are the examples, and the folders' names are the classes."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from data import pictures
from data.config import TABLE_ENDINGS
from data.errors import ConfigError, DataError
from data.names import index_of
from data.scripts import listed
from data.sources.blocks import Block
from data.sources.folders.listing import Listing, beside_splits, folders_in, listing, readable, split_folders
from data.sources.records import Record
from data.spec import SPLITS, ImageFeature, LabelFeature, Problem, TextFeature

IMAGE, TEXT, LABEL = "image", "text", "label"
# Endings of files that are not texts.
NON_TEXT_ENDINGS = {
    *pictures.ENDINGS, ".svg", ".heic", ".avif", ".ico", ".wav", ".mp3", ".ogg", ".oga", ".opus", ".flac",
    ".m4a", ".aac", ".mp4", ".avi", ".mov", ".mkv", ".webm", ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx",
    ".odt", ".zip", ".gz", ".bz2", ".xz", ".tar", ".7z", ".npy", ".npz", ".pkl", ".h5", ".bin", ".dat", ".db",
    ".parquet",
}  # fmt: skip
BLOCK_BYTES, BLOCK_ROWS = 32 * 2**20, 1024
MAX_BYTES = 2**30  # of a file; Arrow holds twice as many in a column
MAX_NAMES = 8  # that a message shows


def classes(folder: Path) -> tuple[str, ...]:
    """Returns the names of the class folders, sorted; raises DataError when there is none."""
    names = tuple(path.name for path in folders_in(folder))
    if not names:
        raise DataError(f"{folder} {_without_classes(listing(folder).beside)}.")
    return names


def _without_classes(files: list[Path]) -> str:
    """Returns a phrase about a folder without class folders, and the remedy, for a message."""
    if not files:
        return "is empty; it needs a folder for each class, with images or texts in it"
    endings = sorted({path.suffix.lower() or "no ending" for path in files})
    summary = f"has {len(files):,} file{'s' * (len(files) > 1)} ({', '.join(endings[:MAX_NAMES])}) and no folders"
    if set(endings) <= {*TABLE_ENDINGS, ".gz", ".zip"}:
        return (
            f"{summary}; name tables by a pattern in data.files, such as {files[0].parent}/*{endings[0]}; headrace new "
            "takes one of them"
        )
    # As in the data set of cats and dogs: cat.0.jpg, dog.1.jpg.
    prefixes = Counter(match[0] for path in files if (match := re.match(r"[^\W\d_]+", path.stem)))
    repeated_prefixes = [word for word, count in prefixes.most_common(MAX_NAMES) if count > 1]
    classes_by_prefix = (
        f"; by their names they are of {', '.join(sorted(repeated_prefixes))}" if len(repeated_prefixes) > 1 else ""
    )
    example = files[0].parent / (sorted(repeated_prefixes)[0] if classes_by_prefix else "cat")
    return (
        f"{summary}; it needs one for each class, such as {example}, with its images or texts in it{classes_by_prefix}"
    )


def examples(folder: Path, column: str) -> Listing:
    """Returns the listing of a folder of classes; `files` are the files that are examples by their endings.

    Images have an ending of an image format, or none. Texts are all files without one of `NON_TEXT_ENDINGS`: mails and
    posts often have a number instead of an ending.

    Args:
        folder: The folder.
        column: `image` or `text`.

    Raises:
        DataError: The folder cannot be read.
    """
    return listing(folder).only(is_example(column))


def left_out(listings: Iterable[Listing], column: str) -> list[str]:
    """Returns a sentence with the number of files that are not examples by their endings; empty without such files.

    Args:
        listings: The listings of the folders, from `examples`.
        column: `image` or `text`.
    """
    endings = Counter(path.suffix.lower() for class_listing in listings for path in class_listing.others)
    if not endings:
        return []
    shown = listed([f"{count:,} {ending}" for ending, count in endings.most_common()], MAX_NAMES)
    noun = "file" if endings.total() == 1 else "files"
    return [f"{endings.total():,} {noun} left out: by the ending no {column} ({shown})"]


def column_of(kind: str) -> str:
    """Returns the column that the files of a folder of this format become: `image` or `text`."""
    return TEXT if kind == "text_folder" else IMAGE


def is_example(column: str) -> Callable[[Path], bool]:
    """Returns a function that decides by a file's ending whether it may be an example of this column."""
    if column == IMAGE:
        return lambda path: path.suffix.lower() in (*pictures.ENDINGS, "")
    return lambda path: path.suffix.lower() not in NON_TEXT_ENDINGS


def of_classes(block: Block, folder: Path, known_classes: Sequence[str]) -> tuple[Block, list[Problem]]:
    """Returns the files of known classes, and a problem for each other file; files of one class have equal problems."""
    names = block.cells.column(LABEL).to_pylist()
    is_known = np.array([index_of(name, known_classes) is not None for name in names], bool)
    expected = f"a class of data.features.label.classes ({listed(known_classes, MAX_NAMES)})"
    problems = [
        Problem(readable(folder / name), "", expected, f"{name!r}; add it there, or take the folder out")
        for name, is_class_known in zip(names, is_known, strict=True)
        if not is_class_known
    ]
    return block if is_known.all() else block.take(np.flatnonzero(is_known)), problems


def read(folder: Path, column: str) -> Iterator[Record]:
    """Yields the bytes of each file as `column`, and the name of its class folder as `label`.

    Raises:
        DataError: The folder has no class folders, or one of them has no file. A file that cannot be read is a Problem.
    """
    for path, name in _files(folder, column):
        where, content = readable(path), _content(path)
        if isinstance(content, Problem):
            yield Record(where, {LABEL: name}, content)
        else:
            yield Record(where, {column: content, LABEL: name})


def blocks(folder: Path, column: str, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yields the files that `read` yields, in blocks; raises DataError as it does.

    Args:
        folder: The folder.
        column: `image` or `text`.
        block_bytes: Approximate size of the files of a block, in bytes.
    """
    contents: list[bytes] = []
    labels: list[str] = []
    names: list[str] = []
    problems: list[Problem] = []

    def block() -> Block:
        cells = pa.RecordBatch.from_pydict(
            {column: pa.array(contents, pa.binary()), LABEL: pa.array(labels, pa.string())}
        )
        return Block(str(folder), cells, np.arange(len(names)), {}, tuple(problems), tuple(names))

    size = 0
    for path, name in _files(folder, column):
        content = _content(path)
        if isinstance(content, Problem):
            problems.append(content)
        else:
            size += len(content)
            contents.append(content)
            labels.append(name)
            names.append(readable(path))
        if size >= block_bytes or len(names) + len(problems) == BLOCK_ROWS:
            yield block()
            contents, labels, names, problems, size = [], [], [], [], 0
    if names or problems:
        yield block()


def _files(folder: Path, column: str) -> Iterator[tuple[Path, str]]:
    """Yields the examples of a folder and their classes; raises DataError where there are none, or an empty class."""
    classes(folder)
    class_listing = examples(folder, column)
    refuse_empty([class_listing])
    for path in class_listing.files:
        yield path, class_listing.class_of(path)


def _content(path: Path) -> bytes | Problem:
    """Returns the content of a file, or the problem if it cannot be read."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            expected = f"a file of at most {MAX_BYTES >> 20:,} MiB"
            return Problem(readable(path), "", expected, f"{-(-size >> 20):,} MiB")
        return path.read_bytes()
    except OSError as error:
        return Problem(readable(path), "", "a file that can be read", str(error.strerror))


def refuse_empty(listings: Iterable[Listing]) -> None:
    """Raises DataError where class folders have no files, with the remedy."""
    folders: list[str] = []
    links: list[str] = []
    for entry in listings:
        for name in entry.empty():
            path = entry.folder / name
            if path in entry.repeats:
                links.append(f"{path} is a link to {entry.repeats[path]}, which is listed already; remove the link")
            else:
                folders.append(str(path))
    sentences = links[:MAX_NAMES]
    if folders:
        verb, them = ("has", "the folder") if len(folders) == 1 else ("have", "the folders")
        sentences.append(f"{listed(folders, MAX_NAMES)} {verb} no files; fill or remove {them}")
    if sentences:
        raise DataError(f"{'; '.join(sentences)}.")


def features(features_of_run_file: dict, paths: dict[str, list[Path]], base: Path) -> dict:
    """Returns the features of a run file; classes that it does not list are the names of the training folders.

    Args:
        features_of_run_file: Its features, by name.
        paths: Split -> its folders.
        base: Folder that relative paths of the run file start from.

    Raises:
        ConfigError: The features are not those of folders, or the folders are not classes; the message has the fix.
        DataError: There are no class folders.
    """
    features = {LABEL: LabelFeature(), **features_of_run_file}
    names = sorted({name for folder in paths["train"] for name in classes(folder)})
    kinds = {name: type(feature) for name, feature in features.items() if name != LABEL}
    if kinds not in ({IMAGE: ImageFeature}, {TEXT: TextFeature}) or not isinstance(features[LABEL], LabelFeature):
        raise ConfigError(
            "data.features: a folder of classes has image or text, and label; set {text: text}, or such as "
            "{image: {kind: image, height: 64, width: 64, channels: 3}}."
        )
    for folder in (folder for folders_of_split in paths.values() for folder in folders_of_split):
        _refuse_splits(folder, base, are_classes=bool(features[LABEL].classes))
    if len(names) == 1:
        _refuse_deeper(paths["train"][0] / names[0], base)
    if not features[LABEL].classes:
        features[LABEL] = LabelFeature(classes=tuple(names))
    return features


def _refuse_splits(folder: Path, base: Path, *, are_classes: bool) -> None:
    """Raises ConfigError where the folders in a folder are splits.

    Args:
        folder: The folder.
        base: Folder that relative paths of the run file start from.
        are_classes: Whether the run file lists the classes, so that folders without subfolders are classes.
    """
    with_classes = splits_of(folder)
    if with_classes:
        other_folders = beside_splits(folder)
        names = ", ".join(path.name for path in folders_in(folder) if path not in other_folders)
        contrast = f", unlike what lies beside them ({', '.join(path.name for path in other_folders[:MAX_NAMES])})"
        raise ConfigError(
            f"data.files: the folders in {folder} are splits ({names}), with folders of classes in them"
            f"{contrast if other_folders else ''}; write files: {as_setting(with_classes, base)}"
        )
    if not are_classes:
        refuse_unlabelled_splits(folder)


def refuse_unlabelled_splits(folder: Path) -> None:
    """Raises ConfigError where all folders in a folder have the names of splits, and none of them has subfolders."""
    if split_folders(folder) and not splits_of(folder):
        names = ", ".join(path.name for path in folders_in(folder))
        raise ConfigError(
            f"data.files: the folders in {folder} have the names of splits ({names}) and no folders of classes in "
            f"them; move their files into such as {folders_in(folder)[0] / 'cat'}, or if they are classes, write "
            f"features: {{label: {{kind: label, classes: [{names}]}}}} beside the image or text."
        )


def _refuse_deeper(folder: Path, base: Path) -> None:
    """Raises ConfigError where the only class folder has subfolders, which are more likely the classes."""
    inner_folders = folders_in(folder)
    if len(inner_folders) > 1:
        names = ", ".join(path.name for path in inner_folders[:MAX_NAMES])
        raise ConfigError(
            f"data.files: {folder.parent} has one folder, {folder.name}, with folders in it ({names}); if those are "
            f"the classes, write files: {os.path.relpath(folder, base)}"
        )


def splits_of(folder: Path) -> dict[str, list[Path]]:
    """Returns split -> its folders that contain class folders, if `split_folders` finds splits; else empty."""
    with_classes = {
        split: [path for path in paths if folders_in(path)] for split, paths in split_folders(folder).items()
    }
    return {split: with_classes[split] for split in SPLITS if with_classes.get(split)}


def as_setting(splits: dict[str, list[Path]], base: Path) -> str:
    """Returns the setting of a run file in `base` for folders of splits: `{train: pets/train, test: pets/test}`."""
    relative_paths = {split: [os.path.relpath(path, base) for path in paths] for split, paths in splits.items()}
    values = {
        split: paths[0] if len(paths) == 1 else f"[{', '.join(paths)}]" for split, paths in relative_paths.items()
    }
    return "{" + ", ".join(f"{split}: {value}" for split, value in values.items()) + "}"
