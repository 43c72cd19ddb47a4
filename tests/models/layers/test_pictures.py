import functools

import numpy as np
import pytest

from data import pictures
from tests.data.made_pictures import of_every_mode, photo, saved

pytestmark = pytest.mark.slow  # loads TensorFlow

SHAPES = [(8, 8, 1), (48, 33, 3)]


@functools.cache
def served(shape: tuple[int, int, int]):
    """Returns the function from a batch of files, string `(batch,)`, to pixels, as in a signature."""
    import tensorflow as tf

    from models.layers.pictures import decode

    pixels = tf.TensorSpec(shape, tf.uint8)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
    def decoded(files):
        return tf.map_fn(lambda file: decode(file, *shape), files, fn_output_signature=pixels)

    return decoded


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (8, 8), (48, 33), (33, 48), (5, 300), (211, 37), (300, 450)])
def test_the_served_graph_makes_the_pixels_that_ingest_stores(size, shape):
    """For pictures of every mode that are shrunk, enlarged, or both."""
    files = of_every_mode(*size)

    served_pixels = served(shape)(list(files.values())).numpy()

    stored = np.stack([pictures.decode(content, shape) for content in files.values()])
    differences = np.abs(served_pixels.astype(int) - stored).max(axis=(1, 2, 3)).tolist()
    assert dict(zip(files, differences, strict=True)) == dict.fromkeys(files, 0)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (saved(photo(9, 9), "WEBP"), "WebP"),
        (saved(photo(9, 9), "TIFF"), "TIFF"),
        (saved(photo(9, 9), "GIF"), "GIF"),
        (saved(photo(9, 9), "BMP"), "BMP"),
        (b"\0\0\0 ftypavif" + bytes(9), "HEIC or AVIF"),
        (b"", "an empty file"),
        (b"P", "something else"),
        (b"plain text", "something else"),
    ],
)
def test_other_formats_are_refused_by_name(content, kind):
    import tensorflow as tf

    with pytest.raises(tf.errors.InvalidArgumentError, match=f"expected PNG or JPEG, found {kind}]"):
        served(SHAPES[0])([content])


def test_damaged_exif_data_gives_the_orientation_that_ingest_reads():
    """Bytes are changed at random: the graph neither fails nor reads another number than ingest."""
    import tensorflow as tf

    from models.layers import pictures as layer

    orientation = tf.function(layer._orientation, input_signature=[tf.TensorSpec((), tf.string)], autograph=False)
    generator = np.random.default_rng(0)
    intact = saved(photo(4, 4), "JPEG", orientation=6)
    damaged = [b"\xff\xd8\xff", b"\xff\xd8\xff\xe1", intact[:40], b"\xff\xd8" + b"\xff\xe0\0\x02" * 40_000]
    for _ in range(200):
        content = bytearray(intact)
        for index in generator.integers(2, 60, generator.integers(1, 4)):
            content[index] = generator.choice([0, 1, 0xFF, 0xE1, generator.integers(256)])
        damaged.append(bytes(content[: generator.integers(20, 400)]))

    orientations = [int(orientation(content)) for content in damaged]

    assert orientations == [pictures._orientation_of(content) for content in damaged]
    assert set(orientations) >= {1, 6}


def test_raw_bytes_are_those_of_the_pixels():
    import tensorflow as tf

    from models.layers.pictures import raw_bytes

    for shape in [(1, 1, 1), (3, 5, 3), (200, 100, 3)]:
        pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
        assert raw_bytes(tf.constant(pixels)).numpy() == pixels.tobytes()
