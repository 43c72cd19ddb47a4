import os

import numpy as np
import pytest

from data import loading
from data.columnar.batches import check_row, of_rows
from data.config import DataConfig
from data.errors import DataError
from data.spec import Dataset, DatasetSpec, ImageFeature, LabelFeature
from tests.data.corpus import FEATURES, csv_text, rows
from tests.data.made_pictures import photo, saved

pytestmark = pytest.mark.slow  # loads TensorFlow

SPEC = DatasetSpec(
    name="tiny",
    title="made up",
    licence="none",
    features={"image": ImageFeature(height=2, width=2, channels=1), "label": LabelFeature(classes=("cat", "dog"))},
    num_rows={"train": 3, "validation": 1, "test": 1},
)
ROW = {"image": np.array([[[1], [2]], [[3], [4]]], np.uint8), "label": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 2}, r"^train row 7, label: expected a class from 0 to 1, found 2\."),
        (
            {"image": np.zeros((2, 3, 1), np.uint8)},
            r"^train row 7, image: expected uint8 \(2, 2, 1\), found uint8 \(2, 3, 1\)",
        ),
        ({"image": np.zeros((2, 2, 1), np.float32)}, "expected uint8 .* found float32"),
    ],
)
def test_an_error_names_the_row_that_does_not_match_the_spec(change, message):
    with pytest.raises(DataError, match=message):
        check_row({**ROW, **change}, SPEC, where="train row 7")


def test_an_error_names_the_row_without_a_label():
    with pytest.raises(DataError, match="train row 7: label is missing; the row has image"):
        check_row({"image": ROW["image"]}, SPEC, where="train row 7")


def _write(rows: list, folder) -> dict:
    """Writes rows into the training split, and returns its summary."""
    from components.example_gen import write_splits

    return write_splits(of_rows((("train", row) for row in rows), SPEC), SPEC, folder)["train"]


def test_rows_are_read_as_stored_and_the_digest_depends_on_the_rows_alone(tmp_path):
    from components.example_gen import first_rows

    first = _write([ROW, {**ROW, "label": 0}], tmp_path / "a")
    again = _write([ROW, {**ROW, "label": 0}], tmp_path / "b")
    other = _write([ROW, ROW], tmp_path / "c")

    assert first == again
    assert first["rows"] == 2
    assert first["classes"] == {"label": [1, 1]}
    assert other["classes"] == {"label": [0, 2]}
    assert first["digest"] != other["digest"]
    assert first_rows(str(tmp_path / "a"), "train", SPEC, 5) == [
        {"image": b"\1\2\3\4", "label": 1},
        {"image": b"\1\2\3\4", "label": 0},
    ]


def test_a_large_split_is_written_in_shards_in_order(tmp_path, monkeypatch):
    from components import example_gen

    monkeypatch.setattr(example_gen, "SHARD_BYTES", 1)

    _write([ROW, {**ROW, "label": 0}, ROW], tmp_path)

    assert [path.rsplit("/", 1)[1] for path in example_gen.split_files(str(tmp_path), "train")] == [
        "data-00000.tfrecord",
        "data-00001.tfrecord",
        "data-00002.tfrecord",
    ]
    assert [row["label"] for row in example_gen.first_rows(str(tmp_path), "train", SPEC, 3)] == [1, 0, 1]


def test_groups_of_the_test_split_are_stored(tmp_path):
    from components.example_gen import read_groups, write_splits
    from data.spec import LocatedRow

    users = [("test", "b"), ("train", "c"), ("test", "a"), ("test", "b")]
    grouped = [(split, LocatedRow(ROW, "x:1", user)) for split, user in users]
    alone = [(split, LocatedRow(ROW, "x:1")) for split, _ in users]
    write_splits(of_rows(grouped, SPEC), SPEC, tmp_path / "grouped")
    write_splits(of_rows(alone, SPEC), SPEC, tmp_path / "alone")

    groups = read_groups(str(tmp_path / "grouped"))
    assert (groups.tolist(), groups.dtype) == ([0, 1, 0], np.int32)
    assert read_groups(str(tmp_path / "alone")) is None


def test_rows_are_written_into_the_files_of_their_split(tmp_path):
    from components.example_gen import first_rows, write_splits

    rows = [("test", ROW), ("train", {**ROW, "label": 0}), ("test", ROW)]
    summary = write_splits(of_rows(rows, SPEC), SPEC, tmp_path)

    assert {split: split_summary["rows"] for split, split_summary in summary.items()} == {
        "train": 1,
        "validation": 0,
        "test": 2,
    }
    assert [row["label"] for row in first_rows(str(tmp_path), "train", SPEC, 5)] == [0]
    assert [row["label"] for row in first_rows(str(tmp_path), "test", SPEC, 5)] == [1, 1]


def test_two_original_picture_files_of_each_kind_of_the_test_split_are_kept(tmp_path):
    from components.example_gen import read_originals, write_splits
    from data import pictures
    from data.spec import LocatedRow

    kinds = [("PNG", {}), ("JPEG", {}), ("JPEG", {"orientation": 6}), ("TIFF", {})]
    files = [saved(photo(5, 7, seed), kind, **options) for seed in range(3) for kind, options in kinds]
    kept = [index for index in range(8) if kinds[index % 4][0] != "TIFF"]  # a served model does not take TIFF
    rows = [
        LocatedRow({"image": pictures.decode(content, (2, 2, 1)), "label": 1}, "x:1", files={"image": content})
        for content in files
    ]
    split_rows = [("train", rows[0]), ("test", LocatedRow(ROW, "x:1")), *(("test", row) for row in rows)]
    write_splits(of_rows(split_rows, SPEC), SPEC, tmp_path / "files")
    write_splits(of_rows([("test", ROW)], SPEC), SPEC, tmp_path / "none")

    originals = read_originals(str(tmp_path / "files"), SPEC)

    assert [original for _, original in originals] == [{"image": files[index], "label": 1} for index in kept]
    assert [stored for stored, _ in originals] == [
        {"image": rows[index]["image"].tobytes(), "label": 1} for index in kept
    ]
    assert read_originals(str(tmp_path / "none"), SPEC) == []


def test_a_file_that_is_replaced_while_it_is_read_is_an_error(tmp_path):
    from components.example_gen import check_unchanged

    config = DataConfig.model_validate({"files": "rows.csv", "features": FEATURES})

    def dataset() -> Dataset:
        return loading.load(config, "customers", tmp_path)

    (tmp_path / "rows.csv").write_text(csv_text(rows(30)))
    digest = dataset().digest()
    check_unchanged(dataset(), digest)
    (tmp_path / "new.csv").write_text(csv_text(rows(31)[1:]))
    os.utime(tmp_path / "new.csv", (1, 1))  # the time of a copy that keeps times
    (tmp_path / "new.csv").replace(tmp_path / "rows.csv")

    with pytest.raises(DataError, match=r"^Data set customers was changed while it was read; run again\.$"):
        check_unchanged(dataset(), digest)
