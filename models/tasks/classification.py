"""Functions shared by the tasks that predict one class of several: loss, metrics, plots, signatures."""

import functools

import keras
import numpy as np
import tensorflow as tf

from data.examples import encode
from data.scripts import isolated
from data.spec import DatasetSpec, LabelFeature, Row, TextFeature
from models.evaluation import plots
from models.evaluation.metrics import confusion_matrix
from models.task import Task, Tensors
from models.tasks.optional import sparse

LABEL = "label"  # the transformed feature, int64 `(batch,)`
MAX_CLASSES = 50  # in the confusion matrix of an epoch; with 1,000 it took 22 s and 5 GiB


def loss(config, spec: DatasetSpec):
    """Returns cross-entropy of int64 labels `(batch,)` and probabilities `(batch, classes)`."""
    return keras.losses.SparseCategoricalCrossentropy()


def metrics(config, spec: DatasetSpec) -> list:
    """Returns accuracy, on int64 labels."""
    return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]


def output(features, spec: DatasetSpec):
    """Returns probabilities `(batch, classes)` from the outputs of the last hidden layer, `(batch, units)`."""
    _, label = spec.only(LabelFeature)
    # float32 under mixed precision too: half precision probabilities underflow.
    return keras.layers.Dense(len(label.classes), activation="softmax", dtype="float32", name="scores")(features)


def example_error(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns the cross-entropy of predictions of a wrong class, -inf for the others, float64 `(rows,)`."""
    of_true = np.take_along_axis(scores, targets[:, None], axis=1)[:, 0].astype(np.float64)
    return np.where(scores.argmax(axis=1) == targets, -np.inf, -np.log(np.maximum(of_true, 1e-12)))


def answer(scores: tf.Tensor, spec: DatasetSpec) -> Tensors:
    """Returns the outputs of TF Serving's Classify: `classes`, string, `scores`, float32, both `(batch, classes)`."""
    _, label = spec.only(LabelFeature)
    names = tf.constant(label.classes)
    return {"classes": tf.tile(names[None, :], (tf.shape(scores)[0], 1)), "scores": scores}


def example_signature(served, spec: DatasetSpec):
    """Returns `serving_default`: serialized tf.train.Examples, string `(batch,)`, to classes and scores."""

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")], autograph=False)
    def serving_default(inputs):
        return answer(served.predict_examples(inputs), spec)

    return serving_default


def text_signatures(served, spec: DatasetSpec, name: str) -> dict:
    """Returns `serving_default` (serialized tf.train.Example) and one called `name`, whose input of that name is texts,
    string `(batch,)`; an empty text is a missing one where the feature is optional.
    """
    text_key, feature = spec.only(TextFeature)

    @tf.function(autograph=False)
    def of_texts(**values):
        text = values[name]
        return answer(served.predict_raw({text_key: sparse(text) if feature.optional else text}), spec)

    signature = of_texts.get_concrete_function(**{name: tf.TensorSpec((None,), tf.string, name)})
    return {"serving_default": example_signature(served, spec), name: signature}


def text_queries(row: Row, spec: DatasetSpec, name: str) -> dict:
    """Returns one row as inputs of each of `text_signatures`."""
    text_key, _ = spec.only(TextFeature)
    return {
        "serving_default": {"inputs": encode(row, spec, targets=False)},
        name: {name: row.get(text_key, b"")},
    }


def text_inputs(spec: DatasetSpec, name: str) -> dict:
    """Returns signature -> input -> feature that it takes, for the signature `name` of `text_signatures`."""
    return {name: {name: spec.only(TextFeature)[0]}}


def describe_answer(answer: dict, row: Row, spec: DatasetSpec) -> str:
    """Returns the likeliest class and the true one, such as `Ankle boot 0.998 (labelled Ankle boot)`."""
    label_key, label = spec.only(LabelFeature)
    best = max(range(len(answer["scores"])), key=lambda index: answer["scores"][index])
    predicted, true = (isolated(str(name)) for name in (answer["classes"][best], label.classes[row[label_key]]))
    return f"{predicted} {answer['scores'][best]:.3f} (labelled {true})"


def epoch_plots(predict, batches, config, spec: DatasetSpec) -> dict:
    """Returns the confusion matrix on the validation split; with many classes of those most often confused."""
    _, label = spec.only(LabelFeature)
    counts = sum(
        confusion_matrix(labels.numpy(), np.argmax(predict(features), axis=-1), len(label.classes))
        for features, labels in batches
    )
    shown = plots.most_confused(counts, MAX_CLASSES)
    return {"confusion_matrix": plots.pixels(plots.confusion_matrix(counts, label.classes, shown))}


# The record of a classification task; a task overrides these attributes by its own.
ClassificationTask = functools.partial(
    Task,
    loss=loss,
    metrics=metrics,
    describe_answer=describe_answer,
    prediction_key="scores",
    example_error=example_error,
    label_keys=(LABEL,),
    epoch_plots=epoch_plots,
)
