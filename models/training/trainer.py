"""Trains a task's model: input, devices, precision, callbacks and export, shared by all tasks."""

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from data.examples import read_batches, read_rows
from data.spec import DatasetSpec
from models import progress
from models.config import TaskConfig, TrainConfig
from models.export import export
from models.task import Task
from models.training import projector, warm_start
from models.training.callbacks import ReportProgress, StopOnNonFinite, WriteSummaries
from models.training.checkpoints import Checkpoints, Progress, SaveCheckpoints

logger = logging.getLogger(__name__)

WARMUP_ROWS = 4  # training rows that become warm-up requests
SAMPLES = 16  # training images shown in TensorBoard


@dataclass(frozen=True)
class TrainingJob:
    """All that a training needs.

    Attributes:
        task: The task.
        config: Its settings.
        train: How to train.
        spec: The data set's facts.
        seed: Of weights, data order, augmentation and dropout.
        num_rows: Examples in the files of each split, by name of the split.
        train_files: TFRecord files of tf.train.Examples.
        validation_files: The same, for early stopping and the curves; never the test split.
        transform_folder: What TFX's Transform wrote.
        model_folder: Receives the SavedModel.
        log_folder: Receives TensorBoard's event files.
        checkpoint_folder: Holds the state of an unfinished training; another job needs another folder.
        published: Folder of the published SavedModel whose weights it begins with, where they fit; None for new ones.
    """

    task: Task
    config: TaskConfig
    train: TrainConfig
    spec: DatasetSpec
    seed: int
    num_rows: Mapping[str, int]
    train_files: Sequence[str]
    validation_files: Sequence[str]
    transform_folder: str
    model_folder: str
    log_folder: str
    checkpoint_folder: str
    published: str | None = None


@dataclass(frozen=True)
class Trained:
    """What came of a training.

    Attributes:
        history: Metric -> its value after each epoch.
        layers: `name`, `kind`, `output` shape and number of `parameters` of each layer, in order.
    """

    history: dict[str, list[float]]
    layers: list[dict[str, Any]]


