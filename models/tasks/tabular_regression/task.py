"""Tabular regression."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from data.spec import DatasetSpec, Row, TargetFeature
from models.task import FileQuery, Task, Tensors
from models.tasks.tabular import features, network
from models.tasks.tabular_regression.config import TabularRegressionConfig

TARGET = "target"
# Mean and standard deviation of the target, float32 `(batch, 2)`: the network works in standard deviations.
SCALE = "target_scale"


def preprocessing_fn(raw: Tensors, config: TabularRegressionConfig, spec: DatasetSpec) -> Tensors:
    """Returns the inputs of the network (`tasks.tabular.features`) and the standardized target, `(batch,)`."""
    target_key, _ = spec.only(TargetFeature)
    inputs = features.transform(raw, config, spec)
    mean, deviation = tft.mean(raw[target_key]), tf.sqrt(tft.var(raw[target_key]))
    rows = tf.shape(next(iter(inputs.values())))[0]  # from an input: a request has no target
    scale = tf.tile(tf.stack([mean, deviation])[None], (rows, 1))
    return {**inputs, SCALE: scale, TARGET: tf.math.divide_no_nan(raw[target_key] - mean, deviation)}


def build_model(config: TabularRegressionConfig, spec: DatasetSpec) -> keras.Model:
    """Returns the network: inputs by name to the standardized target, `(batch, 1)`."""
    inputs, values = network.build(config, spec, 1)
    return keras.Model(inputs, keras.layers.Activation("linear", dtype="float32")(values), name="tabular_regression")


def loss(config: TabularRegressionConfig, spec: DatasetSpec):
    """Returns the configured loss, on standardized targets."""
    return keras.losses.get(config.loss)


def metrics(config: TabularRegressionConfig, spec: DatasetSpec) -> list:
    """Returns the mean absolute error in standard deviations of the target."""
    return [keras.metrics.MeanAbsoluteError(name="standardized_mae")]


def signatures(served, config: TabularRegressionConfig, spec: DatasetSpec) -> dict:
    """Returns `serving_default` (serialized tf.train.Example) and `columns` (one input a column).

    Both return `outputs`, float32 `(batch,)`, in the target's unit: the name that TF Serving's Regress looks for.
    """

    def predict(raw: Tensors) -> Tensors:
        inputs = served.features(raw)
        mean, deviation = inputs[SCALE][:, 0], inputs[SCALE][:, 1]
        return {"outputs": mean + deviation * served.predict(inputs)[:, 0]}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")], autograph=False)
    def serving_default(inputs):
        return predict(served.parse(inputs))

    return {"serving_default": serving_default, "columns": network.column_signature(predict, spec)}


def describe_answer(answer: dict, row: Row, spec: DatasetSpec) -> str:
    """Returns the predicted number and the true one, such as `12.3 (is 11.9)`."""
    target_key, _ = spec.only(TargetFeature)
    return f"{answer['outputs']:.4g} (is {row[target_key]:.4g})"


def example_error(targets: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Returns the absolute errors, float64 `(rows,)`."""
    return np.abs(outputs.astype(np.float64) - targets)


def classical(config: TabularRegressionConfig, spec: DatasetSpec) -> dict:
    """Returns the reference models."""
    from models.tasks.tabular import reference as models

    return models.candidates(spec)


TASK = Task(
    name="tabular_regression",
    config=TabularRegressionConfig,
    preprocessing_fn=preprocessing_fn,
    build_model=build_model,
    loss=loss,
    metrics=metrics,
    signatures=signatures,
    queries=network.queries,
    inputs=network.inputs,
    describe_answer=describe_answer,
    prediction_key="outputs",
    example_error=example_error,
    classical=classical,
    file_query=lambda config, spec: FileQuery(signature="serving_default", input_key="inputs", kind="table"),
    label_keys=(TARGET,),
    serving_only=(SCALE,),
)
