"""The SavedModel that is served: Transform graph, Keras model, signatures and labels in one."""

import functools
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.saved.saved_transform_io_v2 import SavedModelLoader

from data.spec import DatasetSpec, LabelFeature, Row
from models.config import TaskConfig
from models.serving.protocol import input_rules, warmup
from models.task import Task, Tensors


class ServedModel(tf.Module):
    """A Keras model behind its Transform graph.

    Keras 3 saves .keras and .h5 only, so it is exported with the Transform graph as one tf.Module.
    """

    def __init__(self, model: keras.Model, transform: tft.TFTransformOutput, targets: tuple[str, ...]):
        super().__init__(name="served_model")
        # Keras 3's variables export a second copy of themselves: the checkpoint would be restored into that, while the
        # signatures read the first, which TF Serving finds uninitialized. The wrapped tf.Variables are tracked instead.
        self._get_model = lambda: model
        self.model_variables = [variable.value for variable in model.variables]
        # Not TFT's layer: saving a layer of Keras 2 traces its calls again. The tracked parts hold the graph's tables
        # and files.
        loader = SavedModelLoader(transform.transform_savedmodel_dir)
        self._transform = loader.apply_transform_model
        self.transform_graph = [
            part for part in vars(loader).values() if isinstance(part, tf.__internal__.tracking.AutoTrackable)
        ]
        features = {key: value for key, value in transform.raw_feature_spec().items() if key not in targets}
        # Not as an attribute: tf.Module would track the dictionary and refuse to save it.
        self._vocabulary = transform.vocabulary_by_name
        self._parse = functools.partial(tf.io.parse_example, features=features)

    @property
    def model(self) -> keras.Model:
        """The Keras model."""
        return self._get_model()

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
        """Returns a vocabulary of the preprocessing, in the order of its indices."""
        return self._vocabulary(name)

    def features(self, raw: Tensors) -> Tensors:
        """Returns the preprocessed features of raw features."""
        return self._transform(dict(raw))

    def predict(self, features: Tensors) -> tf.Tensor:
        """Returns the model's output for preprocessed features."""
        names = [tensor.name for tensor in self.model.inputs]
        return self.model({name: features[name] for name in names}, training=False)


def export(
    model: keras.Model,
    transform_folder: str,
    *,
    task: Task,
    config: TaskConfig,
    spec: DatasetSpec,
    rows: Sequence[Row],
    into: str,
) -> None:
    """Writes the SavedModel of a trained model to the folder `into`.

    Args:
        model: Trained model whose inputs are named after transformed features.
        transform_folder: Output of TFX's Transform.
        task: Provides the signatures.
        config: The task's settings.
        spec: The data set's facts; its class names become `assets/labels.txt`, and its features the rules of
            input validation.
        rows: Stored rows for the warm-up requests, which are stored with the predictions of the model in memory.
        into: Folder that receives the SavedModel; it must not exist yet.
    """
    served = ServedModel(model, tft.TFTransformOutput(transform_folder), spec.targets())
    signatures = {name: _concrete(signature) for name, signature in task.signatures(served, config, spec).items()}
    scratch = Path(tempfile.mkdtemp(prefix="headrace-assets-"))
    try:
        labels = scratch / "labels.txt"
        names = [name for label in spec.of(LabelFeature).values() for name in label.classes]
        labels.write_text("".join(f"{name}\n" for name in names))
        served.labels = tf.saved_model.Asset(str(labels))
        tf.saved_model.save(served, into, signatures=signatures)
    finally:
        shutil.rmtree(scratch)
    features_of_inputs = task.inputs(config, spec) if task.inputs else {}
    input_rules.write(Path(into), spec, {"serving_default": {"inputs": input_rules.EXAMPLES}, **features_of_inputs})
    if task.queries:
        warmup.write(Path(into), _warmup_calls([task.queries(row, config, spec) for row in rows], signatures))


def batch(values: Sequence[Any], dtype: tf.DType) -> np.ndarray:
    """Returns values of several examples as one input `(examples, ...)`; strings as an object array of bytes."""
    return tf.constant(values, dtype).numpy()


def _concrete(signature: Any) -> Any:
    """Returns a signature as a concrete function.

    One trace serves both the file and the warm-up requests; a trace that TensorFlow makes while saving is not reused.
    """
    return signature if hasattr(signature, "structured_input_signature") else signature.get_concrete_function()


def _warmup_calls(queries: Sequence[Mapping[str, Mapping[str, Any]]], signatures: Mapping[str, Any]) -> Iterator[tuple]:
    """Yields signature, inputs and outputs of the model in memory: for one example, then for all in one batch."""
    for examples in [*([query] for query in queries[:1]), queries]:
        for name in examples[0] if examples else ():
            call = signatures[name]
            positional, by_name = call.structured_input_signature
            dtypes = {spec.name: spec.dtype for spec in positional} | {key: spec.dtype for key, spec in by_name.items()}
            inputs = {key: batch([query[name][key] for query in examples], dtypes[key]) for key in examples[0][name]}
            outputs = call(**{key: tf.constant(value, dtypes[key]) for key, value in inputs.items()})
            yield name, inputs, {key: value.numpy() for key, value in outputs.items()}
