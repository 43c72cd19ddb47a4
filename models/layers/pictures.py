"""Decodes pictures within the served graph, to the same pixels as `data.pictures` computes at ingest."""

import numpy as np
import tensorflow as tf

from data import pictures

BLOCK = np.int64(pictures.BLOCK)


def decode(encoded: tf.Tensor, height: int, width: int, channels: int) -> tf.Tensor:
    """Returns the pixels of one PNG or JPEG, upright and resized; uint8 `(height, width, channels)`.

    Uses TensorFlow's own operations only, which TF Serving has.

    Args:
        encoded: The file, string `()`.
        height: Height of the result, in pixels.
        width: Width of the result, in pixels.
        channels: 1 (grey) or 3.

    Raises:
        tf.errors.InvalidArgumentError: At run time: the file is damaged, or of another format, which the message names.
    """
    is_png, is_jpeg = (_begins_with(encoded, pictures.mark_of(name)) for name in pictures.SERVED)
    encoded = tf.cond(is_png | is_jpeg, lambda: encoded, lambda: _refused(encoded))
    # decode_jpeg reads PNG as well; decode_image always takes libjpeg's fast transform, off by up to 9 levels. Always
    # with three channels: the decoder of PNG converts to grey by other weights than that of JPEG.
    pixels = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    orientation = tf.cond(is_jpeg, lambda: _orientation(encoded), lambda: 1)
    is_unchanged = (orientation == 1) & tf.reduce_all(tf.shape(pixels)[:2] == (height, width))
    values = tf.cond(
        is_unchanged,
        lambda: _levels(tf.cast(pixels, tf.float64), tf.constant(1, tf.int64), channels) if channels == 1 else pixels,
        lambda: _turned_and_resized(pixels, orientation, height, width, channels),
    )
    return tf.ensure_shape(values, (height, width, channels))


def _turned_and_resized(pixels: tf.Tensor, orientation: tf.Tensor, height: int, width: int, channels: int) -> tf.Tensor:
    """Returns pixels, uint8 `(rows, columns, 3)`, as uint8 `(height, width, channels)`, by EXIF `orientation`."""
    transposed, flipped, mirrored = (
        tf.reduce_any(orientation == tf.constant(orientations))
        for orientations in (pictures.TRANSPOSED, pictures.FLIPPED, pictures.MIRRORED)
    )
    size = tf.cond(transposed, lambda: [width, height], lambda: [height, width])
    values = _resize(pixels, tf.cast(size[0], tf.int64), tf.cast(size[1], tf.int64), channels)
    values = tf.cond(transposed, lambda: tf.transpose(values, (1, 0, 2)), lambda: values)
    values = tf.cond(flipped, lambda: values[::-1], lambda: values)
    return tf.cond(mirrored, lambda: values[:, ::-1], lambda: values)


def _begins_with(encoded: tf.Tensor, mark: bytes) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, len(mark)) == mark


def _refused(encoded: tf.Tensor) -> tf.Tensor:
    """Raises InvalidArgumentError with the name of a format that is not served."""
    refusal = tf.strings.join(["expected PNG or JPEG, found ", _format_of(encoded)])
    with tf.control_dependencies([tf.debugging.Assert(False, [refusal])]):
        return tf.identity(encoded)


def _format_of(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the name of a file's format, string `()`, as `pictures.SIGNATURES` has it."""
    head = tf.strings.substr(encoded, 0, max(offset + len(mark) for _, offset, mark in pictures.SIGNATURES))
    name_of_format = tf.where(tf.strings.length(encoded) == 0, "an empty file", "something else")
    for name, offset, mark in reversed(pictures.SIGNATURES):
        # substr fails where the offset lies beyond the end
        padded = tf.strings.join([head, tf.constant(bytes(offset))])
        has_signature = tf.strings.substr(padded, offset, len(mark)) == mark
        name_of_format = tf.where(has_signature, name, name_of_format)
    return name_of_format


def _orientation(encoded: tf.Tensor) -> tf.Tensor:
    """Returns the EXIF orientation of a JPEG, int32 `()`."""
    head = tf.io.decode_raw(tf.strings.substr(encoded, 0, pictures.HEAD_BYTES), tf.uint8)
    padded = tf.pad(tf.cast(head, tf.int32), [[0, pictures.PADDING]])
    return tf.autograph.to_graph(pictures.orientation)(padded, tf.size(head))


def _resize(pixels: tf.Tensor, height: tf.Tensor, width: tf.Tensor, channels: int) -> tf.Tensor:
    """Returns pixels, uint8 `(rows, columns, 3)`, as uint8 `(height, width, channels)`; sizes are int64 `()`."""
    rows, columns = tf.shape(pixels, tf.int64)[0], tf.shape(pixels, tf.int64)[1]
    sums = _along(tf.reshape(pixels, (rows, columns * 3)), height, tf.float32)
    across = tf.transpose(tf.reshape(sums, (height, columns, 3)), (1, 0, 2))  # (columns, height, 3)
    resized = _along(tf.reshape(across, (columns, height * 3)), width, tf.float64)
    resized = tf.transpose(tf.reshape(resized, (width, height, 3)), (1, 0, 2))  # (height, width, 3)
    total = pictures.axis_total(rows, height, tf) * pictures.axis_total(columns, width, tf)
    return _levels(resized, total, channels)


def _levels(sums: tf.Tensor, total: tf.Tensor, channels: int) -> tf.Tensor:
    """Returns float64 sums of pixels `(height, width, 3)`, each of `total` shares, as uint8 of `channels`."""
    if channels == 1:
        luma = tf.constant(pictures.LUMA, tf.float64)
        sums, total = tf.reduce_sum(sums * luma, -1, keepdims=True), total * pictures.LUMA_TOTAL
    return tf.cast(tf.round(sums / tf.cast(total, tf.float64)), tf.uint8)


def _along(data: tf.Tensor, new_size: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Returns weighted sums along the first axis of data, `(rows, n)`, as `(new_size, n)` of `dtype`."""
    size = tf.shape(data, tf.int64)[0]

    def block(begin: tf.Tensor) -> tf.Tensor:
        first, last = pictures.axis_band(begin, size, new_size, tf)
        weights = pictures.axis_weights(begin + tf.range(BLOCK), tf.range(first, last), size, new_size, tf)
        return tf.cast(weights, dtype) @ tf.cast(data[first:last], dtype)

    def blocks() -> tf.Tensor:
        begins = tf.range(0, new_size, BLOCK)
        # One block at a time: a large picture takes little more memory than its pixels.
        results = tf.map_fn(
            block, begins, parallel_iterations=1, fn_output_signature=tf.TensorSpec((None, None), dtype)
        )
        return tf.reshape(results, (-1, tf.shape(data)[1]))[:new_size]

    return tf.cond(size == new_size, lambda: tf.cast(data, dtype), blocks)


def raw_bytes(pixels: tf.Tensor) -> tf.Tensor:
    """Returns the bytes of a uint8 tensor of a static shape, string `()`; TensorFlow has decode_raw and no encode_raw.

    They are the last bytes of the serialized TensorProto: the field of its content has the highest number.
    """
    size = pixels.shape.num_elements()
    return tf.strings.substr(tf.io.serialize_tensor(pixels), -size, size)
