"""Vectors for TensorBoard's projector: outputs of the last hidden layer, or the embeddings of a task.

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
    """Writes the vectors of up to NUM_POINTS validation examples, or of the task's embeddings, into the log folder.

    Nothing is written where the task has no embeddings and the model's last layer does not take one vector an example.
    """
    # Next to an event file: TensorBoard's projector reads folders that hold a run.
    folder = Path(job.log_folder) / "validation"
    if job.task.embeddings:
        names, vectors = job.task.embeddings(model, job.transform_folder, job.config, job.spec)
        _write(folder, "items", vectors[:NUM_POINTS], {"name": names[:NUM_POINTS]}, None)
        return
    last_hidden = model.layers[-1].input if model.layers else None
    if not isinstance(last_hidden, keras.KerasTensor) or len(last_hidden.shape) != 2:
        return
    rows = read_rows(job.validation_files, job.spec, NUM_POINTS)
    two_outputs = keras.Model(model.inputs, [last_hidden, model.output])
    vectors, outputs = _outputs(two_outputs, job, len(rows))
    _write(folder, "last_hidden_layer", _reduced(vectors), _names(rows, outputs, job.spec), _sprite(rows, job.spec))


def _outputs(model: keras.Model, job: TrainingJob, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the model's two outputs for the first `count` validation examples."""
    batches, num_examples = [], 0
    for batch in file_batches(job, job.validation_files):
        features = batch[0] if isinstance(batch, tuple) else batch
        batches.append([np.asarray(output) for output in model(features, training=False)])
        num_examples += len(batches[-1][0])
        if num_examples >= count:
            break
    vectors, outputs = (np.concatenate(part)[:count] for part in zip(*batches, strict=True))
    return vectors, outputs


def _reduced(vectors: np.ndarray) -> np.ndarray:
    """Returns vectors as their first MAX_DIM principal components, where they have more: TensorBoard draws three.

    Computed from the matrix of inner products, which is smaller than the vectors: their singular value decomposition
    took 2 CPU s for 500 vectors of 2,048 numbers.
    """
    if vectors.shape[1] <= MAX_DIM:
        return vectors
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    variances, directions = np.linalg.eigh(centred @ centred.T)
    return directions[:, : -MAX_DIM - 1 : -1] * np.sqrt(np.maximum(variances[: -MAX_DIM - 1 : -1], 0))


def _names(rows: Sequence[Row], outputs: np.ndarray, spec: DatasetSpec) -> dict[str, list[str]]:
    """Returns the columns that points can be coloured by: true and predicted class, and features that are no image."""
    columns: dict[str, list[str]] = {}
    for name, feature in spec.features.items():
        if isinstance(feature, LabelFeature):
            columns["true"] = [feature.classes[row[name]] for row in rows]
            columns["predicted"] = [feature.classes[index] for index in outputs.argmax(axis=1)]
        elif not isinstance(feature, ImageFeature):
            columns[name] = [_text(row.get(name)) for row in rows]
    return columns


def _text(value) -> str:
    """Returns a value as text on one line, without tabs, cut after MAX_NAME characters."""
    if isinstance(value, list):
        text = " ".join(map(_text, value[:MAX_NAME]))
    else:
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else "" if value is None else f"{value:g}"
    return " ".join(text.split())[:MAX_NAME]


def _sprite(rows: Sequence[Row], spec: DatasetSpec) -> Image.Image | None:
    """Returns one picture with a thumbnail of each row's image, row by row; None without images."""
    images = spec.of(ImageFeature)
    if len(images) != 1:
        return None
    name, feature = next(iter(images.items()))
    columns, size = math.ceil(math.sqrt(len(rows))), SPRITE_PIXELS
    sprite = Image.new("RGB", (columns * size, columns * size))
    for index, row in enumerate(rows):
        thumbnail = picture(row[name], feature).resize((size, size))
        sprite.paste(thumbnail, (index % columns * size, index // columns * size))
    return sprite


def _write(
    folder: Path, name: str, vectors: np.ndarray, columns: dict[str, list[str]], sprite: Image.Image | None
) -> None:
    from tensorboard.plugins.projector import ProjectorConfig

    folder.mkdir(parents=True, exist_ok=True)
    rows = ("\t".join(f"{value:.5g}" for value in vector) for vector in vectors.tolist())
    (folder / TENSORS).write_text("".join(f"{row}\n" for row in rows))
    lines = list(zip(*columns.values(), strict=True))
    # With one column TensorBoard expects no header.
    header = [tuple(columns)] if len(columns) > 1 else []
    (folder / METADATA).write_text("".join("\t".join(line) + "\n" for line in header + lines), encoding="utf-8")
    config = ProjectorConfig()
    embedding = config.embeddings.add(tensor_name=name, tensor_path=TENSORS, metadata_path=METADATA)
    if sprite:
        sprite.save(folder / SPRITE, compress_level=1)
        embedding.sprite.image_path = SPRITE
        embedding.sprite.single_image_dim.extend([SPRITE_PIXELS, SPRITE_PIXELS])
    (folder / CONFIG).write_text(text_format.MessageToString(config))
