"""Infers a run file from a folder with a folder of images or texts for each class, or with splits of such folders."""

import contextlib
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from data import pictures
from data.errors import ConfigError, DataError
from data.inference.guesses import Guess
from data.sources.folders import classes as class_folders
from data.sources.folders.listing import Listing, beside_splits, folders_in, listing, readable, split_folders, top
from data.spec import ImageFeature, LabelFeature, TextFeature
from pipeline.commands.drafting import folder_rows
from pipeline.commands.drafting.draft import Draft
from pipeline.commands.drafting.wording import counted, some

IMAGES, TEXTS = "image_classification", "text_classification"
OF_TEXTS = (TEXTS, "sequence_classification")
TEXT_ENDINGS = (".txt", ".text", ".md")
NO_ENDING = ""
MIN_IMAGES = 0.1  # images for each text from which on the images are what is learned from
MIN_DOUBTED = 0.1  # share of the images and texts from which on those not learned from are worth a doubt
MAX_SIDE = 64  # pixels; what a laptop trains on in minutes
MAX_SNIFFED = 100  # files without an ending whose content is looked at


def of_folder(path: Path, task: str | None = None, label: str | None = None) -> Draft:
    """Returns the run file that suits a folder of classes, or of splits with classes in them; reads all files.

    Args:
        path: The folder.
        task: The task; None to infer it.
        label: The column to be predicted, which can only be the folders' names; None for those.

    Raises:
        ConfigError: What lies in it is laid out in another way; says what to write or to move.
        DataError: There are no classes, or only one, or nothing that can be read.
    """
    _refuse_options(path, task, label)
    made = Draft("", path)
    levels = _descend(made)
    splits = _splits(made)
    listed = {split: [listing(folder) for folder in folders] for split, folders in splits.items()}
    files = [file for found in listed.values() for one in found for file in one.files]
    if not files:
        raise DataError(f"{made.files} has folders and no files in them.")
    is_text = task != IMAGES if task else _is_text(made, files)
    column = class_folders.TEXT if is_text else class_folders.IMAGE
    listed = {split: [one.only(class_folders.is_example(column)) for one in found] for split, found in listed.items()}
    files = [file for found in listed.values() for one in found for file in one.files]
    classes = _label(made, listed)
    made.rows = len(files)
    if list(splits) == ["train"] and len(splits["train"]) == 1:
        made.files = splits["train"][0]
    else:
        made.splits = splits
    if is_text:
        made.task, made.features = task or TEXTS, {column: Guess(TextFeature(), "the text of a file")}
    else:
        made.task, made.features = IMAGES, _image_feature(files)
        made.model = {"filters": [16, 32, 64], "shift_px": 2}
    made.features[class_folders.LABEL] = classes
    _note_layout(made, levels, [one for found in listed.values() for one in found])
    strays = [file for file in files if is_text and file.suffix.lower() not in (*TEXT_ENDINGS, NO_ENDING)]
    folder_rows.set_checks(made, files, strays)
    return made


def _refuse_options(path: Path, task: str | None, label: str | None) -> None:
    if task not in (None, IMAGES, *OF_TEXTS):
        raise ConfigError(f"{path} is a folder: expected --task {IMAGES} or {TEXTS}, found {task}.")
    if label not in (None, class_folders.LABEL):
        raise ConfigError(f"{path} is a folder: its label is the name of a file's folder; leave out --label {label}.")


def _descend(made: Draft) -> list[Listing]:
    """Goes down to the folder whose folders are classes or splits; returns what lies on top of each on the way."""
    levels = [top(made.files)]
    while deeper := _only_folder(made.files):
        made.unsure.append(
            f"{made.files} has one folder, {deeper.name}: the folders in that are taken for the classes; if they are "
            "not, put a folder for each class beside it"
        )
        made.files = deeper
        levels.append(top(made.files))
    return levels


