"""Trains a task's model and exports it, the same for all tasks."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from data.examples import read_rows
from data.texts import significant
from models import progress
from models.export import export
from models.training import projector, warm_start
from models.training.callbacks import NoteFirstStep, ReportProgress, StopOnNonFinite, WriteSummaries
from models.training.checkpoints import Checkpoints, Progress, SaveCheckpoints
from models.training.devices import choose_precision, choose_strategy, device_names
from models.training.input import (
    file_batches,
    keep_training_rows,
    sample_batch,
    training_batches,
    validation_batches,
)
from models.training.job import TrainingJob
from models.training.optimizer import make_optimizer

logger = logging.getLogger(__name__)

WARMUP_ROWS = 4  # training rows that become warm-up requests


@dataclass(frozen=True)
class TrainingResult:
    """The training result.

    Attributes:
        history: Metric -> its value after each epoch.
        layers: `name`, `kind`, `output` shape and number of `parameters` of each layer, in order.
        first_step: When the first step ended, seconds since 1970; None where all steps were done before it was resumed.
    """

    history: dict[str, list[float]]
    layers: list[dict[str, Any]]
    first_step: float | None


# AutoGraph turns Python's `if` and `while` into the graph's by rewriting every function that is traced, which took 3 of
# 37 CPU s of one epoch of Fashion-MNIST. Graphs are written with `tf.cond` here, and Keras traces without it, too.
@tf.autograph.experimental.do_not_convert
def train(job: TrainingJob) -> TrainingResult:
    """Trains and exports a model; returns the training result.

    The same job gives the same weights bit for bit on CPU, also when it was killed and resumes from its last
    checkpoint.

    Raises:
        ModelError: The loss became NaN or infinite.
    """
    keras.utils.set_random_seed(job.seed)
    policy, strategy = choose_precision(job.train.precision), choose_strategy(job.train.strategy)
    logger.info("training on %s with %s", device_names(strategy), policy)
    steps_per_epoch = -(-job.num_rows["train"] // job.train.batch_size)
    with _dtype_policy(policy):
        with strategy.scope():
            model = _compiled(job, steps_per_epoch)
            warm_started = _warm_start(model, job)
            checkpoints = Checkpoints(Path(job.checkpoint_folder))
            state = checkpoints.restore(model)
        first_step = _fit(model, job, checkpoints, state, steps_per_epoch)
        if job.train.early_stopping and checkpoints.best_weights.exists():
            model.load_weights(checkpoints.best_weights)
        progress.report(summary="exporting the model", exporting=True)
        projector.write(model, job)
    rows = read_rows(job.train_files, job.spec, WARMUP_ROWS)
    export(
        model, job.transform_folder, task=job.task, config=job.config, spec=job.spec, rows=rows, into=job.model_folder
    )
    checkpoints.remove()
    progress.report(summary=_summary(model, state, warm_started))
    return TrainingResult(state.history, [_layer_json(layer) for layer in model.layers], first_step)


def _summary(model: keras.Model, state: Progress, warm_started: str) -> str:
    """Returns epochs, chosen epoch, warm start, number of parameters and validation metrics, in one line."""
    metrics = {name: values[state.chosen] for name, values in state.history.items() if name.startswith("val_")}
    notes = [f"the weights of epoch {state.chosen + 1}"] if state.waited else []
    notes += [warm_started] if warm_started else []
    measured = ", ".join(f"{name} {significant(value)}" for name, value in metrics.items())
    return ", ".join([f"{state.epoch} epochs", *notes, f"{model.count_params():,} parameters", measured])


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Sets Keras's dtype policy within the block."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


def _compiled(job: TrainingJob, steps_per_epoch: int) -> keras.Model:
    """Returns the task's model, compiled and prepared, with new weights."""
    model = job.task.build_model(job.config, job.spec)
    model.compile(
        optimizer=make_optimizer(job.train, steps_per_epoch),
        loss=job.task.loss(job.config, job.spec),
        # Keras computes these with the weights of the rows only under the second name.
        **{"weighted_metrics" if job.mean_weights else "metrics": job.task.metrics(job.config, job.spec)},
        jit_compile=False,  # measured on CPU: XLA makes a small convolutional network 1.5 times slower
    )
    if job.task.prepare:
        job.task.prepare(model, file_batches(job, job.train_files), job.config, job.spec)
    # A training step that creates the optimizer's variables is traced a second time without them.
    model.optimizer.build(model.trainable_variables)
    return model


def _warm_start(model: keras.Model, job: TrainingJob) -> str:
    """Loads the weights of the published version, if there is one and they fit; returns the outcome as text."""
    if not job.published:
        return ""
    reason = job.why_no_warm_start or warm_start.begin_from(model, Path(job.published), job.transform_folder, job.spec)
    version = Path(job.published).name
    outcome = f"no warm start from version {version}: {reason}" if reason else f"from version {version}"
    logger.info("warm start: %s", outcome)
    return outcome


def _layer_json(layer: keras.Layer) -> dict[str, Any]:
    """Returns name, kind, output shape and number of parameters of a layer as JSON values."""
    output = getattr(layer, "output", None)
    shape = list(output.shape) if isinstance(output, keras.KerasTensor) else None
    return {"name": layer.name, "kind": type(layer).__name__, "output": shape, "parameters": layer.count_params()}


def _fit(
    model: keras.Model, job: TrainingJob, checkpoints: Checkpoints, state: Progress, steps_per_epoch: int
) -> float | None:
    """Trains from `state` to the last epoch; returns when the first step ended, see `TrainingResult`."""
    first_step = NoteFirstStep()
    validation, kept = validation_batches(job), keep_training_rows(job)
    logger.info("training from epoch %d, step %d", state.epoch, state.step)

    def fit(epochs: int, steps: int) -> None:
        model.fit(
            training_batches(job, kept, skip=state.epoch * steps_per_epoch + state.step),
            initial_epoch=state.epoch,
            epochs=epochs,
            steps_per_epoch=steps,
            validation_data=validation,
            callbacks=[first_step, *make_callbacks(job, validation, checkpoints, state, steps_per_epoch)],
            shuffle=False,  # the input is shuffled already
            verbose=0,
        )

    if state.step:
        # Keras counts full epochs only: the rest of an unfinished one is fitted as an epoch of its own.
        fit(state.epoch + 1, steps_per_epoch - state.step)
    if state.epoch < job.train.epochs and not state.stopped:
        fit(job.train.epochs, steps_per_epoch)
    return first_step.ended


def make_callbacks(
    job: TrainingJob, validation: tf.data.Dataset, checkpoints: Checkpoints, state: Progress, steps_per_epoch: int
) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of a training; those that stop it come first."""
    tensorboard, sample = job.train.tensorboard, sample_batch(job)
    # Steps 2 to 6: the first one traces the graph.
    profiled = (2, min(6, steps_per_epoch)) if job.train.profile and steps_per_epoch > 1 else 0
    return [
        StopOnNonFinite(),
        ReportProgress(job.train.epochs, steps_per_epoch),
        # Keras 3 writes a graph that TensorBoard does not show; WriteSummaries writes the one that it does.
        keras.callbacks.TensorBoard(
            job.log_folder, histogram_freq=tensorboard.histogram_freq, write_graph=False, profile_batch=profiled
        ),
        WriteSummaries(job, validation.map(lambda *batch: batch[:2]) if job.mean_weights else validation, sample),
        # Last: it saves the state at the end of the epoch.
        SaveCheckpoints(checkpoints, state, job.train.early_stopping, job.train.checkpoint_steps),
    ]
