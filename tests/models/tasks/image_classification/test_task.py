import io

import numpy as np
import pytest
from PIL import Image

from data import catalog
from models.tasks.image_classification.config import ImageClassificationConfig
from pipeline.core import config

pytestmark = pytest.mark.slow  # loads TensorFlow

SPEC = catalog.load("digits").spec


def test_raw_bytes_become_pixels_between_0_and_1():
    import tensorflow as tf

    from models.tasks.image_classification.task import preprocessing_fn

    raw = {"image": tf.constant([bytes(range(0, 256, 4)), bytes([255] * 64)]), "label": tf.constant([3, 9], tf.int64)}

    features = preprocessing_fn(raw, ImageClassificationConfig(), SPEC)

    assert features["image"].shape == (2, 8, 8, 1)
    assert float(features["image"][0, 0, 1, 0]) == pytest.approx(4 / 255)
    assert float(features["image"][0, 1, 0, 0]) == pytest.approx(32 / 255)
    assert float(tf.reduce_min(features["image"][1])) == 1.0
    assert features["label"].numpy().tolist() == [3, 9]


def _augmented(images, **settings):
    import tensorflow as tf

    from models.tasks.image_classification.task import augment

    features = {"image": tf.constant(images, tf.float32)}
    seed = tf.constant([1, 2], tf.int64)
    return augment(features, seed, ImageClassificationConfig(**settings))["image"].numpy()


def test_augmentation_is_off_by_default():
    images = np.random.default_rng(0).random((4, 5, 5, 1), np.float32)

    np.testing.assert_array_equal(_augmented(images), images)


def test_flipping_mirrors_some_images_and_leaves_the_others():
    images = np.random.default_rng(0).random((64, 5, 5, 1), np.float32)

    flipped = _augmented(images, flip=True)

    mirrored = np.array([np.array_equal(new, old[:, ::-1]) for new, old in zip(flipped, images, strict=True)])
    same = np.array([np.array_equal(new, old) for new, old in zip(flipped, images, strict=True)])
    assert (mirrored | same).all()
    assert 16 < mirrored.sum() < 48


def test_shifting_moves_every_image_by_at_most_the_limit():
    images = np.zeros((64, 7, 7, 1), np.float32)
    images[:, 3, 3] = 1

    shifted = _augmented(images, shift_px=2)

    offsets = np.argwhere(shifted[..., 0] == 1)[:, 1:] - 3
    assert len(offsets) == 64
    assert set(np.unique(offsets)) == {-2, -1, 0, 1, 2}


def test_the_same_seed_gives_the_same_augmentation():
    images = np.random.default_rng(0).random((8, 6, 6, 1), np.float32)

    np.testing.assert_array_equal(_augmented(images, shift_px=1, flip=True), _augmented(images, shift_px=1, flip=True))


def test_an_image_of_any_size_is_resized_to_the_pixels_of_training():
    import tensorflow as tf

    from models.tasks.image_classification.task import signatures

    small = np.add.outer(np.arange(8) * 16, np.arange(8) * 16).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((24, 16), Image.Resampling.NEAREST).save(file, "PNG")

    class Served:
        """Returns the first raw bytes of its input as scores."""

        def predict_raw(self, raw):
            return tf.cast(tf.io.decode_raw(raw["image"], tf.uint8), tf.float32)[:, :10]

        predict_examples = None

    answer = signatures(Served(), ImageClassificationConfig(), SPEC)["image_bytes"](tf.constant([file.getvalue()] * 2))

    np.testing.assert_array_equal(answer["scores"], [small.ravel()[:10]] * 2)
    assert answer["classes"].numpy()[1].tolist() == [name.encode() for name in "0123456789"]


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "categorical_focal_crossentropy"])
def test_losses_of_one_hot_labels_accept_integer_labels(loss):
    import tensorflow as tf

    from models.tasks.image_classification.task import loss as make_loss

    value = make_loss(ImageClassificationConfig(loss=loss), SPEC)(tf.constant([1]), tf.one_hot([1], 10) * 0.91 + 0.009)

    expected = -np.log(0.919) if loss == "categorical_crossentropy" else 0.25 * 0.081**2 * -np.log(0.919)
    assert float(np.squeeze(value)) == pytest.approx(expected, rel=1e-3)


def test_the_fashion_mnist_model_has_less_than_120_000_parameters():
    from models.tasks.image_classification.task import build_model

    named = config.load("fashion_mnist")

    assert build_model(named.config.model, named.dataset.spec).count_params() < 120_000
