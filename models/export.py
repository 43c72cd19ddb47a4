"""The SavedModel that is served: Transform graph, Keras model, signatures and labels in one."""

import functools
import shutil
import tempfile
from pathlib import Path

import keras
import tensorflow as tf
import tensorflow_transform as tft

from data.spec import DatasetSpec, LabelFeature
from models.config import TaskConfig
from models.task import Task, Tensors


class ServedModel(tf.Module):
    """A Keras model behind its Transform graph.

    Keras 3 saves .keras and .h5 only and the Transform layer is Keras 2, so both are exported as one tf.Module.
    """

    def __init__(self, model: keras.Model, transform: tft.TFTransformOutput, targets: tuple[str, ...]):
        super().__init__(name="served_model")
        self.model = model
        self.transform_layer = transform.transform_features_layer()
        features = {key: value for key, value in transform.raw_feature_spec().items() if key not in targets}
        # Not as an attribute of its own: tf.Module would track the dictionary and refuse to save it.
        self._vocabulary = transform.vocabulary_by_name
        self._parse = functools.partial(tf.io.parse_example, features=features)

    def predict_examples(self, serialized: tf.Tensor) -> tf.Tensor:
        """Returns the model's output for serialized tf.train.Examples, string `(batch,)`; labels are not needed."""
        return self.predict_raw(self.parse(serialized))

    def predict_raw(self, raw: Tensors) -> tf.Tensor:
        """Returns the model's output for raw features, as they come out of a parsed example."""
        return self.predict(self.features(raw))

    def parse(self, serialized: tf.Tensor) -> Tensors:
        """Returns the raw features of serialized tf.train.Examples, string `(batch,)`; labels are not needed."""
        return self._parse(serialized)

    def vocabulary(self, name: str) -> list[bytes]:
        """Returns a vocabulary that preprocessing has learned, in the order of its indices."""
        return self._vocabulary(name)

    def features(self, raw: Tensors) -> Tensors:
        """Returns what preprocessing makes of raw features."""
        return self.transform_layer(dict(raw))

    def predict(self, features: Tensors) -> tf.Tensor:
        """Returns the model's output for preprocessed features."""
        names = [tensor.name for tensor in self.model.inputs]
        return self.model({name: features[name] for name in names}, training=False)


def export(
    model: keras.Model, transform_folder: str, *, task: Task, config: TaskConfig, spec: DatasetSpec, into: str
) -> None:
    """Writes the SavedModel of a trained model to the folder `into`.

    Args:
        model: Trained model whose inputs are named after transformed features.
        transform_folder: What TFX's Transform wrote.
        task: Provides the signatures.
        config: The task's settings.
        spec: The data set's facts; its class names become `assets/labels.txt`.
        into: Folder that receives the SavedModel; it must not exist yet.
    """
    served = ServedModel(model, tft.TFTransformOutput(transform_folder), spec.targets())
    signatures = task.signatures(served, config, spec)
    scratch = Path(tempfile.mkdtemp(prefix="headrace-assets-"))
    try:
        labels = scratch / "labels.txt"
        names = [name for label in spec.of(LabelFeature).values() for name in label.classes]
        labels.write_text("".join(f"{name}\n" for name in names))
        served.labels = tf.saved_model.Asset(str(labels))
        tf.saved_model.save(served, into, signatures=signatures)
    finally:
        shutil.rmtree(scratch)
