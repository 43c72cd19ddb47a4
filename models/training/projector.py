"""What TensorBoard's projector shows: vectors in the last hidden layer, or those that a task embeds its things in.

Keras's callback writes a configuration that TensorBoard does not serve; these are the files that it does.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from google.protobuf import text_format
from PIL import Image

from data.examples import picture, read_rows
from data.spec import DatasetSpec, ImageFeature, LabelFeature, Row
from models.training.input import file_batches
from models.training.job import TrainingJob

NUM_POINTS = 500
MAX_DIM = 64
MAX_NAME = 80  # characters
SPRITE_PIXELS = 32
TENSORS, METADATA, SPRITE, CONFIG = "tensors.tsv", "metadata.tsv", "sprite.png", "projector_config.pbtxt"


def write(model: keras.Model, job: TrainingJob) -> None:
    """Writes the vectors of up to NUM_POINTS validation examples, or of the task's own, into the log folder.

    A model whose last layer does not take one vector an example, of a task that names no vectors, has none.
    """
    # Beside an event file: TensorBoard's projector looks into folders that hold a run.
    folder = Path(job.log_folder) / "validation"
    if job.task.embeddings:
        names, vectors = job.task.embeddings(model, job.transform_folder, job.config, job.spec)
        _write(folder, "items", vectors[:NUM_POINTS], {"name": names[:NUM_POINTS]}, None)
        return
    inner = model.layers[-1].input if model.layers else None
    if not isinstance(inner, keras.KerasTensor) or len(inner.shape) != 2:
        return
    rows = read_rows(job.validation_files, job.spec, NUM_POINTS)
    both = keras.Model(model.inputs, [inner, model.output])
    vectors, answers = _ask(both, job, len(rows))
    _write(folder, "last_hidden_layer", _fewer(vectors), _names(rows, answers, job.spec), _sprite(rows, job.spec))


def _ask(model: keras.Model, job: TrainingJob, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the model's two outputs for the first `count` validation examples."""
    parts, seen = [], 0
    for batch in file_batches(job, job.validation_files):
        features = batch[0] if isinstance(batch, tuple) else batch
        parts.append([np.asarray(output) for output in model(features, training=False)])
        seen += len(parts[-1][0])
        if seen >= count:
            break
    vectors, answers = (np.concatenate(part)[:count] for part in zip(*parts, strict=True))
    return vectors, answers


def _fewer(vectors: np.ndarray) -> np.ndarray:
    """Returns vectors as their first MAX_DIM principal components, where they have more: TensorBoard draws three.

    Of the products of the vectors with each other, of which there are fewer than a singular value decomposition of the
    vectors takes: 500 vectors of 2,048 numbers took 2 CPU s.
    """
    if vectors.shape[1] <= MAX_DIM:
        return vectors
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred @ centred.T)
    return directions[:, : -MAX_DIM - 1 : -1] * np.sqrt(np.maximum(variances[: -MAX_DIM - 1 : -1], 0))


def _names(rows: Sequence[Row], answers: np.ndarray, spec: DatasetSpec) -> dict[str, list[str]]:
    """Returns the columns that points can be coloured by: what is true, what is predicted, and what is short."""
    found: dict[str, list[str]] = {}
    for name, feature in spec.features.items():
        if isinstance(feature, LabelFeature):
            found["true"] = [feature.classes[row[name]] for row in rows]
            found["predicted"] = [feature.classes[index] for index in answers.argmax(axis=1)]
        elif not isinstance(feature, ImageFeature):
            found[name] = [_text(row.get(name)) for row in rows]
    return found


def _text(value) -> str:
    """Returns a value on one line, without what would end a cell."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else f"{value:g}"
    return " ".join(text.split())[:MAX_NAME]


def _sprite(rows: Sequence[Row], spec: DatasetSpec) -> Image.Image | None:
    """Returns one picture with a thumbnail of each row's image, row by row; None without images."""
    images = spec.of(ImageFeature)
    if len(images) != 1:
        return None
    name, feature = next(iter(images.items()))
    across, size = math.ceil(math.sqrt(len(rows))), SPRITE_PIXELS
    sprite = Image.new("RGB", (across * size, across * size))
    for index, row in enumerate(rows):
        small = picture(row[name], feature).resize((size, size))
        sprite.paste(small, (index % across * size, index // across * size))
    return sprite


def _write(
    folder: Path, name: str, vectors: np.ndarray, columns: dict[str, list[str]], sprite: Image.Image | None
) -> None:
    from tensorboard.plugins.projector import ProjectorConfig

    folder.mkdir(parents=True, exist_ok=True)
    rows = ("\t".join(f"{value:.5g}" for value in vector) for vector in vectors.tolist())
    (folder / TENSORS).write_text("".join(f"{row}\n" for row in rows))
    lines = list(zip(*columns.values(), strict=True))
    # Of one column TensorBoard wants no head.
    head = [tuple(columns)] if len(columns) > 1 else []
    (folder / METADATA).write_text("".join("\t".join(line) + "\n" for line in head + lines), encoding="utf-8")
    config = ProjectorConfig()
    one = config.embeddings.add(tensor_name=name, tensor_path=TENSORS, metadata_path=METADATA)
    if sprite:
        sprite.save(folder / SPRITE, compress_level=1)
        one.sprite.image_path = SPRITE
        one.sprite.single_image_dim.extend([SPRITE_PIXELS, SPRITE_PIXELS])
    (folder / CONFIG).write_text(text_format.MessageToString(config))
