"""TimeColumn by which rows are split, cell by cell; and classes that are rare."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data.columnar.split_plan import TimeColumn, check_time, classes_of, rare_classes, read_times, time_plan
from data.config import DataConfig
from data.errors import ConfigError
from data.kinds.cell import ReadOptions
from data.sources.blocks import Block
from data.spec import CategoryFeature, DatasetSpec, DateFeature, LabelFeature, NumberFeature

TYPED = ReadOptions(missing=frozenset({"NA"}), nan=True)
LABEL = LabelFeature(classes=("ok", "fraud", "never"))


def _block(mixed: dict | None = None, **columns) -> Block:
    cells = pa.record_batch({name: pa.array(values) for name, values in columns.items()})
    return Block("rows.csv", cells, np.arange(1, 1 + len(next(iter(columns.values())))), mixed or {})


def _spec(**features) -> DatasetSpec:
    return DatasetSpec(name="x", title="", licence="", features=features)


def _config(**settings) -> DataConfig:
    return DataConfig.model_validate({"files": "rows.csv", **settings})


@pytest.mark.parametrize("mixed", [False, True])
def test_numbers_are_times_and_unusable_cells_have_none(mixed):
    values = ["1.5", "x", "NA", "1e39", None]
    block = _block({"t": values} if mixed else None, **({"other": values} if mixed else {"t": values}))

    times, errors = read_times(block, "t", NumberFeature(), TYPED)

    np.testing.assert_array_equal(times, [1.5, np.nan, np.nan, np.nan, np.nan])
    assert {row: error.found for row, error in errors.items()} == {
        1: "'x'", 2: "nothing", 3: errors[3].found, 4: "nothing",
    }  # fmt: skip
    assert errors[1].expected == errors[2].expected == "a number"


def test_dates_are_seconds_and_a_marker_is_no_time():
    block = _block(t=["1970-01-02", "NA", None, "soon"])

    times, errors = read_times(block, "t", DateFeature(), TYPED)

    np.testing.assert_array_equal(times, [86_400.0, np.nan, np.nan, np.nan])
    assert [errors[row].found for row in (1, 2, 3)] == ["nothing", "nothing", "'soon'"]


def test_near_numbers_stay_different_times():
    times, _ = read_times(_block(t=[1e9, 1e9 + 1]), "t", NumberFeature(), TYPED)

    assert times.tolist() == [1e9, 1e9 + 1]


def test_a_column_that_a_block_lacks_has_neither_times_nor_classes():
    block = _block(other=["a", "b"])

    times, errors = read_times(block, "t", NumberFeature(), TYPED)

    assert np.isnan(times).tolist() == [True, True]
    assert sorted(errors) == [0, 1]
    assert classes_of(block, "label", LABEL, TYPED).tolist() == [-1, -1]
    assert classes_of(_block(label=["fraud", "odd"]), "label", LABEL, TYPED).tolist() == [1, -1]


def test_rows_without_a_time_are_named_and_the_others_split():
    times = TimeColumn("t", NumberFeature(), {"validation": 2.0, "test": 3.0})

    kept, splits, problems = times.splits(_block(t=["3", "x", "1", "2"]), TYPED)

    assert kept.column("t").to_pylist() == ["3", "1", "2"]
    assert splits.tolist() == [2, 0, 1]
    assert [str(one.where) for (one,) in problems] == ["rows.csv:2"]
    assert times.splits(_block(t=["1"]), TYPED)[2] == []


def test_a_time_column_needs_a_plan_and_a_role():
    role, plan = _config(roles={"time": "t"}), {"time": {"kind": "number", "starts": {"test": 1.0}}}

    assert TimeColumn.of({}, role, _spec()) is None
    assert TimeColumn.of(plan, _config(), _spec()) is None
    assert TimeColumn.of(plan, role, _spec()) == TimeColumn("t", NumberFeature(), {"test": 1.0})
    assert TimeColumn.of(plan, role, _spec(t=DateFeature())).feature == DateFeature()


def test_a_category_is_no_time():
    check_time(_config(roles={"time": "t"}), _spec(t=DateFeature()))
    check_time(_config(), _spec(t=CategoryFeature()))
    with pytest.raises(ConfigError, match=r"data.roles.time: expected a column of dates or numbers, t is a category"):
        check_time(_config(roles={"time": "t"}), _spec(t=CategoryFeature()))


@pytest.mark.parametrize(
    ("cells", "kind", "starts"),
    [
        (["", "2020-01-01", "2020-01-02", "2020-01-03"], "date", [1577923200.0, 1578009600.0]),
        (["", "1", "2", "3"], "number", [2.0, 3.0]),
    ],
)
def test_a_column_that_is_no_feature_is_what_its_first_cell_is(tmp_path, cells, kind, starts):
    (tmp_path / "rows.csv").write_text("t,x\n" + "".join(f"{cell},{row}\n" for row, cell in enumerate(cells)))
    config = _config(roles={"time": "t"}, splits={"validation": 0.34, "test": 0.33})

    plan = time_plan([tmp_path / "rows.csv"], "csv", config, _spec(x=NumberFeature()))

    assert plan == {"kind": kind, "starts": {"test": starts[1], "validation": starts[0]}}


def _labels(folder: Path, ok: int, fraud: int) -> Path:
    rows = ["ok"] * ok + ["fraud"] * fraud
    other = ["b" if row < 3 else "a" for row in range(len(rows))]
    path = folder / "rows.csv"
    path.write_text("label,kind\n" + "".join(f"{one},{two}\n" for one, two in zip(rows, other, strict=True)))
    return path


def test_a_class_is_rare_by_its_own_label_and_one_without_rows_is_not(tmp_path):
    spec = _spec(label=LABEL, kind=LabelFeature(classes=("a", "b")))

    assert rare_classes([_labels(tmp_path, 150, 99)], "csv", _config(), spec) == {"label": ["fraud"], "kind": ["b"]}
    assert rare_classes([_labels(tmp_path, 150, 100)], "csv", _config(), spec) == {"kind": ["b"]}
    assert rare_classes([_labels(tmp_path, 9, 9)], "csv", _config(), _spec(kind=NumberFeature())) == {}


def test_all_labels_are_counted_though_one_has_enough_of_each_class(tmp_path):
    spec = _spec(label=LabelFeature(classes=("ok", "fraud")), kind=LabelFeature(classes=("a", "b")))

    assert rare_classes([_labels(tmp_path, 200, 200)], "csv", _config(), spec) == {"kind": ["b"]}


def test_classes_of_all_folders_count(tmp_path):
    for folder, classes in (("one", {"ok": 2}), ("two", {"ok": 1, "fraud": 2})):
        for name, count in classes.items():
            (tmp_path / folder / name).mkdir(parents=True)
            for number in range(count):
                (tmp_path / folder / name / f"{number}.txt").write_text("text")
    config = DataConfig.model_validate({"files": "*"})

    classes = rare_classes([tmp_path / "one", tmp_path / "two"], "text_folder", config, _spec(label=LABEL))

    assert classes == {"label": ["ok", "fraud"]}
