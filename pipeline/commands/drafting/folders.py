"""Drafts a run file from a folder with a folder of images or texts for each class, or with splits of such folders."""

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
from pipeline.commands.drafting.wording import counted, joined

IMAGES, TEXTS = "image_classification", "text_classification"
OF_TEXTS = (TEXTS, "sequence_classification")
TEXT_ENDINGS = (".txt", ".text", ".md")
NO_ENDING = ""
MIN_IMAGES = 0.1  # images for each text; with fewer the task is text classification
MIN_DOUBTED = 0.1  # smallest share of files of the other kind for which the choice of the task is called unsure
MAX_SIDE = 64  # pixels; a laptop trains on such images within minutes
MAX_SNIFFED = 100  # files without an ending whose content is read


def of_folder(path: Path, task: str | None = None, label: str | None = None) -> Draft:
    """Returns the draft of a run file for a folder of class folders, or of splits with class folders; reads all files.

    Args:
        path: The folder.
        task: Name of the task; None to infer it.
        label: Name of the label, which can only be `label`, the name of a file's folder; None for the same.

    Raises:
        ConfigError: The folder is laid out in another way; the message says what to write or to move.
        DataError: There is no class, only one, or no file that can be read.
    """
    _refuse_options(path, task, label)
    draft = Draft("", path)
    parents = _descend(draft)
    splits = _splits(draft)
    listings = {split: [listing(folder) for folder in folders] for split, folders in splits.items()}
    files = [
        file
        for split_listings in listings.values()
        for folder_listing in split_listings
        for file in folder_listing.files
    ]
    if not files:
        raise DataError(f"{draft.files} has folders and no files in them.")
    is_text = task != IMAGES if task else _is_text(draft, files)
    column = class_folders.TEXT if is_text else class_folders.IMAGE
    listings = {
        split: [folder_listing.only(class_folders.is_example(column)) for folder_listing in split_listings]
        for split, split_listings in listings.items()
    }
    files = [
        file
        for split_listings in listings.values()
        for folder_listing in split_listings
        for file in folder_listing.files
    ]
    classes = _label(draft, listings)
    draft.rows = len(files)
    if list(splits) == ["train"] and len(splits["train"]) == 1:
        draft.files = splits["train"][0]
    else:
        draft.splits = splits
    if is_text:
        draft.task, draft.features = task or TEXTS, {column: Guess(TextFeature(), "the text of a file")}
    else:
        draft.task, draft.features = IMAGES, _image_feature(files)
        draft.model = {"filters": [16, 32, 64], "shift_px": 2}
    draft.features[class_folders.LABEL] = classes
    _note_layout(
        draft, parents, [folder_listing for split_listings in listings.values() for folder_listing in split_listings]
    )
    odd_files = [file for file in files if is_text and file.suffix.lower() not in (*TEXT_ENDINGS, NO_ENDING)]
    folder_rows.set_checks(draft, files, odd_files)
    return draft


def _refuse_options(path: Path, task: str | None, label: str | None) -> None:
    if task not in (None, IMAGES, *OF_TEXTS):
        raise ConfigError(f"{path} is a folder: expected --task {IMAGES} or {TEXTS}, found {task}.")
    if label not in (None, class_folders.LABEL):
        raise ConfigError(f"{path} is a folder: its label is the name of a file's folder; leave out --label {label}.")


def _descend(draft: Draft) -> list[Listing]:
    """Sets `draft.files` to the folder whose subfolders are classes or splits; returns listings of it and its parents.

    Each listing has the entries at the top of a folder only.
    """
    parents = [top(draft.files)]
    while only_folder := _only_folder(draft.files):
        draft.unsure.append(
            f"{draft.files} has one folder, {only_folder.name}: the folders in that are taken for the classes; if they "
            "are not, put a folder for each class beside it"
        )
        draft.files = only_folder
        parents.append(top(draft.files))
    return parents


def _only_folder(folder: Path) -> Path | None:
    """Returns the only subfolder if it is no split and has several subfolders, or splits; else None."""
    subfolders = folders_in(folder)
    if len(subfolders) != 1 or class_folders.splits_of(folder):
        return None
    return subfolders[0] if len(folders_in(subfolders[0])) > 1 or class_folders.splits_of(subfolders[0]) else None


