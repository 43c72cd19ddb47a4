"""Sequence classification, of the letters of a text or of the steps of a column of sequences."""

import keras

from data.spec import DatasetSpec, LabelFeature, Row, SequenceFeature, TextFeature
from models.task import FileQuery, Tensors
from models.tasks import classification
from models.tasks.classification import LABEL, ClassificationTask
from models.tasks.optional import dense
from models.tasks.sequence_classification import letters, steps
from models.tasks.sequence_classification.config import SequenceClassificationConfig


def preprocessing_fn(raw: Tensors, config: SequenceClassificationConfig, spec: DatasetSpec) -> Tensors:
    """Returns the inputs of the network, see `letters` and `steps`, and the label as int64 `(batch,)`."""
    label_key, _ = spec.only(LabelFeature)
    if config.takes_steps(spec):
        key, feature = spec.only(SequenceFeature)
        features = steps.transform(raw[key], feature, config)
    else:
        key, _ = spec.only(TextFeature)
        features = letters.transform(dense(raw[key], ""), config)
    return {**features, LABEL: raw[label_key]}


def build_model(config: SequenceClassificationConfig, spec: DatasetSpec) -> keras.Model:
    """Returns the network: letters or steps to probabilities `(batch, classes)`."""
    if config.takes_steps(spec):
        _, feature = spec.only(SequenceFeature)
        inputs, x = steps.build(config, feature)
    else:
        inputs, x = letters.build(config)
    x = keras.layers.Dropout(config.dropout)(x)
    return keras.Model(inputs, classification.output(x, spec), name="sequence_classification")


def signatures(served, config: SequenceClassificationConfig, spec: DatasetSpec) -> dict:
    """Returns `serving_default` (serialized tf.train.Example), and `sequence` for letters or `columns` for steps."""
    if not config.takes_steps(spec):
        return classification.text_signatures(served, spec, "sequence")

    def predict(raw):
        return classification.answer(served.predict_raw(raw), spec)

    return {
        "serving_default": classification.example_signature(served, spec),
        "columns": steps.column_signature(predict, spec),
    }


def queries(row: Row, config: SequenceClassificationConfig, spec: DatasetSpec) -> dict:
    """Returns one sequence as inputs of each signature."""
    return steps.queries(row, spec) if config.takes_steps(spec) else classification.text_queries(row, spec, "sequence")


def inputs(config: SequenceClassificationConfig, spec: DatasetSpec) -> dict:
    """Returns signature -> input -> feature that it takes."""
    return steps.inputs(spec) if config.takes_steps(spec) else classification.text_inputs(spec, "sequence")


def classical(config: SequenceClassificationConfig, spec: DatasetSpec) -> dict:
    """Returns the reference models."""
    from models.tasks.sequence_classification import letters_reference, steps_reference

    return (steps_reference if config.takes_steps(spec) else letters_reference).candidates(spec)


def file_query(config: SequenceClassificationConfig, spec: DatasetSpec) -> FileQuery:
    """Returns how files are predicted: texts as letters, rows of a table as steps."""
    if config.takes_steps(spec):
        return FileQuery(signature="serving_default", input_key="inputs", kind="table")
    return FileQuery(signature="sequence", input_key="sequence", kind="text")


TASK = ClassificationTask(
    name="sequence_classification",
    config=SequenceClassificationConfig,
    preprocessing_fn=preprocessing_fn,
    build_model=build_model,
    signatures=signatures,
    queries=queries,
    inputs=inputs,
    classical=classical,
    file_query=file_query,
)
