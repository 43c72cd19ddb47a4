"""Blocks of Parquet files hold what the reader of records yields, of columns of any type."""

import datetime
import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.sources.tables import parquet

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
@pytest.mark.parametrize("columns", [list(COLUMNS)[:-1], ["text", "not_utf8"]])
def test_blocks_of_any_size_equal_the_records(tmp_path, block_rows, columns):
    pq.write_table(pa.table({name: COLUMNS[name] for name in columns}), tmp_path / "rows.parquet")

    records = list(parquet.read(tmp_path / "rows.parquet"))
    found = [
        (block.where(row), {name: _value(block, name, row) for name in block.columns})
        for block in parquet.blocks(tmp_path / "rows.parquet", block_rows)
        for row in range(len(block))
    ]

    assert [where for where, _ in found] == [record.where for record in records]
    for (_, cells), record in zip(found, records, strict=True):
        assert {name: _encoded(cell) for name, cell in cells.items()} == {
            name: _encoded(cell) for name, cell in record.cells.items()
        }


def _value(block, name: str, row: int):
    column = block.column(name)
    return column[row] if isinstance(column, list) else column[row].as_py()


def _encoded(cell):
    return cell.encode() if isinstance(cell, str) else cell
