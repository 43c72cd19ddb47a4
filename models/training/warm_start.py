"""Warm start: training begins with the weights of the published model, where they have the same meaning."""

import hashlib
from pathlib import Path

import keras
import tensorflow as tf

from data.spec import DatasetSpec, LabelFeature

LABELS = "labels.txt"
_VARIABLES = "model_variables/"  # of `models.export.ServedModel`
_KEY = _VARIABLES + "{}/.ATTRIBUTES/VARIABLE_VALUE"


def begin_from(model: keras.Model, published: Path, transform_folder: str, spec: DatasetSpec) -> str:
    """Assigns a published model's weights to a model; returns the reason where they do not fit, else an empty string.

    Weights have the same meaning where layers, classes and vocabularies are the same: a vector belongs to a word by its
    index in the vocabulary. The states of random generators stay as they are.

    Args:
        model: The model to train.
        published: Folder of the SavedModel.
        transform_folder: Output of TFX's Transform for this training.
        spec: The data set's facts.
    """
    classes = [name for label in spec.of(LabelFeature).values() for name in label.classes]
    labels = published / "assets" / LABELS
    if not labels.is_file() or labels.read_text().splitlines() != classes:
        return "it has other classes"
    if _assets(published / "assets") != _assets(Path(transform_folder) / "transform_fn" / "assets"):
        return "preprocessing learned another vocabulary"
    reader = tf.train.load_checkpoint(str(published / "variables" / "variables"))
    shapes = reader.get_variable_to_shape_map()
    keys = [_KEY.format(index) for index in range(len(model.variables))]
    if {key for key in shapes if key.startswith(_VARIABLES)} != set(keys):
        return "it has other layers"
    if any(tuple(shapes[key]) != tuple(variable.shape) for key, variable in zip(keys, model.variables, strict=True)):
        return "its layers have other sizes"
    for key, variable in zip(keys, model.variables, strict=True):
        if "seed" not in variable.path:
            variable.assign(reader.get_tensor(key))
    return ""


def _assets(folder: Path) -> set[str]:
    """Returns the digests of the vocabularies in a folder; their names are Transform's own."""
    files = [path for path in folder.glob("*") if path.is_file() and path.name != LABELS] if folder.is_dir() else []
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
