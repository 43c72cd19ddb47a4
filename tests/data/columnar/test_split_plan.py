"""Splits that depend on all rows: rare classes are stratified, and rows are split by time."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data import local
from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.spec import SPLITS
from tests.data.corpus import csv_text
from tests.data.keeping import kept

LABEL = {"kind": "label", "classes": ["ok", "fraud"]}
FEATURES = {"x": "number", "label": LABEL}
COLUMNS = ["x", "label", "key"]


def _rows(rare: int, count: int = 600) -> list[dict]:
    """Returns rows, all different, so many of which are fraud."""
    return [{"x": i / 7, "label": "fraud" if i < rare else "ok", "key": i} for i in range(count)]


def _read(folder: Path, rows_by_split: list[dict], plan=None, **settings) -> dict[str, list]:
    """Returns the rows of each split; raises DataError as a run does."""
    (folder / "rows.csv").write_text(csv_text(rows_by_split, COLUMNS))
    config = DataConfig.model_validate({"files": "rows.csv", "features": FEATURES, "ignore": ["key"], **settings})
    return kept(local.dataset(config, "rows", folder, plan), config)[0]


def _counts(rows_by_split: dict[str, list]) -> list[int]:
    """Returns how many frauds training, validation and test have."""
    return [sum(row["label"] == 1 for row in rows_by_split[split]) for split in SPLITS]


@pytest.mark.parametrize(("rare", "counts"), [(3, [1, 1, 1]), (5, [3, 1, 1]), (20, [16, 2, 2]), (99, [79, 10, 10])])
def test_a_rare_class_is_in_each_split_by_its_share(tmp_path, rare, counts):
    assert _counts(_read(tmp_path, _rows(rare))) == counts


def test_the_first_of_two_rows_is_for_training_and_the_second_for_testing(tmp_path):
    alone = {"checks": {"min_classes": 1}}

    assert _counts(_read(tmp_path, _rows(1), **alone)) == [1, 0, 0]
    assert _counts(_read(tmp_path, _rows(2), **alone)) == [1, 0, 1]


def test_other_classes_are_split_by_content_as_they_were(tmp_path):
    rows_by_split, plain = _read(tmp_path, _rows(20)), _read(tmp_path, _rows(20), plan={})

    for split in SPLITS:
        ok = [[row["x"] for row in rows[split] if row["label"] == 0] for rows in (rows_by_split, plain)]
        assert ok[0] == ok[1]


def test_a_class_with_a_hundred_rows_is_not_rare(tmp_path):
    (tmp_path / "rows.csv").write_text(csv_text(_rows(99), COLUMNS))
    config = DataConfig.model_validate({"files": "rows.csv", "features": FEATURES, "ignore": ["key"]})
    assert local.dataset(config, "rows", tmp_path).plan() == {"stratified": {"label": ["fraud"]}}

    (tmp_path / "rows.csv").write_text(csv_text(_rows(100), COLUMNS))
    assert local.dataset(config, "rows", tmp_path).plan() == {}


def test_a_class_that_has_grown_stays_stratified_as_the_plan_says(tmp_path):
    assert _counts(_read(tmp_path, _rows(250), plan={"stratified": {"label": ["fraud"]}})) == [200, 25, 25]
    assert _counts(_read(tmp_path, _rows(250))) != [200, 25, 25]


def test_duplicates_in_a_rare_class_are_in_one_split(tmp_path):
    copies = [{**row, "key": row["key"] + 1000 * copy} for copy in range(3) for row in _rows(9, 9)]

    rows_by_split = _read(
        tmp_path, [*_rows(0)[9:], *copies], checks={"duplicates": {"policy": "drop"}, "leakage": {"policy": "stop"}}
    )

    assert _counts(rows_by_split) == [7, 1, 1]


def test_equal_rows_of_a_common_and_a_rare_class_are_in_one_split(tmp_path):
    frauds = _rows(9, 9)
    twins = [{**row, "label": "ok"} for row in frauds]

    rows_by_split = _read(
        tmp_path,
        [*_rows(0)[9:], *frauds, *twins],
        checks={"leakage": {"policy": "stop"}, "duplicates": {"policy": "warn"}},
    )

    assert _counts(rows_by_split) == [7, 1, 1]


def test_an_unusable_row_of_a_rare_class_is_not_stratified(tmp_path):
    broken = [{"x": "none", "label": "fraud", "key": 1000 + i} for i in range(4)]

    rows_by_split = _read(tmp_path, [*_rows(3), *broken], checks={"invalid": {"policy": "drop"}})

    assert _counts(rows_by_split) == [1, 1, 1]


def test_a_group_stays_together_though_a_class_is_rare(tmp_path):
    table = [{**row, "key": "one" if row["label"] == "fraud" else row["key"]} for row in _rows(20)]

    rows_by_split = _read(tmp_path, table, roles={"group": "key"}, ignore=[], checks={"min_classes": 1})

    assert sorted(_counts(rows_by_split)) == [0, 0, 20]


def test_rows_of_a_rare_class_are_stratified_by_their_ids(tmp_path):
    settings = {"roles": {"id": "key"}, "ignore": []}
    before = _read(tmp_path, _rows(20), **settings)

    after = _read(tmp_path, [{**row, "x": row["x"] + 1} for row in _rows(20)], **settings)

    assert _counts(before) == [16, 2, 2]
    for split in SPLITS:
        assert [row["x"] + 1 for row in before[split]] == pytest.approx([row["x"] for row in after[split]], rel=1e-6)


def test_with_files_of_splits_only_the_splits_that_are_cut_are_stratified(tmp_path):
    (tmp_path / "test.csv").write_text(csv_text(_rows(2, 60)[:60], COLUMNS))
    train = [{**row, "x": row["x"] + 1000} for row in _rows(10)]

    rows_by_split = _read(tmp_path, train, files={"train": "rows.csv", "test": "test.csv"})

    assert _counts(rows_by_split) == [9, 1, 2]


def test_training_on_a_share_of_the_rows_leaves_the_test_split_as_it_is(tmp_path):
    all_rows, share_of_rows = _read(tmp_path, _rows(60)), _read(tmp_path, _rows(60), train_share=0.5)

    assert [row["x"] for row in share_of_rows["test"]] == [row["x"] for row in all_rows["test"]]
    assert len(share_of_rows["train"]) < 0.6 * len(all_rows["train"])


def test_small_folders_of_pictures_are_stratified(tmp_path):
    for name, count in (("cat", 12), ("dog", 4)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(count):
            Image.new("L", (4, 4), 10 * i + len(name) + (name == "dog")).save(tmp_path / "photos" / name / f"{i}.png")
    pictures = {"image": {"kind": "image", "height": 4, "width": 4, "channels": 1}}
    config = DataConfig.model_validate({"files": "photos", "features": pictures, "checks": {"min_rows": 1}})

    rows_by_split, _ = kept(local.dataset(config, "photos", tmp_path), config)

    counts = {split: Counter(row["label"] for row in rows_by_split[split]) for split in SPLITS}
    assert counts == {"train": {0: 10, 1: 2}, "validation": {0: 1, 1: 1}, "test": {0: 1, 1: 1}}


DAYS = [f"2026-01-{1 + i // 10:02}" for i in range(300)]  # ten rows a day, thirty days
TIMED = {"roles": {"time": "key"}, "ignore": []}


def test_the_oldest_days_are_trained_on_and_the_newest_tested_on(tmp_path):
    table = [{**row, "key": day} for row, day in zip(_rows(150, 300), DAYS, strict=True)]

    rows_by_split = _read(tmp_path, table[::-1], **TIMED, checks={"min_classes": 1})

    positions = {split: sorted(round(row["x"] * 7) for row in rows_by_split[split]) for split in SPLITS}
    assert positions == {"train": [*range(240)], "validation": [*range(240, 270)], "test": [*range(270, 300)]}


@pytest.mark.parametrize(
    ("cells", "kind", "starts"),
    [
        ([str(2**53 - i) for i in range(10)], "number", {"test": 2**53, "validation": 2**53 - 1}),
        ([f"2026-01-01T00:00:0{i}" for i in range(10)], "date", {"test": 1767225609, "validation": 1767225608}),
        (["", "", *map(str, range(10))], "number", {"test": 9, "validation": 8}),
    ],
)
def test_times_are_numbers_or_dates_and_finer_than_float32(tmp_path, cells, kind, starts):
    table = [{"x": i, "label": ("ok", "fraud")[i % 2], "key": cell} for i, cell in enumerate(cells)]
    (tmp_path / "rows.csv").write_text(csv_text(table, COLUMNS))
    config = DataConfig.model_validate({"files": "rows.csv", "features": FEATURES, "roles": {"time": "key"}})

    assert local.dataset(config, "rows", tmp_path).plan() == {"time": {"kind": kind, "starts": starts}}


def test_times_of_typed_files_and_of_a_feature_are_read(tmp_path):
    table = [{"x": float(i), "label": ("ok", "fraud")[i % 2], "key": i} for i in range(40)]
    pq.write_table(pa.Table.from_pylist(table), tmp_path / "rows.parquet")
    settings = {"files": "rows.parquet", "checks": {"min_rows": 1}}

    for key, features in (("key", FEATURES), ("x", FEATURES | {"key": "number"})):
        config = DataConfig.model_validate({**settings, "features": features, "roles": {"time": key}})
        rows_by_split, _ = kept(local.dataset(config, "rows", tmp_path), config)
        assert [row["x"] for row in rows_by_split["test"]] == [36, 37, 38, 39]


def test_a_row_without_a_time_is_a_problem_of_that_row(tmp_path):
    table = [{**row, "key": day} for row, day in zip(_rows(150, 300), DAYS, strict=True)]
    table[4]["key"], table[5]["key"] = "", "soon"

    with pytest.raises(DataError) as raised:
        _read(tmp_path, table, **TIMED)

    message = str(raised.value)
    assert "2 of 300 rows cannot be used" in message
    assert (
        "rows.csv:6:key: expected a date such as 2026-01-31 or 2026-01-31T12:00:00 (data.roles.time), found" in message
    )
    assert (
        "rows.csv:7:key: expected a date such as 2026-01-31 or 2026-01-31T12:00:00 (data.roles.time), found 'soon'"
        in message
    )


def test_data_that_cannot_be_split_by_time_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"column key has 2 different times, expected at least 3, one for each split"):
        _read(tmp_path, [{**row, "key": row["key"] % 2} for row in _rows(30)], **TIMED)
    with pytest.raises(
        ConfigError, match=r"data\.roles\.time: expected a column of dates or numbers, key is a category"
    ):
        _read(tmp_path, _rows(30), **TIMED, features=FEATURES | {"key": "category"})
    with pytest.raises(DataError, match="column day is missing"):
        _read(tmp_path, _rows(30), roles={"time": "day"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"roles": {"time": "day", "group": "who"}}, "either roles.time or roles.group: "),
        ({"roles": {"time": "day", "id": "who"}}, "either roles.time or roles.id: "),
        ({"roles": {"time": "day"}, "split_by": "who"}, "either roles.time or split_by: "),
        ({"roles": {"time": "day"}, "test_spans": 1}, "either roles.time or test_spans: "),
        ({"roles": {"time": "day"}, "files": {"train": "a.csv"}}, "either roles.time or files of each split: "),
    ],
)
def test_time_stands_alone(settings, message):
    with pytest.raises(ValueError, match=message):
        DataConfig.model_validate({"files": "rows.csv", "features": FEATURES, **settings})
