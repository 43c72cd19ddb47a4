"""Training that goes on from the weights of the model that is published, where they mean the same."""

import hashlib
from pathlib import Path

import keras
import tensorflow as tf

from data.spec import DatasetSpec, LabelFeature

LABELS = "labels.txt"
_VARIABLES = "model_variables/"  # of `models.export.ServedModel`
_KEY = _VARIABLES + "{}/.ATTRIBUTES/VARIABLE_VALUE"


def begin_from(model: keras.Model, published: Path, transform_folder: str, spec: DatasetSpec) -> str:
    """Gives a model the weights of a published one; returns why it does not, empty where it does.

    Weights mean the same where layers, classes and what preprocessing learned of texts are the same: a vector belongs
    to a word by its place in the vocabulary. Random states stay the model's own.

    Args:
        model: The model that is to be trained.
        published: Folder of the SavedModel.
        transform_folder: What TFX's Transform wrote for this training.
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
