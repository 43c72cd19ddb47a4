import pickle

import pytest

pytestmark = pytest.mark.slow  # loads TensorFlow

ROWS = {"a": 5, "none": 0, "b": 2, "c": 3}


@pytest.fixture
def files(tmp_path) -> list[str]:
    """Returns TFRecord files, one of them without a row."""
    import tensorflow as tf

    for name, rows in ROWS.items():
        with tf.io.TFRecordWriter(str(tmp_path / name)) as writer:
            for row in range(rows):
                writer.write(f"{name}{row}".encode())
    return [str(tmp_path / name) for name in ROWS]


def _read(batches_of, file: str) -> list[list[bytes]]:
    return [batch.numpy().tolist() for batch in batches_of(file)]


A, B, C = [[b"a0", b"a1"], [b"a2", b"a3"], [b"a4"]], [[b"b0", b"b1"]], [[b"c0", b"c1"], [b"c2"]]


def test_a_batch_ends_with_its_file(files):
    from data.columnar.file_batches import FileBatches

    batches_of = FileBatches(files, 2)

    assert [_read(batches_of, file) for file in files] == [A, [], B, C]


def test_files_may_be_read_in_any_order_again_and_in_part(files):
    from data.columnar.file_batches import FileBatches

    batches_of = FileBatches(files, 2)
    a, none, b, c = files

    assert [_read(batches_of, file) for file in (c, b, b, none, a)] == [C, B, B, [], A]
    next(batches_of(a))
    assert [_read(batches_of, file) for file in (a, b)] == [A, B]
    next(batches_of(c))
    assert _read(pickle.loads(pickle.dumps(batches_of)), c) == C


def test_files_in_order_are_read_by_one_pipeline(files, monkeypatch):
    import tensorflow as tf

    from data.columnar.file_batches import FileBatches

    opened, slices = [], tf.data.Dataset.from_tensor_slices
    monkeypatch.setattr(
        tf.data.Dataset, "from_tensor_slices", lambda *tensors: opened.append(tensors) or slices(*tensors)
    )
    batches_of = FileBatches(files, 2)

    for file in files:
        _read(batches_of, file)

    assert len(opened) == 1
