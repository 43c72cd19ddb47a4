"""Encodes rows as serialized tf.train.Examples, which are stored and sent, and decodes them. Loads TensorFlow."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

if TYPE_CHECKING:  # pydantic's models, which the server does without
    from PIL import Image

    from data.spec import DatasetSpec, ImageFeature, Row

READ_ROWS = 4096  # in a batch, where rows are only selected or parsed
# How a feature is stored, see `data.spec` -> the field of tf.train.Feature that holds it.
LISTS = {"bytes": "bytes_list", "float": "float_list", "int": "int64_list"}


def encode(row: "Row", spec: "DatasetSpec", *, targets: bool = True) -> bytes:
    """Returns a row as a serialized tf.train.Example, deterministically.

    Text becomes UTF-8, an image of pixels raw uint8 bytes; features that the row lacks are left out.

    Args:
        row: Values as they are read, or as they are stored.
        spec: Which features are encoded, and how each is stored.
        targets: Whether targets are encoded, too: a client does not send them.
    """
    # Appending to the message takes half the time of building it from dictionaries.
    example = tf.train.Example()
    features = example.features.feature
    for name, feature in spec.features.items():
        if name not in row or (feature.target and not targets):
            continue
        values_of_row = row[name] if feature.is_list else (row[name],)
        contents = map(_content, values_of_row) if feature.stored == "bytes" else values_of_row
        getattr(features[name], LISTS[feature.stored]).value.extend(contents)
    return example.SerializeToString(deterministic=True)


def _content(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    return value if isinstance(value, bytes) else np.ascontiguousarray(value).tobytes()


def parse(serialized: bytes) -> Mapping[str, tf.train.Feature]:
    """Returns the features of a serialized tf.train.Example by name; raises ValueError for other bytes."""
    try:
        return tf.train.Example.FromString(serialized).features.feature
    except (DecodeError, TypeError) as error:
        raise ValueError(str(error)) from error


def values(feature: tf.train.Feature) -> tuple[str | None, Sequence]:
    """Returns which list of `LISTS` a feature holds, None for none, and its values: bytes, floats or ints."""
    kind = feature.WhichOneof("kind")
    return kind, getattr(feature, kind).value if kind else ()


def decode(serialized: bytes, spec: "DatasetSpec") -> "Row":
    """Returns a serialized tf.train.Example as it is stored: bytes, ints, floats or lists, by feature name.

    Raises:
        ValueError: The bytes are no tf.train.Example.
    """
    features = parse(serialized)
    return {
        name: list(values(features[name])[1]) if feature.is_list else values(features[name])[1][0]
        for name, feature in spec.features.items()
        if name in features
    }


def read_rows(files: Sequence[str], spec: "DatasetSpec", count: int) -> list["Row"]:
    """Returns the first rows of TFRecord files as they are stored: bytes, ints and floats by feature name."""
    records = tf.data.TFRecordDataset(list(files)).take(count).as_numpy_iterator()
    return [decode(serialized, spec) for serialized in records]


def read_batches(files: Sequence[str], kept: np.ndarray | None = None) -> Iterator[tf.Tensor]:
    """Yields the serialized rows of TFRecord files in order, string `(batch,)`.

    Args:
        files: The files.
        kept: Indices of the rows to yield, int64, ascending; None for all.
    """
    for index, batch in enumerate(tf.data.TFRecordDataset(list(files)).batch(READ_ROWS)):
        if kept is None:
            yield batch
            continue
        first, stop = np.searchsorted(kept, [index * READ_ROWS, (index + 1) * READ_ROWS])
        yield tf.gather(batch, kept[first:stop] - index * READ_ROWS)


def picture(content: bytes, feature: "ImageFeature") -> "Image.Image":
    """Returns a stored image, raw bytes of pixels, as a picture."""
    from PIL import Image

    pixels = np.frombuffer(content, np.uint8).reshape(feature.height, feature.width, feature.channels)
    return Image.fromarray(pixels[..., 0] if feature.channels == 1 else pixels)