def _only_folder(folder: Path) -> Path | None:
    """Returns the only folder in a folder, where that has several folders or splits in it and is no split itself."""
    within = folders_in(folder)
    if len(within) != 1 or class_folders.splits_of(folder):
        return None
    return within[0] if len(folders_in(within[0])) > 1 or class_folders.splits_of(within[0]) else None


def _splits(made: Draft) -> dict[str, list[Path]]:
    """Returns split -> its folders; the whole folder is for training where there are none."""
    class_folders.refuse_unlabelled_splits(made.files)
    splits = class_folders.splits_of(made.files)
    if not splits:
        class_folders.classes(made.files)  # raises where there are none
        return {"train": [made.files]}
    if "train" not in splits:
        names = ", ".join(path.name for paths in splits.values() for path in paths)
        raise ConfigError(
            f"{made.files}: found the splits {names} and nothing to train on; call the folder to train on train, or "
            f"name one of them to have the splits cut off: --data {next(iter(splits.values()))[0]}"
        )
    named = sorted(path.name for paths in splits.values() for path in paths)
    for folder in beside_splits(made.files):
        made.unsure.append(
            f"{folder} is left out with its {counted(_num_files(folder), 'file')}: it lies beside the splits "
            f"{some(named)}; to use it, add it to the folders of a split in data.files, if it holds the same classes"
        )
    for split, folders in split_folders(made.files).items():
        flat = [folder for folder in folders if folder not in splits.get(split, ())]
        for folder in flat:
            made.unsure.append(
                f"{folder} has no folders of classes, and its {counted(len(top(folder).beside), 'file')} have no "
                f"label: left out; move them into such as {folder / 'cat'} to use them"
            )
        if len(splits.get(split, ())) > 1:
            made.unsure.append(
                f"{some([path.name for path in splits[split]])} are both taken for split {split}; take one out of "
                "data.files if that is wrong"
            )
    for split in ("validation", "test"):
        if split not in splits:
            made.notes.append(f"no folder of split {split}: a tenth of the training files is cut off for it")
    return splits


def _num_files(folder: Path) -> int:
    found = listing(folder)
    return len(found.beside) + len(found.files)


