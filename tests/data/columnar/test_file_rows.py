"""The key that decides the split of a row, and the group of a row."""

import io
import json

import numpy as np
import pyarrow as pa
from PIL import Image

from data.columnar import encoding
from data.columnar.file_rows import FileRows, _SplitRule
from data.config import DataConfig
from data.sources.blocks import Block
from data.spec import DatasetSpec, ImageFeature, LabelFeature, NumberFeature

LABEL = LabelFeature(classes=("no", "yes"))


def _rows(folder, kind: str = "parquet", features=None, **settings) -> FileRows:
    features = features or {"x": NumberFeature(), "label": LABEL}
    path = folder / f"rows.{kind}"
    config = DataConfig(files=str(path), features=features, **settings)
    return FileRows({"train": [path]}, kind, config, DatasetSpec(name="x", title="", licence="", features=features))


def _keys(rows: FileRows, **cells: list) -> np.ndarray:
    """Returns what decides about the splits of rows with these cells, all of them usable."""
    (path,) = rows.paths["train"]
    block = Block(str(path), pa.RecordBatch.from_pydict(cells), np.arange(len(next(iter(cells.values())))))
    stored = rows._stored(block, path, rows.spec)
    assert len(stored.kept) == len(block)
    return rows._keys(block, stored, rows._texts(block, rows.config.group), path.parent)


def test_a_cut_ends_before_the_next_one_begins_and_is_by_the_first_half_of_the_digest():
    rule = _SplitRule("train", {"validation": range(100), "test": range(100, 200)})

    splits = rule.splits(np.array([[99, 500], [100, 0], [199, 50], [200, 150], [1099, 0]], np.uint64))

    assert splits.tolist() == [1, 2, 2, 0, 1]


def test_the_key_is_the_group_else_the_id_else_the_cells(tmp_path):
    rows = _rows(tmp_path, roles={"group": "who", "id": "key"})
    key, who = ["1", "2", "3"], ["a", "a", None]

    keys = _keys(rows, x=[1.0, 2.0, 3.0], label=["no", "yes", "no"], key=key, who=who)

    assert keys.tolist() == encoding.digests(pa.array([b"a", b"a", b"3"])).tolist()


def test_the_key_depends_on_all_cells_but_targets_ignored_columns_included(tmp_path):
    cells = {"x": [1.0] * 3, "label": ["no", "yes", "no"], "note": ["a", "a", "b"]}

    first, relabelled, different = _keys(_rows(tmp_path, ignore=["note"]), **cells).tolist()

    assert first == relabelled
    assert first[0] != different[0]


def test_the_key_of_a_picture_depends_on_its_file_not_on_its_pixels(tmp_path):
    features = {"image": ImageFeature(height=8, width=8, channels=1), "label": LABEL}
    files = [io.BytesIO(), io.BytesIO()]
    for file, level in zip(files, (0, 9), strict=True):
        Image.new("L", (8, 8), 7).save(file, "PNG", compress_level=level)
    pictures = [file.getvalue() for file in files]

    picture, other_picture, same_picture, raw_pixels = _keys(
        _rows(tmp_path, features=features), image=[*pictures, pictures[0], bytes([7] * 64)], label=["no"] * 4
    )[:, 0].tolist()

    assert picture == same_picture
    assert len({picture, other_picture, raw_pixels}) == 3


def test_a_missing_value_marker_is_no_group_in_files_with_typed_columns(tmp_path):
    rows_with_markers = [{"x": 1, "label": "no", "who": who} for who in ("", "a", "NA", None)]
    rows = _rows(tmp_path, "jsonl", roles={"group": "who"}, missing_values=["", "NA"])
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows_with_markers))

    (batch,) = rows

    assert batch.groups.to_pylist() == [None, "a", None, None]
