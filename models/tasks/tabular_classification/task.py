"""Tabular classification."""

import keras

from data.spec import DatasetSpec, LabelFeature
from models.task import FileQuery, Tensors
from models.tasks import classification
from models.tasks.classification import LABEL, ClassificationTask
from models.tasks.tabular import features, network
from models.tasks.tabular_classification.config import TabularClassificationConfig


def preprocessing_fn(raw: Tensors, config: TabularClassificationConfig, spec: DatasetSpec) -> Tensors:
    """Returns the inputs of the network, see `models.tasks.tabular.features`, and the label as int64 `(batch,)`."""
    label_key, _ = spec.only(LabelFeature)
    return {**features.transform(raw, config, spec), LABEL: raw[label_key]}


def build_model(config: TabularClassificationConfig, spec: DatasetSpec) -> keras.Model:
    """Returns the network: inputs by name to probabilities `(batch, classes)`."""
    _, label = spec.only(LabelFeature)
    inputs, logits = network.build(config, spec, len(label.classes))
    scores = keras.layers.Softmax(dtype="float32", name="scores")(logits)
    return keras.Model(inputs, scores, name="tabular_classification")


def signatures(served, config: TabularClassificationConfig, spec: DatasetSpec) -> dict:
    """Returns `serving_default` (serialized tf.train.Example) and `columns` (one input a column)."""

    def predict(raw):
        return classification.answer(served.predict_raw(raw), spec)

    return {
        "serving_default": classification.example_signature(served, spec),
        "columns": network.column_signature(predict, spec),
    }


def classical(config: TabularClassificationConfig, spec: DatasetSpec) -> dict:
    """Returns the reference models."""
    from models.tasks.tabular import reference as models

    return models.candidates(spec)


TASK = ClassificationTask(
    name="tabular_classification",
    config=TabularClassificationConfig,
    preprocessing_fn=preprocessing_fn,
    build_model=build_model,
    signatures=signatures,
    queries=network.queries,
    inputs=network.inputs,
    classical=classical,
    file_query=lambda config, spec: FileQuery(signature="serving_default", input_key="inputs", kind="table"),
)
