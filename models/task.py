"""The record of plain functions that defines a task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from data.spec import DatasetSpec, Row
from models.config import TaskConfig

Tensors = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class FileQuery:
    """How `headrace predict` gets predictions of a published model for files.

    Attributes:
        signature: The signature that takes the bytes of a file.
        input_key: Its one input, string `(batch,)`.
        kind: Kind of input: a file that is an `image` or a `text` (UTF-8), the rows of a `table`, or a `name`, such as
            a user's.
        top_k: Number of predictions shown to a person, best first.
    """

    signature: str
    input_key: str
    kind: str = "image"
    top_k: int = 3


@dataclass(frozen=True)
class Task:
    """The functions and settings of a task; every function can be called and tested alone.

    `config` below is an instance of the task's settings class, `spec` the data set's facts.

    Attributes:
        name: Key in `models.registry.TASKS`.
        config: Settings class.
        preprocessing_fn: `(raw, config, spec) -> features`, TFT's contract: raw tensors by feature name in, dense
            tensors `(batch, ...)` out; becomes part of the served model.
        build_model: `(config, spec) -> keras.Model`, uncompiled; takes a dictionary of the features it uses, by name.
        loss: `(config, spec) -> keras.losses.Loss`, or one for each output, by name.
        metrics: `(config, spec) -> list` of Keras metrics, computed while training, or one for each output, by name.
        signatures: `(served, config, spec) -> {name: tf.function}` with fixed input signatures, `serving_default`
            among them; `served` is a `models.export.ServedModel`. Best without AutoGraph, which rewrites the source of
            all that a signature calls.
        label_keys: Features that are targets; none for a task without labels.
        serving_only: Features that only signatures use, not the model.
        prepare: `(model, batches, config, spec) -> None`, before training: sets state of the model, such as counts,
            from one pass over the training split, in the order of the files.
        augment: `(features, seed, config) -> features`, on a training batch; seed is int64 `(2,)`, stateless.
        epoch_plots: `(predict, batches, config, spec) -> {tag: RGB uint8 (height, width, 3)}` for TensorBoard;
            `predict` takes a batch's features and returns the model's outputs.
        sample_images: `(batch, spec) -> float32 (n, height, width, channels)` in [0, 1] for TensorBoard.
        embeddings: `(model, transform_folder, config, spec) -> (names, float32 (names, dim))` for TensorBoard's
            projector; without it the projector shows examples by the outputs of the last hidden layer.
        queries: `(row, config, spec) -> {signature: {input: value}}`, the same example as inputs of each signature.
        inputs: `(config, spec) -> {signature: {input: feature}}` for the signatures other than `serving_default`: the
            feature of each input, for input validation by the schema.
        describe_answer: `(answer, row, spec) -> str`, the outputs of `serving_default` for a stored row as text.
        prediction_key: Output of `serving_default` that is evaluated: probabilities `(batch, classes)` or numbers
            `(batch,)`.
        example_error: `(targets, predictions) -> float64 (rows,)`, the error of each prediction under `prediction_key`;
            -inf where it is right.
        classical: `(config, spec) -> {name: models.tasks.reference.Candidate}`, the reference models.
        file_query: `(config, spec) -> FileQuery`, how `headrace predict` calls the model.
    """

    name: str
    config: type[TaskConfig]
    preprocessing_fn: Callable[[Tensors, Any, DatasetSpec], Tensors]
    build_model: Callable[[Any, DatasetSpec], keras.Model]
    loss: Callable[[Any, DatasetSpec], Any]
    metrics: Callable[[Any, DatasetSpec], list]
    signatures: Callable[[Any, Any, DatasetSpec], dict[str, Any]]
    label_keys: tuple[str, ...]
    prediction_key: str
    example_error: Callable[[np.ndarray, np.ndarray], np.ndarray]
    classical: Callable[[Any, DatasetSpec], dict[str, Any]]
    file_query: Callable[[Any, DatasetSpec], FileQuery]
    serving_only: tuple[str, ...] = ()
    prepare: Callable[[keras.Model, Any, Any, DatasetSpec], None] | None = None
    augment: Callable[[Tensors, tf.Tensor, Any], Tensors] | None = None
    epoch_plots: Callable[..., dict[str, np.ndarray]] | None = None
    sample_images: Callable[[Tensors, DatasetSpec], tf.Tensor] | None = None
    embeddings: Callable[..., tuple[list[str], np.ndarray]] | None = None
    queries: Callable[[Row, Any, DatasetSpec], dict[str, dict[str, Any]]] | None = None
    inputs: Callable[[Any, DatasetSpec], dict[str, dict[str, str]]] | None = None
    describe_answer: Callable[[dict[str, list], Row, DatasetSpec], str] | None = None
