import numpy as np
import pytest

from data import catalog
from data.errors import SourceUnavailable
from data.sources.tfds import read_tfds

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A small Fashion-MNIST on disk, in TFDS's own format."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    folder = tmp_path_factory.mktemp("tfds")
    generator = np.random.default_rng(0)
    images = {"train": generator.integers(0, 256, (40, 28, 28, 1), np.uint8), "test": np.ones((6, 28, 28, 1), np.uint8)}
    labels = {"train": np.arange(40) % 10, "test": np.arange(6)}
    tfds.dataset_builders.store_as_tfds_dataset(
        name="fashion_mnist",
        version="3.0.1",
        features=tfds.features.FeaturesDict(
            {"image": tfds.features.Image(shape=(28, 28, 1)), "label": tfds.features.ClassLabel(num_classes=10)}
        ),
        split_datasets={
            split: tf.data.Dataset.from_tensor_slices({"image": images[split], "label": labels[split]})
            for split in images
        },
        data_dir=folder,
    )
    return folder, images, labels


def test_rows_come_out_as_they_were_stored(prepared):
    folder, images, labels = prepared

    splits = catalog.open_splits(catalog.load("fashion_mnist"), "tfds", folder)

    test = list(splits["test"])
    assert sorted(row["label"] for row in test) == [0, 1, 2, 3, 4, 5]  # TFDS shuffles when it prepares
    assert all(row["image"].dtype == np.uint8 and row["image"].shape == (28, 28, 1) for row in test)
    stored_rows = {
        (row["image"].tobytes(), int(row["label"])) for split in ("train", "validation") for row in splits[split]
    }
    assert stored_rows == {
        (image.tobytes(), int(label)) for image, label in zip(images["train"], labels["train"], strict=True)
    }


def test_rows_come_in_the_same_order_each_time(prepared):
    splits = catalog.open_splits(catalog.load("fashion_mnist"), "tfds", prepared[0])

    assert [row["image"].tobytes() for row in splits["train"]] == [row["image"].tobytes() for row in splits["train"]]


def test_a_data_set_that_tfds_does_not_have_is_refused_in_one_line(tmp_path):
    with pytest.raises(SourceUnavailable) as caught:
        read_tfds("fashion_mist", tmp_path, {"test": "test"}, {"image": "image"})

    assert f"TFDS could not prepare fashion_mist in {tmp_path} (" in str(caught.value)
    assert "\n" not in str(caught.value)
