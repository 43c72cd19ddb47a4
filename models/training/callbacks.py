"""Callbacks of a training: stopping, progress, TensorBoard."""

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from data.errors import ModelError
from models import progress
from models.training.job import TrainingJob


class StopOnNonFinite(keras.callbacks.Callback):
    """Stops the run when the loss or a metric is NaN or infinite: such a model must not be evaluated."""

    def on_epoch_end(self, epoch, logs=None):
        """Raises ModelError when a value of this epoch is NaN or infinite."""
        for name, value in (logs or {}).items():
            if not np.isfinite(value):
                raise ModelError(
                    f"Training stopped: {name} became {value} in epoch {epoch + 1}; "
                    "lower train.learning_rate or set train.clip_norm."
                )


class ReportProgress(keras.callbacks.Callback):
    """Reports epoch, step and loss to `models.progress`, at most twice a second within an epoch."""

    async_safe = True  # it reads a loss twice a second only; Keras need not wait for it at every step

    def __init__(self, epochs: int, steps: int):
        super().__init__()
        self._epochs, self._steps = epochs, steps
        self._epoch, self._next_report = 0, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        """Stores the number of the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        """Reports the running loss."""
        if time.monotonic() >= self._next_report:
            self._next_report = time.monotonic() + 0.5
            self._report(step=int(batch) + 1, loss=float(logs["loss"]))

    def on_epoch_end(self, epoch, logs=None):
        """Reports the metrics of the epoch."""
        self._report(step=self._steps, done=True, **{name: float(value) for name, value in logs.items()})

    def _report(self, **values):
        progress.report(epoch=self._epoch + 1, epochs=self._epochs, steps=self._steps, **values)


class NoteFirstStep(keras.callbacks.Callback):
    """Records when the first step ended, which takes longer than the others: it traces the graph.

    Attributes:
        ended: Seconds since 1970; None before.
    """

    async_safe = True

    def __init__(self):
        super().__init__()
        self.ended: float | None = None

    def on_train_batch_end(self, batch, logs=None):
        """Records the time, at the first step only."""
        self.ended = self.ended or time.time()


class WriteSummaries(keras.callbacks.Callback):
    """Writes what Keras does not: graph and sample images once, the task's plots and gradients after every epoch."""

    def __init__(self, job: TrainingJob, validation: tf.data.Dataset, sample: tuple[Any, Any]):
        super().__init__()
        self._job, self._validation, self._sample = job, validation, sample
        self._writer = tf.summary.create_file_writer(str(Path(job.log_folder) / "pictures"))

    def on_train_begin(self, logs=None):
        """Writes the graph, and some training images as inputs of the model, augmented."""
        features, _ = self._sample
        self._predict = tf.function(
            lambda inputs: self.model(inputs, training=False), reduce_retracing=True, autograph=False
        )
        specs = {name: tf.TensorSpec((None, *value.shape[1:]), value.dtype) for name, value in features.items()}
        with self._writer.as_default(step=0):
            tf.summary.graph(self._predict.get_concrete_function(specs).graph)
            if self._job.train.tensorboard.images and self._job.task.sample_images:
                pictures = self._job.task.sample_images(features, self._job.spec)
                tf.summary.image("samples", pictures, max_outputs=len(pictures))

    def on_epoch_end(self, epoch, logs=None):
        """Writes gradients, and the task's plots of the validation split."""
        board = self._job.train.tensorboard
        with self._writer.as_default(step=epoch):
            if board.histogram_freq and epoch % board.histogram_freq == 0:
                for name, gradient in self._gradients().items():
                    tf.summary.histogram(f"{name}/gradient", gradient)
            if board.images and self._job.task.epoch_plots:
                plots = self._job.task.epoch_plots(self._predict, self._validation, self._job.config, self._job.spec)
                for tag, picture in plots.items():
                    tf.summary.image(tag, picture[np.newaxis])

    def _gradients(self) -> dict[str, tf.Tensor]:
        """Returns the gradient of the sample's loss by path of the trainable weight; empty without labels."""
        features, labels = self._sample
        if labels is None:
            return {}
        with tf.GradientTape() as tape:
            loss = self.model.compute_loss(features, labels, self.model(features, training=False), training=False)
        weights = self.model.trainable_variables
        gradients = tape.gradient(loss, [weight.value for weight in weights])
        return {
            weight.path: tf.convert_to_tensor(gradient)
            for weight, gradient in zip(weights, gradients, strict=True)
            if gradient is not None
        }

    def on_train_end(self, logs=None):
        """Closes the event file."""
        self._writer.close()
