"""The benchmark of the data path does its work on tiny data, and keeps its table."""

import pyarrow.parquet
import pytest
import tensorflow as tf

from benchmarks.columns import made_up, table
from benchmarks.columns.table import Row
from data.spec import DatasetSpec


@pytest.mark.slow
def test_ingest_statistics_and_transform_are_measured_on_all_rows(tmp_path):
    from benchmarks.columns.work import WORK

    made_up.write_table(tmp_path, 300)
    WORK["ingest"](tmp_path, "csv")
    WORK["statistics"](tmp_path)
    WORK["transform"](tmp_path)
    rows = DatasetSpec.model_validate_json((tmp_path / made_up.SPEC).read_text()).num_rows
    stored = {}
    for ending in made_up.ENDINGS:
        WORK["ingest_rival"](tmp_path, ending)
        stored[ending] = list(tf.data.TFRecordDataset(str(tmp_path / "rival.tfrecord")).as_numpy_iterator())

    assert sum(rows.values()) == 300
    assert len(stored["csv"]) == len(stored["parquet"]) == len(stored["jsonl"]) == 300


def test_tables_are_the_same_each_time_and_have_gaps(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made_up.write_table(tmp_path / name, 200)
    table = pyarrow.parquet.read_table(tmp_path / "one" / "rows.parquet")

    assert table.column_names == list(made_up.FEATURES)
    assert 0 < table.column("gaps").null_count < 50
    assert (tmp_path / "one" / "rows.csv").read_bytes() == (tmp_path / "two" / "rows.csv").read_bytes()


def test_a_row_is_told_with_what_it_reached():
    row = Row("reading", "3.00 s", "2.00 s", 1.5, must=2.5, aim=1.5)
    slower = Row("rows/s", "7", "10", 0.7, must=0.8, aim=0.95, at_least=True)

    assert row.line() == "| reading | 3.00 s | 2.00 s | 1.50 | <= 2.5 | <= 1.5 | aim |"
    assert slower.line() == "| rows/s | 7 | 10 | 0.70 | >= 0.8 | >= 0.95 | **short** |"


def test_rows_measured_again_take_the_place_of_the_old_ones():
    old = f"{table.HEAD}\n| a | 1 |\n| b | 2 |\n"

    assert table.merged(old, ["| b | 3 |", "| c | 4 |"]) == f"{table.HEAD}\n| a | 1 |\n| b | 3 |\n| c | 4 |"
