"""The input of a training: TFRecord files to batches of features and labels."""

import functools
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from data.examples import read_batches
from models.task import Task
from models.training.job import TrainingJob

logger = logging.getLogger(__name__)

MIB = 2**20
MAX_SEED = 2**31 - 1  # TensorFlow takes seeds modulo this
SAMPLES = 16  # training images shown in TensorBoard


def training_batches(job: TrainingJob, skip: int = 0) -> tf.data.Dataset:
    """Returns batches of `(features, labels)`, one epoch after the other without end, the first `skip` left out.

    Order and augmentation depend on nothing but the seed, the epoch and the step, so that a batch can be made again.
    """
    buffer_rows = _buffer_rows(job)
    in_memory = job.num_rows["train"] <= buffer_rows
    batches_of = _shuffled_in_memory(job) if in_memory else _shuffled_in_buffer(job, buffer_rows)
    steps = -(-job.num_rows["train"] // job.train.batch_size)
    # From the epoch on in which it goes on: those before are neither read nor shuffled.
    endless = tf.data.Dataset.counter(skip // steps).flat_map(batches_of)
    serialized = endless.skip(skip % steps).enumerate(skip)
    batches = serialized.map(_finisher(job), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return batches.prefetch(tf.data.AUTOTUNE)


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


def _shuffled_in_memory(job: TrainingJob) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """Returns the function from an epoch to its batches of serialized examples, drawn from all rows.

    A shuffle buffer of the same size is filled anew before every epoch, in which nothing is trained.
    """
    rows, batch_size = job.num_rows["train"], job.train.batch_size
    records = next(iter(tf.data.TFRecordDataset(list(job.train_files)).batch(rows)))

    def batches_of(epoch: tf.Tensor) -> tf.data.Dataset:
        seed = tf.stack([tf.constant(job.seed, tf.int64), epoch])
        order = tf.random.experimental.stateless_shuffle(tf.range(rows), seed)
        begins = tf.data.Dataset.range(0, rows, batch_size)
        return begins.map(lambda begin: tf.gather(records, order[begin : begin + batch_size]))

    return batches_of


def _shuffled_in_buffer(job: TrainingJob, buffer_rows: int) -> Callable[[tf.Tensor], tf.data.Dataset]:
    """Returns the function from an epoch to its batches of serialized examples, drawn through a buffer as it reads.

    The files, of 8 MiB each, are read in a new order each epoch: the rows of an image folder are sorted by class.
    """
    files = tf.constant(list(job.train_files))

    def batches_of(epoch: tf.Tensor) -> tf.data.Dataset:
        # The seed of this function's graph. It must not be 0: TensorFlow would compare the epoch, a tensor, with 0.
        tf.compat.v1.set_random_seed(1 + job.seed % (MAX_SEED - 1))
        order = tf.random.experimental.stateless_shuffle(files, tf.stack([tf.constant(job.seed, tf.int64), epoch]))
        shuffled = tf.data.TFRecordDataset(order).shuffle(buffer_rows, seed=epoch, reshuffle_each_iteration=False)
        return shuffled.batch(job.train.batch_size)

    return batches_of


def _finisher(job: TrainingJob):
    """Returns the function from a step and its serialized examples to `(features, labels)`, augmented."""
    parse = _parser(job.transform_folder)
    augment = job.task.augment if job.train.augment else None

    def finish(index: tf.Tensor, serialized: tf.Tensor):
        features = parse(serialized)
        if augment:
            features = augment(features, tf.stack([tf.constant(job.seed, tf.int64), index]), job.config)
        return _split_labels(features, job.task)

    return finish


def file_batches(job: TrainingJob, files: Sequence[str]) -> tf.data.Dataset:
    """Returns batches of `(features, labels)` in file order."""
    parse = _parser(job.transform_folder)
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
    kept = known.cache() if rows * _row_bytes(batches) <= job.train.buffer_mib * MIB else known
    return kept.prefetch(tf.data.AUTOTUNE)


def _row_bytes(batches: tf.data.Dataset) -> int:
    """Returns how many bytes a row has as the model takes it; what has no fixed size is left out."""
    tensors = tf.nest.flatten(batches.element_spec)
    return sum((tensor.shape[1:].num_elements() or 0) * tensor.dtype.size for tensor in tensors)


@functools.lru_cache(maxsize=1)
def _parser(transform_folder: str):
    """Returns the function from serialized examples, string `(batch,)`, to transformed features."""
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
