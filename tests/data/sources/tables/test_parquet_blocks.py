"""Blocks of Parquet files equal the records of the reader of rows, for columns of all types."""

import datetime
import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.columnar.columns import store
from data.errors import DataError
from data.kinds.cell import ReadOptions
from data.sources.tables import parquet
from data.spec import CategoryFeature, DatasetSpec, TextFeature
from tests.data.sources.tables import both_ways

COLUMNS = {
    "small": pa.array([1, None, 3], pa.int8()),
    "unsigned": pa.array([1, 2**64 - 1, None], pa.uint64()),
    "half": pa.array([0.5, None, float("inf")], pa.float32()),
    "sixteen": pa.array([1.0, None, 2.5]).cast(pa.float16()),
    "text": pa.array(["a", None, "é"], pa.large_string()),
    "kind": pa.array(["a", "b", None]).dictionary_encode(),
    "flag": pa.array([True, None, False]),
    "bytes": pa.array([b"a", None, b"\xff"], pa.large_binary()),
    "list": pa.array([[1], None, [2, 3]]),
    "nested": pa.array([{"a": 1}, None, {"a": 2}]),
    "day": pa.array([datetime.date(2024, 1, 31), None, None]),
    "time": pa.array([datetime.datetime(2024, 1, 31, 1, 2, 3), None, None]),
    "price": pa.array([decimal.Decimal("1.50"), None, None]),
    "nothing": pa.nulls(3),
    "not_utf8": pa.Array.from_buffers(pa.string(), 3, pa.array([b"a", b"\xff", b"c"]).buffers()),
}


@pytest.mark.parametrize("block_rows", [1, 2, 100])
def test_blocks_of_any_size_equal_the_records(tmp_path, block_rows):
    pq.write_table(pa.table(COLUMNS), tmp_path / "rows.parquet")

    from_blocks, from_records = both_ways.parquet(tmp_path / "rows.parquet", block_rows)

    assert from_blocks == from_records
    assert len(from_blocks[0]) == 3


@pytest.mark.parametrize("block_rows", [1, 2, 100])
def test_only_the_cell_that_is_not_utf8_is_a_problem(tmp_path, block_rows):
    texts = pa.array(["é".encode(), "Café".encode("cp1252"), b"c"])
    broken = pa.Array.from_buffers(pa.string(), 3, texts.buffers())
    pq.write_table(pa.table({"text": broken, "kind": broken}), tmp_path / "rows.parquet")
    spec = DatasetSpec(name="rows", title="", licence="", features={"text": TextFeature(), "kind": CategoryFeature()})

    stored = [store(block, spec, ReadOptions()) for block in parquet.blocks(tmp_path / "rows.parquet", block_rows)]

    problems = [
        str(problem) for stored_block in stored for problems in stored_block.problems.values() for problem in problems
    ]
    assert [text for stored_block in stored for text in stored_block.columns.column("text").to_pylist()] == [
        "é".encode(),
        b"c",
    ]
    assert problems == [
        f"{tmp_path}/rows.parquet:2:{name}: expected UTF-8 text, found what looks like CP1252" for name in spec.features
    ]


def test_values_beyond_python_within_lists_and_objects_are_read(tmp_path):
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"a", b"\xff"]).buffers())
    days = pa.array([1, 2**30], pa.int32()).cast(pa.date32())
    nested = {
        "list": pa.ListArray.from_arrays([0, 1, 2], broken),
        "object": pa.StructArray.from_arrays([broken, days], ["text", "day"]),
        "map": pa.MapArray.from_arrays([0, 1, 2], pa.array(["k", "l"]), broken),
        "day": days,
    }
    pq.write_table(pa.table(nested), tmp_path / "rows.parquet")

    first, second = parquet.read(tmp_path / "rows.parquet")

    day = datetime.date(1970, 1, 2)
    assert first.cells == {"list": ["a"], "object": {"text": "a", "day": day}, "map": [("k", "a")], "day": day}
    beyond = "<value out of range: 1073741824>"
    assert second.cells == {
        "list": [b"\xff"], "object": {"text": b"\xff", "day": beyond}, "map": [("l", b"\xff")], "day": beyond,
    }  # fmt: skip
    for block_rows in (1, 2):
        from_blocks, from_records = both_ways.parquet(tmp_path / "rows.parquet", block_rows)
        assert from_blocks == from_records


def test_names_that_are_not_utf8_and_repeated_names_are_refused(tmp_path):
    pq.write_table(pa.table({"name": [1]}), tmp_path / "rows.parquet", store_schema=False)
    content = (tmp_path / "rows.parquet").read_bytes()
    (tmp_path / "names.parquet").write_bytes(content.replace(b"name", b"n\xffme"))
    pq.write_table(pa.table([[1], [2]], names=["x", "x"]), tmp_path / "twice.parquet")

    with pytest.raises(
        DataError, match=r"names\.parquet is not a whole Parquet file \('utf-8' codec can't decode byte"
    ):
        parquet.columns(tmp_path / "names.parquet")
    with pytest.raises(DataError, match=r"twice\.parquet: column 'x' occurs twice; rename one\."):
        list(parquet.blocks(tmp_path / "twice.parquet"))


def test_timestamps_have_microseconds_for_any_block_size(tmp_path):
    nanoseconds = pa.array([1, -1, None, 1_700_000_000_123_456_789], pa.timestamp("ns", "Europe/Berlin"))
    pq.write_table(pa.table({"time": nanoseconds}), tmp_path / "rows.parquet")

    moments = [record.cells["time"] for record in parquet.read(tmp_path / "rows.parquet")]

    assert [moment and moment.microsecond for moment in moments] == [0, 999_999, None, 123_456]
    assert {type(moment) for moment in moments} == {datetime.datetime, type(None)}


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_timestamps_of_an_unknown_time_zone_are_in_utc(tmp_path, unit):
    moments = pa.array([0, 86_400, None]).cast(pa.timestamp("s")).cast(pa.timestamp(unit, "Mars/Phobos"))
    nested = pa.ListArray.from_arrays([0, 1, 2, 3], moments)
    pq.write_table(pa.table({"time": moments, "list": nested}), tmp_path / "rows.parquet")

    for block_rows in (1, 100):
        from_blocks, from_records = both_ways.parquet(tmp_path / "rows.parquet", block_rows)
        assert from_blocks == from_records
    first, second, third = (record.cells for record in parquet.read(tmp_path / "rows.parquet"))
    assert str(first["time"]) == "1970-01-01 00:00:00+00:00"
    assert second == {"time": first["time"] + datetime.timedelta(days=1), "list": [second["time"]]}
    assert third == {"time": None, "list": [None]}


def test_blocks_hold_as_many_rows_as_their_bytes_allow(tmp_path):
    pictures = [bytes([number]) * 10_000 for number in range(10)]
    pq.write_table(pa.table({"image": pictures, "label": list(range(10))}), tmp_path / "rows.parquet", row_group_size=2)

    blocks = list(parquet.blocks(tmp_path / "rows.parquet", block_bytes=35_000))

    assert [len(block) for block in blocks] == [3, 3, 3, 1]
    assert [content for block in blocks for content in block.column("image").to_pylist()] == pictures
