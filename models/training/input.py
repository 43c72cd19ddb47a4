"""The input of a training: TFRecord files to batches of features and labels."""

import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from data.examples import read_batches
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
    kept = keep(job.train_files, rows, parser(job.transform_folder), job.train.buffer_mib * MIB)
    logger.info("the %d training rows are %s", rows, "kept in memory" if kept else "read and transformed every epoch")
    return kept


def training_batches(job: TrainingJob, kept: Kept | None, skip: int = 0) -> tf.data.Dataset:
    """Returns batches of `(features, labels)`, one epoch after the other without end, the first `skip` left out.

    Order and augmentation depend on nothing but the seed, the epoch and the step, so that a batch can be made again.
    Rows that are kept are drawn from all, those that are not through a buffer where it does not hold them; their bits
    are the same.

    Args:
        job: What is trained.
        kept: What `keep_training_rows` returns.
        skip: Batches.
    """
    batches_of, features_of = _epochs(job, kept)
    augment = _augmenter(job)
    steps = -(-job.num_rows["train"] // job.train.batch_size)
    # From the epoch on in which it goes on: those before are neither read nor shuffled.
    endless = tf.data.Dataset.counter(skip // steps).flat_map(batches_of)
    numbered = endless.skip(skip % steps).enumerate(skip)
    batches = numbered.map(
        lambda step, batch: _split_labels(augment(step, features_of(batch)), job.task),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    return batches.prefetch(tf.data.AUTOTUNE)


def _epochs(job: TrainingJob, kept: Kept | None) -> tuple[Callable[[tf.Tensor], tf.data.Dataset], Callable]:
    """Returns two functions: from an epoch to its batches of indices or of examples, and from such to features."""
    if kept:
        return functools.partial(_shuffled_in_memory, job), functools.partial(take, kept)
    rows, buffer_rows, parse = job.num_rows["train"], _buffer_rows(job), parser(job.transform_folder)
    if rows > buffer_rows:
        return functools.partial(_shuffled_in_buffer, job, buffer_rows), parse
    # A variable: tf.data would copy a tensor.
    records = tf.Variable(next(iter(tf.data.TFRecordDataset(list(job.train_files)).batch(rows))), trainable=False)
    return functools.partial(_shuffled_in_memory, job), lambda indices: parse(tf.gather(records, indices))


def _buffer_rows(job: TrainingJob) -> int:
    """Returns how many rows the shuffle buffer holds: a batch at least, and no more than its bytes allow.

    It goes by the size of the files, not by the memory there is, so that every machine draws in the same order.
    """
    rows, size = job.num_rows["train"], sum(Path(file).stat().st_size for file in job.train_files)
    fitting = job.train.buffer_mib * MIB * rows // size
    found = max(min(job.train.shuffle_buffer, fitting), job.train.batch_size)
    if found < rows:
        logger.info("the shuffle buffer holds %d of %d rows, %d MiB", found, rows, found * size // rows // MIB)
    return found


def _shuffled_in_memory(job: TrainingJob, epoch: tf.Tensor) -> tf.data.Dataset:
    """Returns an epoch's batches of indices, drawn from all rows.

    A shuffle buffer of the same size is filled anew before every epoch, in which nothing is trained.
    """
    rows, batch_size = job.num_rows["train"], job.train.batch_size
    seed = tf.stack([tf.constant(job.seed, tf.int64), epoch])
    order = tf.random.experimental.stateless_shuffle(tf.range(rows), seed)
    return tf.data.Dataset.range(0, rows, batch_size).map(lambda begin: order[begin : begin + batch_size])


def _shuffled_in_buffer(job: TrainingJob, buffer_rows: int, epoch: tf.Tensor) -> tf.data.Dataset:
    """Returns an epoch's batches of serialized examples, drawn through a buffer as they are read.

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


def file_batches(job: TrainingJob, files: Sequence[str]) -> tf.data.Dataset:
    """Returns batches of `(features, labels)` in file order."""
    parse = parser(job.transform_folder)
    records = tf.data.TFRecordDataset(list(files)).batch(_read_size(job))
    return records.map(lambda serialized: _split_labels(parse(serialized), job.task))


def _read_size(job: TrainingJob) -> int:
    return max(job.train.batch_size, 512)


def validation_batches(job: TrainingJob) -> tf.data.Dataset:
    """Returns the validation split's batches of `(features, labels)`, in file order.

    Once read they are kept in memory, where they take no more than the buffer may.
    """
    batches, rows = file_batches(job, job.validation_files), job.num_rows["validation"]
    # Keras warns of running out of data where it cannot know the number of batches.
    known = batches.apply(tf.data.experimental.assert_cardinality(-(-rows // _read_size(job))))
    size = row_bytes(batches.element_spec)
    is_kept = size is not None and rows * size <= job.train.buffer_mib * MIB
    return (known.cache() if is_kept else known).prefetch(tf.data.AUTOTUNE)


def sample_batch(job: TrainingJob) -> tuple[Any, Any]:
    """Returns features and labels, None without, of some training examples as the model sees them, augmented."""
    features = parser(job.transform_folder)(_drawn(job))
    batch = _split_labels(_augmenter(job)(tf.constant(0, tf.int64), features), job.task)
    return batch if isinstance(batch, tuple) else (batch, None)


def _drawn(job: TrainingJob) -> tf.Tensor:
    """Returns serialized training examples drawn from the whole split, which may be sorted by class."""
    rows = job.num_rows["train"]
    drawn = np.random.default_rng(job.seed).choice(rows, min(SAMPLES, rows), replace=False)
    return tf.concat(list(read_batches(job.train_files, np.sort(drawn))), axis=0)


def _split_labels(features, task: Task):
    """Returns the model's inputs, and the labels where there are any."""
    # Keras takes a dictionary with a name too many by position.
    inputs = {name: value for name, value in features.items() if name not in (*task.label_keys, *task.serving_only)}
    labels = {name: features[name] for name in task.label_keys}
    if not labels:
        return inputs
    return inputs, next(iter(labels.values())) if len(labels) == 1 else labels
