"""Asks a published model about files."""

import os
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from models.serving.versions import read_manifest, versions
from pipeline import config
from pipeline.screen import redirected


def predict(pipeline: str, files: list[Path], home: Path, version: int | None = None) -> list[dict[str, Any]]:
    """Returns the best answers of a published version for each file.

    Args:
        pipeline: Name of the pipeline, or its run file.
        files: What to ask about.
        home: Folder with `serving/` below it.
        version: Published version; None for the newest.

    Returns:
        For each file `file`, `version`, and `top`: the likeliest classes, each with `class` and `probability`.

    Raises:
        ConfigError: Nothing is published, or a file cannot be read or is not what the model takes.
    """
    name = config.find(pipeline).stem
    contents = [_read_image(path) for path in files]
    folder = _version_folder(home.resolve() / "serving" / name, name, version)
    query = read_manifest(folder)["file_query"]
    if query is None:
        raise ConfigError(f"Models of pipeline {name} do not take files; ask {folder} through TF Serving.")
    with redirected(Path(os.devnull)):  # what TensorFlow says while it loads
        import tensorflow as tf

        signature = tf.saved_model.load(str(folder)).signatures[query["signature"]]
        found = [signature(**{query["input_key"]: tf.constant([content])}) for content in contents]
    answers = []
    for path, answer in zip(files, found, strict=True):
        ranked = zip(answer["classes"][0].numpy(), answer["scores"][0].numpy(), strict=True)
        best = sorted(ranked, key=lambda pair: -pair[1])[: query["top_k"]]
        top = [{"class": label.decode(), "probability": round(float(score), 6)} for label, score in best]
        answers.append({"file": str(path), "version": int(folder.name), "top": top})
    return answers


def _version_folder(destination: Path, name: str, version: int | None) -> Path:
    """Returns the folder of a version; raises ConfigError when it is not there."""
    found = versions(destination)
    if not found:
        raise ConfigError(
            f"Pipeline {name} has no published version in {destination}; run `headrace run {name}` first."
        )
    if version is not None and version not in found:
        raise ConfigError(f"Pipeline {name} has no version {version}; published are {', '.join(map(str, found))}.")
    return destination / str(version or found[-1])


def _read_image(path: Path) -> bytes:
    """Returns the bytes of an image file; raises ConfigError when it is not one."""
    from PIL import Image, UnidentifiedImageError

    damaged = f"{path} is not an image, or is damaged; PNG and JPEG are taken."
    try:
        with Image.open(path) as image:
            kind = image.format
            image.verify()
    except (UnidentifiedImageError, SyntaxError, ValueError):
        raise ConfigError(damaged) from None
    except OSError as error:
        if error.errno is None:  # Pillow's own, about the content
            raise ConfigError(damaged) from None
        raise ConfigError(f"{path} cannot be read ({error.strerror}).") from None
    if kind not in ("PNG", "JPEG"):
        raise ConfigError(f"{path} is a {kind} image; PNG and JPEG are taken, convert it first.")
    return path.read_bytes()