def _splits(draft: Draft) -> dict[str, list[Path]]:
    """Returns split -> its folders; `train` with the whole folder if there are no splits."""
    class_folders.refuse_unlabelled_splits(draft.files)
    splits = class_folders.splits_of(draft.files)
    if not splits:
        class_folders.classes(draft.files)  # raises where there are none
        return {"train": [draft.files]}
    if "train" not in splits:
        names = ", ".join(path.name for paths in splits.values() for path in paths)
        raise ConfigError(
            f"{draft.files}: found the splits {names} and nothing to train on; call the folder to train on train, or "
            f"name one of them to have the splits cut off: --data {next(iter(splits.values()))[0]}"
        )
    named = sorted(path.name for paths in splits.values() for path in paths)
    for folder in beside_splits(draft.files):
        draft.unsure.append(
            f"{folder} is left out with its {counted(_num_files(folder), 'file')}: it lies beside the splits "
            f"{joined(named)}; to use it, add it to the folders of a split in data.files, if it holds the same classes"
        )
    for split, folders in split_folders(draft.files).items():
        flat = [folder for folder in folders if folder not in splits.get(split, ())]
        for folder in flat:
            draft.unsure.append(
                f"{folder} has no folders of classes, and its {counted(len(top(folder).beside), 'file')} have no "
                f"label: left out; move them into such as {folder / 'cat'} to use them"
            )
        if len(splits.get(split, ())) > 1:
            draft.unsure.append(
                f"{joined([path.name for path in splits[split]])} are both taken for split {split}; take one out of "
                "data.files if that is wrong"
            )
    for split in ("validation", "test"):
        if split not in splits:
            draft.notes.append(f"no folder of split {split}: a tenth of the training files is cut off for it")
    return splits


def _num_files(folder: Path) -> int:
    files = listing(folder)
    return len(files.beside) + len(files.files)


