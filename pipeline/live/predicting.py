"""Asks a published model about files, rows of files, or texts."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data.errors import ConfigError, DataError
from data.links import without_signs
from data.spec import DatasetSpec
from models.serving.rollout import rollouts
from models.serving.rollout.versions import read_manifest, versions
from pipeline.core.screen import redirected
from pipeline.history import pipelines
from pipeline.live import rest_client, serving
from pipeline.live.rest_client import ServedModel

BATCH_ROWS = 1024
Question = tuple[dict[str, Any], bytes]  # how an answer names it, and what is asked
PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp")


def predict(
    pipeline: str,
    files: Sequence[Path],
    home: Path,
    version: int | None = None,
    texts: Sequence[str] = (),
    server: str | None = None,
) -> list[dict[str, Any]]:
    """Returns the answers of a published version: of a server, where one runs on this home, else loaded here.

    Args:
        pipeline: Name of the pipeline, or its run file.
        files: What to ask about: images, texts, or tables with the columns of the training data.
        home: Folder with `serving/` below it.
        version: Published version; None for the one that is live.
        texts: Texts, or names such as a user's, to ask about.
        server: URL of a server's REST API; None for the one that runs on this home, if any.

    Returns:
        For each file, row or text what it is (`file`, `row`, `text`), the `version`, and `top`, the best answers, each
        with `class` (or `item`) and `probability` (or `score`), or `value`, the number that is predicted.

    Raises:
        ConfigError: Nothing is published, or a file cannot be read or is not what the model takes.
        DataError: A row of a table cannot be used.
        ServingError: The server does not answer, or refuses.
    """
    name = pipelines.name_of(pipeline, home)
    for path in files:  # before anything is loaded
        _read_image(path) if path.suffix.lower() in PICTURES else _read(path)
    folder = _version_folder(home.resolve() / "serving" / name, name, version)
    manifest = read_manifest(folder)
    query = _query(folder, manifest)
    questions = _questions(query["kind"], files, texts, name, manifest)
    url = server or _running_here(home, name)
    if url is None:
        return _predict_here(folder, query, questions)
    label = "stable" if version is None and rollouts.read(folder.parent).stable is not None else ""
    model = ServedModel(url if "://" in url else f"http://{url}", name, version, label)
    return _predict_by_server(model, query, questions)


def _query(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Returns which signature and input a version is asked by; raises ConfigError where it does not say."""
    # Versions of before there was more than one kind do not tell it.
    query = {"kind": "image", **(manifest["file_query"] or {})}
    if "signature" not in query:
        raise ConfigError(
            f"Version {folder.name} of {folder.parent.name} does not say how it is asked; publish it anew."
        )
    return query


def _running_here(home: Path, name: str) -> str | None:
    here = serving.running(home, name)
    return here.rest if here else None


def _predict_here(folder: Path, query: dict[str, Any], questions: Sequence[Question]) -> list[dict[str, Any]]:
    """Returns the answers of a version that is loaded into this process."""
    with redirected(Path(os.devnull)):  # what TensorFlow says while it loads
        import tensorflow as tf

        with without_signs(folder) as reached:
            signature = tf.saved_model.load(str(reached)).signatures[query["signature"]]
        rows: list[dict[str, Any]] = []
        for contents in _batches(query, questions):
            found = signature(**{query["input_key"]: tf.constant(contents)})
            rows += [{key: value[row].numpy() for key, value in found.items()} for row in range(len(contents))]
    return _answers(questions, rows, query, int(folder.name))


def _predict_by_server(
    model: ServedModel, query: dict[str, Any], questions: Sequence[Question]
) -> list[dict[str, Any]]:
    """Returns the answers of a running server."""
    rows, version = rest_client.predict(
        model, signature=query["signature"], input_key=query["input_key"], batches=_batches(query, questions)
    )
    return _answers(questions, rows, query, version)


