"""Columns with a role: weights and ids are carried beside the inputs, and are never among them."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import local
from data.checks.rows import RowChecks
from data.columnar.batches import SPLIT_INDEX
from data.config import DataConfig
from data.errors import ConfigError, DataError
from tests.data.made_pictures import photo, saved

LABEL = {"kind": "label", "classes": ["no", "yes"]}
FEATURES = {"x": "number", "y": LABEL}


def _table(count: int = 300) -> dict[str, list]:
    return {
        "x": [number * 37 % 101 / 7 for number in range(count)],
        "w": [number % 4 / 2 for number in range(count)],
        "key": [f"k{number}" for number in range(count)],
        "y": ["no", "yes"] * (count // 2),
    }


def _write(path, table: dict[str, list]) -> None:
    rows = [dict(zip(table, cells, strict=True)) for cells in zip(*table.values(), strict=True)]
    if path.suffix == ".parquet":
        pq.write_table(pa.table(table), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        lines = [",".join(table), *(",".join(str(cell) for cell in row.values()) for row in rows)]
        path.write_text("\n".join(lines) + "\n")


def _dataset(folder, name: str, **settings):
    return local.dataset(DataConfig.model_validate({"files": name, **settings}), "made up", folder)


def _batches(folder, name: str, **settings) -> list:
    return list(_dataset(folder, name, **{"features": FEATURES, **settings}).sources["files"](None))


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows.parquet"])
def test_weights_and_ids_stand_beside_the_inputs_in_every_format(tmp_path, name):
    _write(tmp_path / name, _table())

    batches = _batches(tmp_path, name, roles={"id": "key", "weight": "w"})

    by_id = {}
    for batch in batches:
        assert batch.columns.schema.names == ["x", "y"]
        assert batch.weights.type == pa.float32()
        by_id |= dict(zip(batch.ids.to_pylist(), batch.weights.to_pylist(), strict=True))
    assert by_id == dict(zip(_table()["key"], _table()["w"], strict=True))


def test_a_weight_changes_neither_inputs_nor_digests_nor_splits(tmp_path):
    _write(tmp_path / "rows.csv", _table())
    ignored = {"roles": {"id": "key"}, "ignore": ["w"]}
    weighted = {"roles": {"id": "key", "weight": "w"}}

    (before,), (after,) = (_batches(tmp_path, "rows.csv", **settings) for settings in (ignored, weighted))

    assert before.weights is None
    assert after.inputs.equals(before.inputs)
    np.testing.assert_array_equal(after.digests, before.digests)
    np.testing.assert_array_equal(after.splits, before.splits)
    rules = [_dataset(tmp_path, "rows.csv", features=FEATURES, **settings).rule() for settings in (ignored, weighted)]
    assert rules[0] == rules[1]


def test_a_column_that_becomes_the_weight_moves_no_row_to_another_split(tmp_path):
    _write(tmp_path / "rows.csv", _table())

    before, after = (
        np.concatenate([batch.splits for batch in _batches(tmp_path, "rows.csv", **settings)])
        for settings in ({"ignore": ["w", "key"]}, {"ignore": ["key"], "roles": {"weight": "w"}})
    )

    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("cell", "expected", "shown"),
    [
        ("-1", "at least 0", "'-1'"),
        ("", "a number", "nothing"),
        ("inf", "a finite number", "'inf'"),
        ("nan", "a finite number", "'nan'"),
        ("much", "a number", "'much'"),
    ],
)
def test_a_row_whose_weight_is_no_number_of_at_least_0_cannot_be_used(tmp_path, cell, expected, shown):
    table = _table()
    table["w"] = [*table["w"][:5], cell, *table["w"][6:]]
    _write(tmp_path / "rows.csv", table)

    batches = _batches(tmp_path, "rows.csv", roles={"weight": "w"}, ignore=["key"])

    ((_, (problem,)),) = [problems for batch in batches for problems in batch.problems]
    assert str(problem).startswith(f"{tmp_path / 'rows.csv'}:7:w: expected {expected}")
    assert problem.found == shown
    assert sum(map(len, batches)) == 299


@pytest.mark.parametrize("role", ["id", "weight"])
def test_a_column_of_this_role_is_no_feature(role):
    message = f"data.roles.{role}: a column that no model learns from; take 'x' out of data.features, or the role out"

    with pytest.raises(ValueError, match=message):
        DataConfig.model_validate({"files": "rows.csv", "features": FEATURES, "roles": {role: "x"}})


def test_inferred_features_are_without_weights_and_ids(tmp_path):
    _write(tmp_path / "rows.csv", {**_table(), "key": [number % 7 for number in range(300)]})

    with_roles = _dataset(tmp_path, "rows.csv", label="y", roles={"id": "key", "weight": "w"})
    without = _dataset(tmp_path, "rows.csv", label="y")

    assert list(with_roles.spec.features) == ["x", "y"]
    assert list(without.spec.features) == ["x", "w", "key", "y"]
    assert (with_roles.spec.id_column, with_roles.spec.weight_column) == ("key", "w")
    assert "weight_column" not in without.spec.model_dump_json()  # a cache key of older releases


def test_a_column_of_a_role_that_is_missing_is_named_with_its_setting(tmp_path):
    _write(tmp_path / "rows.csv", _table())

    with pytest.raises(
        DataError, match=r"rows\.csv:1: .*column W is missing .*, which is data\.roles\.weight; correct"
    ):
        _dataset(tmp_path, "rows.csv", features=FEATURES, ignore=["key", "w"], roles={"weight": "W"})


def test_folders_of_classes_have_no_columns_with_roles(tmp_path):
    for name in ("no", "yes"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "1.png").write_bytes(saved(photo(5, 7, 0), "PNG"))
    features = {"image": {"kind": "image", "height": 4, "width": 4, "channels": 1}, "label": LABEL}

    with pytest.raises(
        ConfigError, match=r"data\.roles\.weight: data\.files are image_folder, which has no column 'w'"
    ):
        _dataset(tmp_path, "photos", features=features, roles={"weight": "w"})


def test_pictures_named_by_a_table_have_weights_and_ids(tmp_path):
    (tmp_path / "1.png").write_bytes(saved(photo(5, 7, 0), "PNG"))
    _write(tmp_path / "labels.csv", {"image": ["1.png"] * 2, "y": ["no", "yes"], "w": [0.5, 2.0], "key": ["a", "b"]})
    features = {"image": {"kind": "image", "height": 4, "width": 4, "channels": 1}, "y": LABEL}
    settings = {"features": features, "roles": {"id": "key", "weight": "w"}}

    (batch,) = _batches(tmp_path, "labels.csv", **settings)

    assert (batch.weights.to_pylist(), batch.ids.to_pylist()) == ([0.5, 2.0], ["a", "b"])
    assert set(batch.splits.tolist()) <= set(SPLIT_INDEX.values())


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            [0, 0, 0, 0],
            "made up: split test: expected a row with a weight above 0 in column w, found 4 rows of weight 0; ",
        ),
        (
            [1, 0, 2, 0],
            "made up: split test: expected rows of two classes of y with a weight above 0 in column w, found ",
        ),
        ([0, 0, 2, 0.5], None),
    ],
)
def test_a_split_of_which_too_little_counts_is_refused(tmp_path, weights, message):
    for split in ("train", "validation", "test"):
        shift = {"train": 0, "validation": 10, "test": 20}[split]
        table = {"x": [shift + number for number in range(4)], "y": ["no", "yes"] * 2}
        _write(tmp_path / f"{split}.csv", {**table, "w": weights if split == "test" else [1, 2, 0, 3]})
    files = {split: f"{split}.csv" for split in ("train", "validation", "test")}
    dataset = local.dataset(
        DataConfig.model_validate({"files": files, "features": FEATURES, "roles": {"weight": "w"}}), "made up", tmp_path
    )
    checks = RowChecks(DataConfig(files="a.csv").checks, dataset.spec)
    for batch in dataset.sources["files"](None):
        part = RowChecks(checks.settings, dataset.spec)
        part.add(batch)
        checks.merge(part)

    if message is None:
        checks.judge()
    else:
        with pytest.raises(DataError, match=message):
            checks.judge()
