"""Blocks of Parquet files hold what the reader of records yields, of columns of any type."""

import datetime
import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.columnar.columns import store
from data.kinds.cell import Reading
from data.sources.tables import parquet
from data.spec import CategoryFeature, DatasetSpec, TextFeature
from tests.data.sources.tables import both_ways

COLUMNS = {
    "small": pa.array([1, None, 3], pa.int8()),
    "unsigned": pa.array([1, 2**64 - 1, None], pa.uint64()),
    "half": pa.array([0.5, None, float("inf")], pa.float32()),
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

    found, wanted = both_ways.parquet(tmp_path / "rows.parquet", block_rows)

    assert found == wanted
    assert len(found[0]) == 3


@pytest.mark.parametrize("block_rows", [1, 2, 100])
def test_only_the_cell_that_is_not_utf8_is_a_problem(tmp_path, block_rows):
    texts = pa.array(["é".encode(), "Café".encode("cp1252"), b"c"])
    broken = pa.Array.from_buffers(pa.string(), 3, texts.buffers())
    pq.write_table(pa.table({"text": broken, "kind": broken}), tmp_path / "rows.parquet")
    spec = DatasetSpec(name="rows", title="", licence="", features={"text": TextFeature(), "kind": CategoryFeature()})

    stored = [store(block, spec, Reading()) for block in parquet.blocks(tmp_path / "rows.parquet", block_rows)]

    problems = [str(problem) for one in stored for problems in one.problems.values() for problem in problems]
    assert [text for one in stored for text in one.columns.column("text").to_pylist()] == ["é".encode(), b"c"]
    assert problems == [
        f"{tmp_path}/rows.parquet:2:{name}: expected UTF-8 text, found what looks like CP1252" for name in spec.features
    ]


def test_what_python_cannot_hold_within_lists_and_objects_is_read(tmp_path):
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
        found, wanted = both_ways.parquet(tmp_path / "rows.parquet", block_rows)
        assert found == wanted
