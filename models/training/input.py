"""The input of a training: TFRecord files to batches of features and labels."""

import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data.examples import read_batches
from data.spec import WEIGHT
from models.task import Task, Tensors
from models.training.job import TrainingJob
from models.training.transformed import Kept, keep, parser, row_bytes, take

logger = logging.getLogger(__name__)

MIB = 2**20
MAX_SEED = 2**31 - 1  # TensorFlow takes seeds modulo this
SAMPLES = 16  # training images shown in TensorBoard


def keep_training_rows(job: TrainingJob) -> Kept | None:
    """Returns the transformed rows of the training split; None where they take more than `train.buffer_mib`."""
    rows = job.num_rows["train"]
    kept = keep(job.train_files, rows, _parser(job), job.train.buffer_mib * MIB)
    logger.info("the %d training rows are %s", rows, "kept in memory" if kept else "read and transformed every epoch")
    return kept


def _parser(job: TrainingJob) -> tf.types.experimental.PolymorphicFunction:
    """Returns the function from serialized examples to transformed features and, if rows have some, weights."""
    return parser(job.transform_folder, has_weights=bool(job.mean_weights))


def training_batches(job: TrainingJob, kept: Kept | None, skip: int = 0) -> tf.data.Dataset:
    """Returns batches of `(features, labels)`, one epoch after the other without end, the first `skip` left out.

    Where rows have weights, a batch has them as its third part, see `_in_parts`.

    Order and augmentation depend on seed, epoch and step only, so that a batch can be made again. Rows in memory are
    shuffled as a whole; others through a buffer where it does not hold all. The bits of a row are the same either way.

    Args:
        job: The training job.
        kept: The rows that `keep_training_rows` returns.
        skip: Number of batches to leave out.
    """
    batches_of, features_of = _epochs(job, kept)
    augment = _augmenter(job)
    steps = -(-job.num_rows["train"] // job.train.batch_size)
    # From the epoch of the first batch on: those before are neither read nor shuffled.
    endless = tf.data.Dataset.counter(skip // steps).flat_map(batches_of)
    numbered = endless.skip(skip % steps).enumerate(skip)
    batches = numbered.map(
        lambda step, batch: _in_parts(augment(step, features_of(batch)), job.task, job.mean_weights.get("train")),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return batches.prefetch(tf.data.AUTOTUNE)


def _epochs(job: TrainingJob, kept: Kept | None) -> tuple[Callable[[tf.Tensor], tf.data.Dataset], Callable]:
    """Returns two functions: from an epoch to batches of indices or of examples, and from such a batch to features."""
    if kept:
        return functools.partial(_shuffled_in_memory, job), functools.partial(take, kept)
    rows, buffer_rows, parse = job.num_rows["train"], _buffer_rows(job), _parser(job)
    if rows > buffer_rows:
        return functools.partial(_shuffled_in_buffer, job, buffer_rows), parse
    # A variable: tf.data would copy a tensor.
    records = tf.Variable(next(iter(tf.data.TFRecordDataset(list(job.train_files)).batch(rows))), trainable=False)
    return functools.partial(_shuffled_in_memory, job), lambda indices: parse(tf.gather(records, indices))


def _buffer_rows(job: TrainingJob) -> int:
    """Returns how many rows the shuffle buffer holds: at least a batch, and at most what `train.buffer_mib` allows.

    It depends on the size of the files, not on the memory of the machine, so that the order is the same everywhere.
    """
    rows, size = job.num_rows["train"], sum(Path(file).stat().st_size for file in job.train_files)
    fitting_rows = job.train.buffer_mib * MIB * rows // size
    buffer_rows = max(min(job.train.shuffle_buffer, fitting_rows), job.train.batch_size)
    if buffer_rows < rows:
        logger.info(
            "the shuffle buffer holds %d of %d rows, %d MiB", buffer_rows, rows, buffer_rows * size // rows // MIB
        )
    return buffer_rows


def _shuffled_in_memory(job: TrainingJob, epoch: tf.Tensor) -> tf.data.Dataset:
    """Returns an epoch's batches of indices, int `(batch,)`, drawn from all rows.

    A shuffle buffer of the same size would be filled again before every epoch, while nothing is trained.
    """
    rows, batch_size = job.num_rows["train"], job.train.batch_size
    seed = tf.stack([tf.constant(job.seed, tf.int64), epoch])
    order = tf.random.experimental.stateless_shuffle(tf.range(rows), seed)
    return tf.data.Dataset.range(0, rows, batch_size).map(lambda begin: order[begin : begin + batch_size])


def _shuffled_in_buffer(job: TrainingJob, buffer_rows: int, epoch: tf.Tensor) -> tf.data.Dataset:
    """Returns an epoch's batches of serialized examples, string `(batch,)`, shuffled by a buffer while they are read.

    The files, of 8 MiB each, are read in a new order each epoch: the rows of an image folder are sorted by class.
    """
    # The seed of this function's graph. It must not be 0: TensorFlow would compare the epoch, a tensor, with 0.
    tf.compat.v1.set_random_seed(1 + job.seed % (MAX_SEED - 1))
    seed = tf.stack([tf.constant(job.seed, tf.int64), epoch])
    order = tf.random.experimental.stateless_shuffle(tf.constant(list(job.train_files)), seed)
    shuffled = tf.data.TFRecordDataset(order).shuffle(buffer_rows, seed=epoch, reshuffle_each_iteration=False)
    return shuffled.batch(job.train.batch_size)


def _augmenter(job: TrainingJob) -> Callable[[tf.Tensor, Tensors], Tensors]:
    """Returns the function from a step and its features to the augmented ones."""
    augment = job.task.augment if job.train.augment else None
    if augment is None:
        return lambda step, features: features
    return lambda step, features: augment(features, tf.stack([tf.constant(job.seed, tf.int64), step]), job.config)


def file_batches(job: TrainingJob, files: Sequence[str], mean_weight: float | None = None) -> tf.data.Dataset:
    """Returns batches of `(features, labels)` in file order; with weights as a third part if their mean is given."""
    parse = _parser(job)
    records = tf.data.TFRecordDataset(list(files)).batch(_read_size(job))
    return records.map(lambda serialized: _in_parts(parse(serialized), job.task, mean_weight))


def _read_size(job: TrainingJob) -> int:
    return max(job.train.batch_size, 512)


def validation_batches(job: TrainingJob) -> tf.data.Dataset:
    """Returns the validation split's batches of `(features, labels)`, in file order, with weights as the third part.

    After the first pass they are kept in memory, where they take at most `train.buffer_mib`.
    """
    batches = file_batches(job, job.validation_files, job.mean_weights.get("validation"))
    rows = job.num_rows["validation"]
    # Keras warns of running out of data where it cannot know the number of batches.
    with_cardinality = batches.apply(tf.data.experimental.assert_cardinality(-(-rows // _read_size(job))))
    size = row_bytes(batches.element_spec)
    is_kept = size is not None and rows * size <= job.train.buffer_mib * MIB
    return (with_cardinality.cache() if is_kept else with_cardinality).prefetch(tf.data.AUTOTUNE)


def sample_batch(job: TrainingJob) -> tuple[Any, Any]:
    """Returns features, augmented, and labels of some training examples; None for labels of a task without any."""
    features = _parser(job)(_sample(job))
    batch = _in_parts(_augmenter(job)(tf.constant(0, tf.int64), features), job.task)
    return batch if isinstance(batch, tuple) else (batch, None)


def _sample(job: TrainingJob) -> tf.Tensor:
    """Returns serialized training examples, string `(examples,)`, drawn from all of the split, which may be sorted."""
    rows = job.num_rows["train"]
    indices = np.random.default_rng(job.seed).choice(rows, min(SAMPLES, rows), replace=False)
    return tf.concat(list(read_batches(job.train_files, np.sort(indices))), axis=0)


def _in_parts(features: Tensors, task: Task, mean_weight: float | None = None):
    """Returns the model's inputs, the labels where there are any and, if `mean_weight` is given, the weights.

    Weights are float32 `(batch,)`, in units of their mean over the split: Keras divides the sum of a batch's losses by
    its number of rows, and so weights of another unit would change the size of a step.
    """
    no_inputs = (*task.label_keys, *task.serving_only, WEIGHT)
    # Keras matches a dictionary by position where it has more names than the model has inputs.
    inputs = {name: value for name, value in features.items() if name not in no_inputs}
    labels = {name: features[name] for name in task.label_keys}
    if not labels:
        return inputs
    parts = inputs, next(iter(labels.values())) if len(labels) == 1 else labels
    return parts if mean_weight is None else (*parts, features[WEIGHT] / mean_weight)