def _batches(query: dict[str, Any], questions: Sequence[Question]) -> list[list[bytes]]:
    """Returns the contents of the questions, as many a request as the model can take."""
    step = 1 if query["kind"] == "image" else BATCH_ROWS  # images are of any size each
    contents = [content for _, content in questions]
    return [contents[begin : begin + step] for begin in range(0, len(contents), step)]


def _answers(
    questions: Sequence[Question], rows: Sequence[dict[str, Any]], query: dict[str, Any], version: int
) -> list[dict[str, Any]]:
    return [
        {**what, "version": version, **_answer(row, query["top_k"])}
        for (what, _), row in zip(questions, rows, strict=True)
    ]


def _answer(row: dict[str, Any], top_k: int) -> dict[str, Any]:
    if "outputs" in row:
        return {"value": round(float(row["outputs"]), 6)}
    names, kind, score = (
        (row["titles"], "item", "score") if "titles" in row else (row["classes"], "class", "probability")
    )
    best = sorted(zip(names, row["scores"], strict=True), key=lambda pair: -pair[1])[:top_k]
    return {
        "top": [
            {kind: name.decode() if isinstance(name, bytes) else name, score: round(float(value), 6)}
            for name, value in best
        ]
    }


def _questions(
    kind: str, files: Sequence[Path], texts: Sequence[str], name: str, manifest: dict[str, Any]
) -> list[Question]:
    """Returns what is asked, each with how an answer names it."""
    if texts and kind not in ("text", "name"):
        raise ConfigError(f"Models of pipeline {name} take files, no texts.")
    if files and kind == "name":
        raise ConfigError(f"Models of pipeline {name} take names: headrace predict {name} --text NAME")
    if not files and not texts:
        raise ConfigError("Expected files or --text to ask about, found none.")
    asked = [({"text": text}, text.encode()) for text in texts]
    for path in files:
        if kind == "table":
            asked += _rows(path, DatasetSpec.model_validate(manifest["spec"]), manifest["data"])
        else:
            asked.append(({"file": str(path)}, _read_image(path) if kind == "image" else _read_text(path)))
    return asked


def _rows(path: Path, spec: DatasetSpec, settings: dict[str, Any]) -> list[Question]:
    """Returns the rows of a table as serialized examples; the columns to be predicted need not be there."""
    from data.cells import to_row
    from data.config import DataConfig
    from data.examples import encode
    from data.sources.tables import formats
    from data.spec import BadRow

    read = DataConfig(files=str(path), **settings)
    kind = formats.format_of_questions(path, read)
    read = formats.for_prediction(path, kind, read, spec.targets())
    inputs = spec.model_copy(update={"features": {k: v for k, v in spec.features.items() if not v.target}})
    rows = []
    for number, record in enumerate(formats.records(path, kind, read), start=1):
        unused = record.cells.keys() - inputs.features.keys()
        missing = read.missing_values
        row = to_row(record, inputs, path.parent, textual=kind == "csv", unused=unused, missing=missing)
        if isinstance(row, BadRow):
            raise DataError(f"{row.problems[0]}.")
        rows.append(({"file": str(path), "row": number}, encode(row, inputs)))
    return rows


def _version_folder(destination: Path, name: str, version: int | None) -> Path:
    """Returns the folder of a version; raises ConfigError when it is not there."""
    found = versions(destination)
    if not found:
        raise ConfigError(
            f"Pipeline {name} has no published version in {destination}; run `headrace run {name}` first."
        )
    if version is not None and version not in found:
        raise ConfigError(f"Pipeline {name} has no version {version}; published are {', '.join(map(str, found))}.")
    return destination / str(version or rollouts.read(destination).stable or found[-1])


def _read(path: Path) -> bytes:
    """Returns the bytes of a file; raises ConfigError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}).") from None


def _read_text(path: Path) -> bytes:
    """Returns the bytes of a text file; raises ConfigError when it cannot be read as UTF-8."""
    content = _read(path)
    try:
        content.decode()
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text; convert it first.") from None
    return content


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
