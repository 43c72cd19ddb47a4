"""Rows as tf.train.Examples."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from data.spec import DatasetSpec, Feature, ImageFeature, Row

READ_ROWS = 4096  # at a time, where rows are only passed by or taken apart


def stored(value, feature: Feature) -> tf.train.Feature:
    """Returns a value as a tf.train.Feature of the type in which `feature` is stored."""
    if feature.stored == "float":
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    if feature.stored == "int":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    content = value.encode() if isinstance(value, str) else value
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))


def rows_of_files(files: Sequence[str], spec: DatasetSpec, count: int) -> list[Row]:
    """Returns the first rows of TFRecord files as they are stored: bytes, ints and floats by feature name."""
    records = tf.data.TFRecordDataset(list(files)).take(count).as_numpy_iterator()
    return [stored_row(serialized, spec) for serialized in records]


def serialized_batches(files: Sequence[str], kept: np.ndarray | None = None) -> Iterator[tf.Tensor]:
    """Yields the serialized rows of TFRecord files in order, string `(batch,)`.

    Args:
        files: The files.
        kept: Which rows, int64, in order; None for all.
    """
    for index, batch in enumerate(tf.data.TFRecordDataset(list(files)).batch(READ_ROWS)):
        if kept is None:
            yield batch
            continue
        begin, end = np.searchsorted(kept, [index * READ_ROWS, (index + 1) * READ_ROWS])
        yield tf.gather(batch, kept[begin:end] - index * READ_ROWS)


def picture(content: bytes, feature: ImageFeature) -> Image.Image:
    """Returns a stored image, raw bytes of pixels, as a picture."""
    pixels = np.frombuffer(content, np.uint8).reshape(feature.height, feature.width, feature.channels)
    return Image.fromarray(pixels[..., 0] if feature.channels == 1 else pixels)


def stored_row(serialized: bytes, spec: DatasetSpec) -> Row:
    """Returns a serialized tf.train.Example as it is stored: bytes, ints and floats by feature name."""
    feature = tf.train.Example.FromString(serialized).features.feature
    return {
        name: getattr(feature[name], feature[name].WhichOneof("kind")).value[0]
        for name in spec.features
        if name in feature
    }


def dense(value, default) -> tf.Tensor:
    """Returns a raw feature as `(batch,)`; an optional one comes sparse, and `default` stands for what is absent."""
    if not isinstance(value, tf.SparseTensor):
        return value
    shape = tf.stack([value.dense_shape[0], tf.constant(1, tf.int64)])
    full = tf.sparse.to_dense(tf.SparseTensor(value.indices, value.values, shape), tf.constant(default, value.dtype))
    return full[:, 0]


def serialized_inputs(row: Row, spec: DatasetSpec) -> bytes:
    """Returns a stored row without its targets as a serialized tf.train.Example: what a client sends."""
    features = {
        name: stored(row[name], feature)
        for name, feature in spec.features.items()
        if name in row and not feature.target
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)
