"""Infers a run file from a folder with a folder of images or texts for each class."""

from collections import Counter
from pathlib import Path

from data.errors import ConfigError, DataError
from data.inference import Guess
from data.sources import image_folder, text_folder
from data.spec import LabelFeature, TextFeature
from pipeline.commands.drafting.draft import Draft

IMAGES = (".png", ".jpg", ".jpeg")
MAX_SIDE = 64  # pixels; what a laptop trains on in minutes


def of_folder(path: Path) -> Draft:
    """Returns the run file that suits a folder of classes; raises ConfigError or DataError where none does."""
    files = image_folder.files(path)
    if not files:
        raise DataError(f"{path} has folders and no files in them.")
    if text_folder.is_one(path):
        features = {text_folder.TEXT: Guess(TextFeature(), "the text of a file")}
        made = Draft("text_classification", path, len(files), features)
    else:
        other = [file for file in files if file.suffix.lower() not in IMAGES]
        if other:
            raise ConfigError(f"{path}: expected PNG and JPEG images or .txt files in class folders, found {other[0]}.")
        made = Draft("image_classification", path, len(files), _image_feature(files))
    counts = Counter(file.relative_to(path).parts[0] for file in files)
    made.features[image_folder.LABEL] = Guess(
        LabelFeature(classes=image_folder.classes(path)),
        ", ".join(f"{name} {count:,}" for name, count in counts.most_common(8)),
    )
    if made.task == "image_classification":
        made.model = {"filters": [16, 32, 64], "shift_px": 2}
    return made


def _image_feature(files: list[Path]) -> dict[str, Guess]:
    """Returns the image at the usual size of a sample, no larger than a laptop trains on."""
    from PIL import Image

    from data.spec import ImageFeature

    heights, widths, grey = [], [], True
    for file in files[:: max(len(files) // 200, 1)]:
        try:
            with Image.open(file) as image:
                widths.append(image.size[0])
                heights.append(image.size[1])
                grey &= image.mode in ("1", "L", "LA")
        except (OSError, SyntaxError, ValueError):
            continue  # the run tells it, by name
    if not heights:
        raise DataError(f"{files[0].parent.parent}: none of its files is an image that can be read.")
    height, width = (sorted(sizes)[len(sizes) // 2] for sizes in (heights, widths))
    scale = min(1.0, MAX_SIDE / max(height, width))
    size = {
        "height": max(round(height * scale), 4),
        "width": max(round(width * scale), 4),
        "channels": 1 if grey else 3,
    }
    told = f"the usual size is {width} x {height}" + (", shrunk" if scale < 1 else "")
    return {image_folder.IMAGE: Guess(ImageFeature(**size), told)}