def _is_text(made: Draft, files: list[Path]) -> bool:
    """Returns whether the files are texts and not images, by their endings: images may have texts about them beside."""
    endings = Counter(file.suffix.lower() for file in files)
    images, texts = (sum(endings[ending] for ending in known) for known in (pictures.ENDINGS, TEXT_ENDINGS))
    bare = [file for file in files if file.suffix == NO_ENDING]
    if bare and any(_is_image(file) for file in bare[:: max(len(bare) // MAX_SNIFFED, 1)]):
        images += len(bare)
    else:
        texts += len(bare)
    if not images and not texts:
        raise ConfigError(
            f"{made.files}: expected images ({', '.join(pictures.ENDINGS)}) or texts ({', '.join(TEXT_ENDINGS)}) in "
            f"class folders, found {_endings(endings)} (first: {readable(files[0])})."
        )
    is_text = images < MIN_IMAGES * texts
    if min(images, texts) > MIN_DOUBTED * (images + texts):
        chosen, other = (TEXTS, IMAGES) if is_text else (IMAGES, TEXTS)
        made.unsure.append(
            f"there are {counted(images, 'image')} and {counted(texts, 'text')}: taken for {chosen}; give --task "
            f"{other} to learn from the {'images' if is_text else 'texts'}"
        )
    return is_text


def _is_image(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            # BM, which a BMP file begins with, may as well begin a text.
            return pictures.format_of(opened.read(16)) not in (None, "BMP")
    except OSError:
        return False


def _endings(endings: Counter[str]) -> str:
    return some([f"{count:,} {ending or 'without ending'}" for ending, count in endings.most_common()])


def _label(made: Draft, listed: dict[str, list[Listing]]) -> Guess:
    """Returns the label, with the classes of the training files."""
    class_folders.refuse_empty(one for found in listed.values() for one in found)
    counts = {
        split: Counter(one.class_of(file) for one in found for file in one.files) for split, found in listed.items()
    }
    classes = sorted(counts["train"])
    if len(classes) < 2:
        raise DataError(
            f"{made.files} has one class, {classes[0]}: nothing can be learned from it; put examples of another into a "
            "folder beside it."
        )
    for names in _alike(classes):
        made.unsure.append(
            f"the names of the class folders {some(names)} differ in case or in the encoding of accents only: they are "
            f"{len(names)} classes; if they are one, move the files into one of the folders"
        )
    for split, found in counts.items():
        told = _shares(found)
        made.notes.append(f"{split}: {told}" if len(counts) > 1 else told)
        _compare_classes(made, split, found, set(classes))
    return Guess(LabelFeature(classes=tuple(classes)), _shares(counts["train"]))


def _alike(names: Iterable[str]) -> list[list[str]]:
    """Returns the names that differ in upper and lower case only, or in the form of Unicode, in lists of each other."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(unicodedata.normalize("NFKC", name).casefold().strip(), []).append(name)
    return [found for found in groups.values() if len(found) > 1]


def _shares(counts: Counter[str]) -> str:
    told = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(class_folders.MAX_NAMES))
    more = len(counts) - class_folders.MAX_NAMES
    return f"{told} and {counted(more, 'more class', 'more classes')}" if more > 0 else told


def _compare_classes(made: Draft, split: str, found: Counter[str], classes: set[str]) -> None:
    """Says which classes a split has that the training files do not have; the other way round the verdict does."""
    unknown = sorted(found.keys() - classes)
    if unknown:
        made.unsure.append(
            f"split {split} has folders that are no classes of the training files, {some(unknown)}: their "
            f"{counted(sum(found[name] for name in unknown), 'file')} cannot be used; remove them there, or add such "
            "files to train"
        )


def _note_layout(made: Draft, levels: list[Listing], listed: list[Listing]) -> None:
    """Notes what was left out and what was followed."""
    # What lies on top of a folder of classes is in its listing, too.
    upper = [level for level in levels if level.folder not in {one.folder for one in listed}]
    every = [*upper, *listed]

    def total(name: str) -> int:
        return sum(getattr(one, name) for one in every)

    found = [
        (total("hidden_folders"), "hidden folder", "left out"),
        (total("hidden_files"), "hidden file", "left out"),
        (total("linked_folders"), "linked folder", "followed"),
        (total("linked_files"), "linked file", "followed"),
        (sum(len(one.repeats) for one in every), "link", "to folders that are read already left out"),
        (total("broken"), "broken link", "left out"),
    ]
    told = [f"{counted(count, what)} {done}" for count, what, done in found if count]
    if told:
        made.notes.append(", ".join(told))
    beside = [file for one in every for file in one.beside]
    if beside:
        verb = "is" if len(beside) == 1 else "are"
        made.notes.append(f"{counted(len(beside), 'file')} beside the class folders {verb} not read ({_names(beside)})")


def _names(files: Iterable[Path]) -> str:
    return some([readable(Path(file.name)) for file in files], most=3)


def _image_feature(files: list[Path]) -> dict[str, Guess]:
    """Returns the image at the usual size of a sample, no larger than a laptop trains on."""
    found = []
    for file in files[:: max(len(files) // 200, 1)]:
        with contextlib.suppress(OSError, pictures.UnusablePictureError):  # are counted when all are read
            found.append(pictures.size_of(file.read_bytes()))
    if not found:
        raise DataError(f"{readable(files[0])} and {len(files) - 1:,} more: no image among them can be read.")
    heights, widths, greys = zip(*found, strict=True)
    height, width = (sorted(sizes)[len(sizes) // 2] for sizes in (heights, widths))
    scale = min(1.0, MAX_SIDE / max(height, width))
    size = {
        "height": max(round(height * scale), 4),
        "width": max(round(width * scale), 4),
        "channels": 1 if all(greys) else 3,
    }
    told = f"the usual size is {width} x {height}" + (", shrunk" if scale < 1 else "")
    return {class_folders.IMAGE: Guess(ImageFeature(**size), told)}
