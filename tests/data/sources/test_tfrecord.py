"""Blocks of TFRecord files hold what the reader of records yields."""

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

    found, wanted = _all(tfrecord.blocks(path, block_bytes)), _all(tfrecord.read(path))

    assert found == wanted
    assert (len(found[0]), len(found[1])) == (51, 13)  # of the batch with the damage there is none
    assert f"{path}:3: expected a tf.train.Example" in found[1][0]
    assert "rows.tfrecord:100: the record is damaged" in found[2]


@pytest.mark.parametrize("ending", [".gz", ".GZ"])
def test_a_file_that_gzip_has_packed_is_read_whatever_the_case_of_its_ending(tmp_path, ending):
    import tensorflow as tf

    path = tmp_path / f"rows.tfrecord{ending}"
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        writer.write(_example(x=[1]))

    (record,) = tfrecord.read(path)

    assert record.cells == {"x": 1}


def _all(some) -> tuple[list, list[str], str]:
    rows, problems = [], []
    try:
        for one in some:
            if isinstance(one, tfrecord.Record):
                assert one.where.endswith(f":{one.number}")
                assert not one.problem or one.problem.number == one.number
                rows += [] if one.problem else [(one.where, dict(one.cells))]
                problems += [str(one.problem)] if one.problem else []
                continue
            problems += map(str, one.problems)
            columns = {
                name: cells if isinstance(cells := one.column(name), list) else cells.to_pylist()
                for name in one.columns
            }
            for row in range(len(one)):
                cells = {name: column[row] for name, column in columns.items() if column[row] is not None}
                rows.append((one.where(row), cells))
    except DataError as error:
        return rows, problems, str(error)
    return rows, problems, ""
