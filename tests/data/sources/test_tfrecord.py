"""Blocks of TFRecord files equal the records of the reader of rows."""

import pytest

from data.errors import DataError
from data.sources import tfrecord

pytestmark = pytest.mark.slow


def _example(**columns) -> bytes:
    import tensorflow as tf

    lists = {bytes: "bytes_list", float: "float_list", int: "int64_list"}
    example = tf.train.Example()
    for name, values in columns.items():
        getattr(example.features.feature[name], lists[type(values[0])]).value.extend(values)
    return example.SerializeToString()


@pytest.mark.parametrize("block_bytes", [1, 60, 2**20])
def test_blocks_of_any_size_equal_the_records_up_to_damage(tmp_path, block_bytes):
    import tensorflow as tf

    path = tmp_path / "rows.tfrecord"
    rows = [_example(x=[1], y=[b"a"]), _example(x=[2, 3]), b"none", _example(x=[0.5], z=[1.0, 2.0]), _example(x=[7])]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in rows * 20:
            writer.write(row)
    path.write_bytes(path.read_bytes()[:-3])

    from_blocks, from_records = _read_all(tfrecord.blocks(path, block_bytes)), _read_all(tfrecord.read(path))

    assert from_blocks == from_records
    assert (len(from_blocks[0]), len(from_blocks[1])) == (51, 13)  # without the rows of the damaged batch
    assert f"{path}:3: expected a tf.train.Example" in from_blocks[1][0]
    assert "rows.tfrecord:100: the record is damaged" in from_blocks[2]


@pytest.mark.parametrize("ending", [".gz", ".GZ"])
def test_a_gzip_file_is_read_with_its_ending_in_any_case(tmp_path, ending):
    import tensorflow as tf

    path = tmp_path / f"rows.tfrecord{ending}"
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        writer.write(_example(x=[1]))

    (record,) = tfrecord.read(path)

    assert record.cells == {"x": 1}


def _read_all(items) -> tuple[list, list[str], str]:
    rows, problems = [], []
    try:
        for item in items:
            if isinstance(item, tfrecord.Record):
                assert item.where.endswith(f":{item.number}")
                assert not item.problem or item.problem.number == item.number
                rows += [] if item.problem else [(item.where, dict(item.cells))]
                problems += [str(item.problem)] if item.problem else []
                continue
            problems += map(str, item.problems)
            columns = {
                name: cells if isinstance(cells := item.column(name), list) else cells.to_pylist()
                for name in item.columns
            }
            for row in range(len(item)):
                cells = {name: column[row] for name, column in columns.items() if column[row] is not None}
                rows.append((item.where(row), cells))
    except DataError as error:
        return rows, problems, str(error)
    return rows, problems, ""
