import gzip

import numpy as np
import pytest

from data import catalog
from data.catalog import fashion_mnist
from data.errors import DataError, SourceUnavailable
from data.spec import SPLITS, Dataset


@pytest.mark.parametrize("name", catalog.names())
def test_every_data_set_states_its_splits_licence_and_sources(name):
    dataset = catalog.load(name)

    assert dataset.spec.name == name
    assert set(dataset.spec.num_rows) == set(SPLITS)
    assert dataset.spec.licence
    assert dataset.sources


def test_digits_has_the_rows_it_states_and_no_image_in_two_splits():
    dataset = catalog.load("digits")

    rows = {split: list(split_rows) for split, split_rows in catalog.open_splits(dataset).items()}

    assert {split: len(split_rows) for split, split_rows in rows.items()} == dataset.spec.num_rows
    images = {split: {row["image"].tobytes() for row in split_rows} for split, split_rows in rows.items()}
    assert not images["train"] & images["test"]
    assert not images["train"] & images["validation"]
    assert not images["validation"] & images["test"]


def test_digits_keeps_the_pixels_and_labels_of_scikit_learn():
    from sklearn.datasets import load_digits

    source = load_digits()
    expected = {
        (np.round(image * 15.9375).astype(np.uint8).tobytes(), int(label))
        for image, label in zip(source.images, source.target, strict=True)
    }

    splits = catalog.open_splits(catalog.load("digits"))

    stored = {(row["image"].tobytes(), row["label"]) for split in SPLITS for row in splits[split]}
    assert stored == expected


def test_digits_refuses_a_folder():
    with pytest.raises(DataError, match="digits comes inside scikit-learn"):
        catalog.open_splits(catalog.load("digits"), "sklearn", folder=fashion_mnist.SYSTEM_FOLDER)


def test_a_truncated_file_is_named_with_its_fix(tmp_path):
    for name in fashion_mnist.SHA256:
        (tmp_path / name).write_bytes(gzip.compress(b"half an image"))

    with pytest.raises(DataError) as caught:
        catalog.open_splits(catalog.load("fashion_mnist"), "debian", tmp_path)

    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/train-images-idx3-ubyte.gz (")
    assert "expected SHA-256 b0564c3eedab..." in message
    assert f"delete the folder {tmp_path} and run again to fetch it anew" in message
    assert "\n" not in message


def test_a_missing_file_is_named_with_its_fix(tmp_path):
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is missing; install it again \(apt-get install"):
        catalog.open_splits(catalog.load("fashion_mnist"), "system", tmp_path)


def test_a_damaged_copy_stops_the_search_for_other_sources(tmp_path):
    def must_not_be_read(folder):
        raise AssertionError("the next source was read")

    damaged = catalog.load("fashion_mnist").sources["system"]
    dataset = Dataset(catalog.load("fashion_mnist").spec, lambda: "", {"system": damaged, "debian": must_not_be_read})

    with pytest.raises(DataError, match="is missing"):
        catalog.open_splits(dataset, "auto", tmp_path)


def test_auto_reads_the_first_source_that_has_the_data_or_says_why_none_has():
    def absent(folder):
        raise SourceUnavailable("no folder here.")

    present = {split: [] for split in SPLITS}
    spec = catalog.load("digits").spec

    assert catalog.open_splits(Dataset(spec, lambda: "", {"a": absent, "b": lambda folder: present})) is present
    with pytest.raises(DataError, match=r"digits was not found\. a: no folder here\. c: no folder here\."):
        catalog.open_splits(Dataset(spec, lambda: "", {"a": absent, "c": absent}))


def test_the_published_test_split_is_kept_complete_and_separate(tmp_path):
    rows = fashion_mnist._carve(
        [{"image": np.full((28, 28, 1), value % 256, np.uint8), "label": 0} for value in range(300)],
        [{"image": np.zeros((28, 28, 1), np.uint8), "label": 1}] * 4,
    )

    assert len(list(rows["test"])) == 4
    assert len(list(rows["train"])) + len(list(rows["validation"])) == 300
    assert {row["label"] for split in ("train", "validation") for row in rows[split]} == {0}