def train(job: TrainingJob) -> Trained:
    """Trains, exports and returns what came of it.

    The same job gives the same weights bit for bit on CPU, also when it was killed on the way and goes on from its
    last checkpoint.

    Raises:
        ModelError: The loss became NaN or infinite.
    """
    keras.utils.set_random_seed(job.seed)
    previous_policy = keras.config.dtype_policy()
    policy = choose_precision(job.train.precision)
    strategy = choose_strategy(job.train.strategy)
    logger.info("training on %s with %s", device_names(strategy), policy)
    steps_per_epoch = -(-job.num_rows["train"] // job.train.batch_size)
    keras.config.set_dtype_policy(policy)
    try:
        with strategy.scope():
            model = job.task.build_model(job.config, job.spec)
            model.compile(
                optimizer=make_optimizer(job.train, steps_per_epoch),
                loss=job.task.loss(job.config, job.spec),
                metrics=job.task.metrics(job.config, job.spec),
                jit_compile=False,  # measured on CPU: XLA makes a small convolutional network 1.5 times slower
            )
            if job.task.prepare:
                job.task.prepare(model, _file_batches(job, job.train_files), job.config, job.spec)
            begun = ""
            if job.published:
                why_not = warm_start.begin_from(model, Path(job.published), job.transform_folder, job.spec)
                version = Path(job.published).name
                begun = f"no warm start from version {version}: {why_not}" if why_not else f"from version {version}"
                logger.info("warm start: %s", begun)
            checkpoints = Checkpoints(Path(job.checkpoint_folder))
            done = checkpoints.restore(model)
        _fit(model, job, checkpoints, done, steps_per_epoch)
        if job.train.early_stopping and checkpoints.best_weights.exists():
            model.load_weights(checkpoints.best_weights)
        projector.write(model, job)
    finally:
        keras.config.set_dtype_policy(previous_policy)
    rows = read_rows(job.train_files, job.spec, WARMUP_ROWS)
    export(
        model, job.transform_folder, task=job.task, config=job.config, spec=job.spec, rows=rows, into=job.model_folder
    )
    checkpoints.remove()
    values = ", ".join(f"{name} {found[-1]:.4f}" for name, found in done.history.items() if name.startswith("val_"))
    told = [begun] if begun else []
    progress.report(summary=", ".join([f"{done.epoch} epochs", *told, f"{model.count_params():,} parameters", values]))
    return Trained(done.history, [_told(layer) for layer in model.layers])


def _told(layer: keras.Layer) -> dict[str, Any]:
    """Returns a layer's facts as JSON values."""
    output = getattr(layer, "output", None)
    shape = list(output.shape) if isinstance(output, keras.KerasTensor) else None
    return {"name": layer.name, "kind": type(layer).__name__, "output": shape, "parameters": layer.count_params()}


def _fit(model: keras.Model, job: TrainingJob, checkpoints: Checkpoints, done: Progress, steps_per_epoch: int) -> None:
    """Trains from where `done` is to the last epoch."""
    validation = validation_batches(job)
    logger.info("training from epoch %d, step %d", done.epoch, done.step)

    def fit(epochs: int, steps: int) -> None:
        model.fit(
            training_batches(job, skip=done.epoch * steps_per_epoch + done.step),
            initial_epoch=done.epoch,
            epochs=epochs,
            steps_per_epoch=steps,
            validation_data=validation,
            callbacks=make_callbacks(job, validation, checkpoints, done, steps_per_epoch),
            shuffle=False,  # the input is shuffled already
            verbose=0,
        )

    if done.step:
        # Keras counts whole epochs only: the rest of a half-done one is an epoch of its own.
        fit(done.epoch + 1, steps_per_epoch - done.step)
    if done.epoch < job.train.epochs and not done.stopped:
        fit(job.train.epochs, steps_per_epoch)


# --- input -----------------------------------------------------------------------------------------------------------


def training_batches(job: TrainingJob, skip: int = 0) -> tf.data.Dataset:
    """Returns batches of `(features, labels)`, one epoch after the other without end, the first `skip` left out.

    Order and augmentation depend on nothing but the seed, the epoch and the step, so that a batch can be made again.
    """
    finish = _finisher(job)
    if job.num_rows["train"] <= job.train.shuffle_buffer:
        serialized = _shuffled_in_memory(job, skip)
    else:
        records = tf.data.TFRecordDataset(list(job.train_files))
        # Shuffled anew for every repetition; batched before repeating, so that epochs do not run into each other.
        shuffled = records.shuffle(job.train.shuffle_buffer, seed=job.seed, reshuffle_each_iteration=True)
        serialized = shuffled.batch(job.train.batch_size).repeat().enumerate().skip(skip)
    batches = serialized.map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def _shuffled_in_memory(job: TrainingJob, skip: int) -> tf.data.Dataset:
    """Returns steps and their batches of serialized examples, as the order of each epoch draws them.

    A shuffle buffer of the same size is filled anew before every epoch, in which nothing is trained.
    """
    rows, batch_size = job.num_rows["train"], job.train.batch_size
    steps = -(-rows // batch_size)
    records = next(iter(tf.data.TFRecordDataset(list(job.train_files)).batch(rows)))

    def batches_of(epoch: tf.Tensor) -> tf.data.Dataset:
        seed = tf.stack([tf.constant(job.seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(tf.range(rows), seed)
        begins = tf.data.Dataset.range(0, rows, batch_size)
        return begins.map(lambda begin: tf.gather(records, order[begin : begin + batch_size]))

    endless = tf.data.Dataset.counter(skip // steps).flat_map(batches_of)
    return endless.skip(skip % steps).enumerate(skip)


def _finisher(job: TrainingJob):
    """Returns the function from a step and its serialized examples to `(features, labels)`, augmented."""
    parse = _parser(job)
    augment = job.task.augment if job.train.augment else None

    def finish(index: tf.Tensor, serialized: tf.Tensor):
        features = parse(serialized)
        if augment:
            features = augment(features, tf.stack([tf.constant(job.seed, tf.int64), index]), job.config)
        return _split_labels(features, job.task)

    return finish


def _file_batches(job: TrainingJob, files: Sequence[str]) -> tf.data.Dataset:
    """Returns batches of `(features, labels)` in file order."""
    parse = _parser(job)
    records = tf.data.TFRecordDataset(list(files)).batch(_read_size(job))
    return records.map(lambda serialized: _split_labels(parse(serialized), job.task))


def _read_size(job: TrainingJob) -> int:
    return max(job.train.batch_size, 512)


def validation_batches(job: TrainingJob) -> tf.data.Dataset:
    """Returns the validation split's batches of `(features, labels)`, in file order, kept in memory once read."""
    batches = _file_batches(job, job.validation_files)
    # Keras warns of running out of data where it cannot know the number of batches.
    num_batches = -(-job.num_rows["validation"] // _read_size(job))
    known = batches.apply(tf.data.experimental.assert_cardinality(num_batches))
    return known.cache().prefetch(tf.data.AUTOTUNE)


def _parser(job: TrainingJob):
    """Returns the function from serialized examples, string `(batch,)`, to transformed features."""
    return _parser_of(job.transform_folder)


@functools.lru_cache(maxsize=1)
def _parser_of(transform_folder: str):
    # Kept: tracing the graph that Transform wrote takes a third of a second each time.
    transform = tft.TFTransformOutput(transform_folder)
    feature_spec, layer = transform.raw_feature_spec(), transform.transform_features_layer()
    signature = [tf.TensorSpec((None,), tf.string)]
    return tf.function(lambda serialized: layer(tf.io.parse_example(serialized, feature_spec)), signature)


def sample_batch(job: TrainingJob) -> tuple[Any, Any]:
    """Returns features and labels, None without, of some training examples as the model sees them, augmented."""
    batch = _finisher(job)(tf.constant(0, tf.int64), _drawn(job))
    return batch if isinstance(batch, tuple) else (batch, None)


def _drawn(job: TrainingJob) -> tf.Tensor:
    """Returns serialized training examples drawn from the whole split, which may be sorted by class."""
    rows = job.num_rows["train"]
    drawn = np.random.default_rng(job.seed).choice(rows, min(SAMPLES, rows), replace=False)
    return tf.concat(list(read_batches(job.train_files, np.sort(drawn))), axis=0)


def _split_labels(features, task: Task):
    """Returns the model's inputs, and the labels where there are any."""
    # Keras takes a dictionary with a name too many by position.
    inputs = {name: value for name, value in features.items() if name not in (*task.label_keys, *task.aside)}
    labels = {name: features[name] for name in task.label_keys}
    if not labels:
        return inputs
    return inputs, next(iter(labels.values())) if len(labels) == 1 else labels


# --- devices, precision, optimizer --------------------------------------------------------------------------------


def choose_strategy(name: str, devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """Returns the distribution strategy.

    Args:
        name: `auto`, `one_device` or `mirrored`.
        devices: Names of the devices to use; by default the GPUs, and without a GPU the logical CPUs.
    """
    if devices is None:
        kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        devices = [device.name for device in tf.config.list_logical_devices(kind)]
    several = name == "mirrored" or (name == "auto" and len(devices) > 1 and "GPU" in devices[0])
    return tf.distribute.MirroredStrategy(devices) if several else tf.distribute.get_strategy()


def device_names(strategy: tf.distribute.Strategy) -> str:
    """Returns what a strategy trains on, in a few words."""
    if isinstance(strategy, tf.distribute.MirroredStrategy):
        return f"{strategy.num_replicas_in_sync} mirrored devices"
    return "one GPU" if tf.config.list_physical_devices("GPU") else "CPU"


def choose_precision(name: str, capabilities: Sequence[tuple[int, int]] | None = None) -> str:
    """Returns the name of the Keras dtype policy.

    Args:
        name: `auto` or the name of a policy.
        capabilities: CUDA compute capability of each GPU; by default of those that are there.
    """
    if name != "auto":
        return name
    if capabilities is None:
        details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
        capabilities = [detail.get("compute_capability", (0, 0)) for detail in details]
    if not capabilities or min(capabilities) < (7, 0):
        return "float32"
    # Tensor cores take float16 from 7.0 (Volta) and bfloat16, which needs no loss scaling, from 8.0 (Ampere).
    return "mixed_bfloat16" if min(capabilities) >= (8, 0) else "mixed_float16"


def make_optimizer(train: TrainConfig, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Returns the optimizer with its learning-rate schedule stretched over all epochs."""
    settings = {"learning_rate": make_schedule(train, steps_per_epoch), "weight_decay": train.weight_decay}
    if train.clip_norm:
        settings["global_clipnorm"] = train.clip_norm
    return type(keras.optimizers.get(train.optimizer))(**settings)


def make_schedule(train: TrainConfig, steps_per_epoch: int):
    """Returns the learning rate, or the Keras schedule that gives it at each step."""
    steps = train.epochs * steps_per_epoch
    rate, schedules = train.learning_rate, keras.optimizers.schedules
    if train.learning_rate_schedule == "constant":
        return rate
    if train.learning_rate_schedule == "CosineDecay":
        warmup = min(round(train.warmup_epochs * steps_per_epoch), steps - 1)
        if not warmup:
            return schedules.CosineDecay(rate, steps)
        return schedules.CosineDecay(0.0, steps - warmup, warmup_target=rate, warmup_steps=warmup)
    if train.learning_rate_schedule == "PolynomialDecay":
        return schedules.PolynomialDecay(rate, steps, end_learning_rate=rate / 100)
    # Both end at a hundredth of the first rate.
    if train.learning_rate_schedule == "ExponentialDecay":
        return schedules.ExponentialDecay(rate, steps, decay_rate=0.01)
    return schedules.InverseTimeDecay(rate, steps, decay_rate=99.0)


# --- callbacks ------------------------------------------------------------------------------------------------------


def make_callbacks(
    job: TrainingJob, validation: tf.data.Dataset, checkpoints: Checkpoints, done: Progress, steps_per_epoch: int
) -> list[keras.callbacks.Callback]:
    """Returns the callbacks of a training, the ones that stop it first."""
    board = job.train.tensorboard
    # Steps 2 to 6: the first one traces the graph.
    profiled = (2, min(6, steps_per_epoch)) if job.train.profile and steps_per_epoch > 1 else 0
    return [
        StopOnNonFinite(),
        ReportProgress(job.train.epochs, steps_per_epoch),
        # Keras 3 writes a graph that TensorBoard does not show; WriteSummaries writes the one that it does.
        keras.callbacks.TensorBoard(
            job.log_folder, histogram_freq=board.histogram_freq, write_graph=False, profile_batch=profiled
        ),
        WriteSummaries(job, validation, sample_batch(job)),
        # Last: what it saves is what the epoch came to.
        SaveCheckpoints(checkpoints, done, job.train.early_stopping, job.train.checkpoint_steps),
    ]