def _is_text(draft: Draft, files: list[Path]) -> bool:
    """Returns whether the files are texts and not images, by their endings; images may come with captions."""
    endings = Counter(file.suffix.lower() for file in files)
    images, texts = (
        sum(endings[ending] for ending in kind_endings) for kind_endings in (pictures.ENDINGS, TEXT_ENDINGS)
    )
    without_ending = [file for file in files if file.suffix == NO_ENDING]
    if without_ending and any(
        _is_image(file) for file in without_ending[:: max(len(without_ending) // MAX_SNIFFED, 1)]
    ):
        images += len(without_ending)
    else:
        texts += len(without_ending)
    if not images and not texts:
        raise ConfigError(
            f"{draft.files}: expected images ({', '.join(pictures.ENDINGS)}) or texts ({', '.join(TEXT_ENDINGS)}) in "
            f"class folders, found {_endings(endings)} (first: {readable(files[0])})."
        )
    is_text = images < MIN_IMAGES * texts
    if min(images, texts) > MIN_DOUBTED * (images + texts):
        chosen, other = (TEXTS, IMAGES) if is_text else (IMAGES, TEXTS)
        draft.unsure.append(
            f"there are {counted(images, 'image')} and {counted(texts, 'text')}: taken for {chosen}; give --task "
            f"{other} to learn from the {'images' if is_text else 'texts'}"
        )
    return is_text


def _is_image(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            # A text may begin with BM, the signature of BMP files.
            return pictures.format_of(opened.read(16)) not in (None, "BMP")
    except OSError:
        return False


def _endings(endings: Counter[str]) -> str:
    return joined([f"{count:,} {ending or 'without ending'}" for ending, count in endings.most_common()])


def _label(draft: Draft, listings: dict[str, list[Listing]]) -> Guess:
    """Returns the guess of the label, with the classes of the training files."""
    class_folders.refuse_empty(folder_listing for several in listings.values() for folder_listing in several)
    counts = {
        split: Counter(folder_listing.class_of(file) for folder_listing in several for file in folder_listing.files)
        for split, several in listings.items()
    }
    classes = sorted(counts["train"])
    if len(classes) < 2:
        raise DataError(
            f"{draft.files} has one class, {classes[0]}: nothing can be learned from it; put examples of another into "
            "a folder beside it."
        )
    for names in _alike(classes):
        draft.unsure.append(
            f"the names of the class folders {joined(names)} differ in case or in the encoding of accents only: they "
            f"are {len(names)} classes; if they are one, move the files into one of the folders"
        )
    for split, split_counts in counts.items():
        description = _shares(split_counts)
        draft.notes.append(f"{split}: {description}" if len(counts) > 1 else description)
        _compare_classes(draft, split, split_counts, set(classes))
    return Guess(LabelFeature(classes=tuple(classes)), _shares(counts["train"]))


def _alike(names: Iterable[str]) -> list[list[str]]:
    """Returns groups of names that differ only in case or in Unicode normalization form."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(unicodedata.normalize("NFKC", name).casefold().strip(), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def _shares(counts: Counter[str]) -> str:
    shares = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(class_folders.MAX_NAMES))
    more = len(counts) - class_folders.MAX_NAMES
    return f"{shares} and {counted(more, 'more class', 'more classes')}" if more > 0 else shares


def _compare_classes(draft: Draft, split: str, counts: Counter[str], classes: set[str]) -> None:
    """Adds a sentence on classes of a split that the training split lacks; the verdict names those it lacks itself."""
    unknown = sorted(counts.keys() - classes)
    if unknown:
        draft.unsure.append(
            f"split {split} has folders that are no classes of the training files, {joined(unknown)}: their "
            f"{counted(sum(counts[name] for name in unknown), 'file')} cannot be used; remove them there, or add such "
            "files to train"
        )


def _note_layout(draft: Draft, parents: list[Listing], class_listings: list[Listing]) -> None:
    """Adds notes on entries that were left out and on links that were followed."""
    # The listing of a folder of classes has its top entries, too.
    upper = [
        level for level in parents if level.folder not in {folder_listing.folder for folder_listing in class_listings}
    ]
    listings = [*upper, *class_listings]

    def total(name: str) -> int:
        return sum(getattr(folder_listing, name) for folder_listing in listings)

    totals = [
        (total("hidden_folders"), "hidden folder", "left out"),
        (total("hidden_files"), "hidden file", "left out"),
        (total("linked_folders"), "linked folder", "followed"),
        (total("linked_files"), "linked file", "followed"),
        (
            sum(len(folder_listing.repeats) for folder_listing in listings),
            "link",
            "to folders that are read already left out",
        ),
        (total("broken"), "broken link", "left out"),
    ]
    sentences = [f"{counted(count, noun)} {treatment}" for count, noun, treatment in totals if count]
    if sentences:
        draft.notes.append(", ".join(sentences))
    unread = [file for folder_listing in listings for file in folder_listing.beside]
    if unread:
        verb = "is" if len(unread) == 1 else "are"
        draft.notes.append(
            f"{counted(len(unread), 'file')} beside the class folders {verb} not read ({_names(unread)})"
        )


def _names(files: Iterable[Path]) -> str:
    return joined([readable(Path(file.name)) for file in files], max_names=3)


def _image_feature(files: list[Path]) -> dict[str, Guess]:
    """Returns the guess of the image feature: the median height and width of a sample, at most MAX_SIDE pixels."""
    sizes = []
    for file in files[:: max(len(files) // 200, 1)]:
        with contextlib.suppress(OSError, pictures.UnusablePictureError):  # counted when all files are read
            sizes.append(pictures.size_of(file.read_bytes()))
    if not sizes:
        raise DataError(f"{readable(files[0])} and {len(files) - 1:,} more: no image among them can be read.")
    heights, widths, greys = zip(*sizes, strict=True)
    height, width = (sorted(values)[len(values) // 2] for values in (heights, widths))
    scale = min(1.0, MAX_SIDE / max(height, width))
    size = {
        "height": max(round(height * scale), 4),
        "width": max(round(width * scale), 4),
        "channels": 1 if all(greys) else 3,
    }
    description = f"the usual size is {width} x {height}" + (", shrunk" if scale < 1 else "")
    return {class_folders.IMAGE: Guess(ImageFeature(**size), description)}
