from dataclasses import replace

import pytest

pytestmark = pytest.mark.slow  # loads TensorFlow


def test_sample_images_are_drawn_from_all_of_the_split(tmp_path):
    import tensorflow as tf

    from models.training.input import _sample
    from tests.models import tiny

    job = tiny.job(tmp_path)
    records = list(tf.data.TFRecordDataset(list(job.train_files)).as_numpy_iterator())

    samples = _sample(job).numpy().tolist()

    assert len(set(samples)) == 16
    assert set(samples) < set(records)
    assert not set(samples) <= set(records[:24])  # files may be sorted by class


# The 48 rows transformed in memory, serialized in memory, and through a buffer.
@pytest.mark.parametrize(("shuffle_buffer", "is_kept"), [(20, True), (100, False), (20, False)])
def test_every_epoch_has_each_row_once_in_its_own_order_and_can_be_resumed_anywhere(tmp_path, shuffle_buffer, is_kept):
    import numpy as np

    from models.training.input import keep_training_rows, training_batches
    from tests.models import tiny

    job = tiny.job(tmp_path, augment=False, shuffle_buffer=shuffle_buffer)
    kept = keep_training_rows(job) if is_kept else None

    batches = [features["image"].numpy() for features, _ in training_batches(job, kept).take(6)]
    later = [features["image"].numpy() for features, _ in training_batches(job, kept, skip=4).take(2)]
    other = [features["image"].numpy() for features, _ in training_batches(replace(job, seed=1), kept).take(1)]

    first, second = np.concatenate(batches[:3]), np.concatenate(batches[3:])
    assert len(np.unique(first, axis=0)) == len(first) == 48
    np.testing.assert_array_equal(np.unique(first, axis=0), np.unique(second, axis=0))
    assert (first != second).any()
    np.testing.assert_array_equal(later, batches[4:])
    assert (other[0] != batches[0]).any()


@pytest.mark.parametrize("shuffle_buffer", [100, 20])
def test_a_resumed_training_reads_none_of_the_finished_epochs(tmp_path, shuffle_buffer, monkeypatch):
    import tensorflow as tf

    from models.training.input import training_batches
    from tests.models import tiny

    job = tiny.job(tmp_path, augment=False, shuffle_buffer=shuffle_buffer)
    reads, records = [], tf.data.TFRecordDataset

    def counted(files):
        return records(files).map(
            lambda record: tf.py_function(lambda value: reads.append(1) or value, [record], tf.string)
        )

    monkeypatch.setattr(tf.data, "TFRecordDataset", counted)
    next(iter(training_batches(job, None, skip=1000 * 3)))  # 3 steps of 16 are an epoch of 48 rows

    assert 20 <= len(reads) < 100 * 48


@pytest.fixture(scope="module")
def tiny_job(tmp_path_factory):
    from tests.models import tiny

    return tiny.job(tmp_path_factory.mktemp("tiny"), batch_size=4)


def _with(job, **settings):
    return replace(job, train=job.train.model_copy(update=settings))


def test_a_shuffle_buffer_is_bounded_in_bytes_by_the_size_of_the_files(tiny_job, tmp_path):
    from models.training.input import _buffer_rows

    file = tmp_path / "large.tfrecord"
    with file.open("wb") as target:
        target.truncate(48 * 2**20)  # 48 rows of a MiB
    large = replace(tiny_job, train_files=[str(file)])

    assert tiny_job.num_rows["train"] == 48
    assert _buffer_rows(large) == 1024
    assert _buffer_rows(_with(large, buffer_mib=20)) == 20
    assert _buffer_rows(_with(large, buffer_mib=20, shuffle_buffer=7)) == 7
    assert _buffer_rows(_with(large, buffer_mib=1)) == 4  # a batch


def test_rows_sorted_by_class_are_mixed_through_a_buffer_smaller_than_a_class(tiny_job, tmp_path):
    import numpy as np
    import tensorflow as tf

    from models.training.input import _shuffled_in_buffer

    paths = []
    for number in range(40):  # files of 5 rows, those of a class side by side
        paths.append(str(tmp_path / f"{number:02d}.tfrecord"))
        with tf.io.TFRecordWriter(paths[-1]) as writer:
            for row in range(5):
                writer.write(f"{number // 10}:{number}:{row}")

    job = replace(tiny_job, train_files=paths)
    first, again, second = (
        np.concatenate([batch.numpy() for batch in _shuffled_in_buffer(job, 40, tf.constant(epoch, tf.int64))]).tolist()
        for epoch in (0, 0, 1)
    )

    assert len(set(first)) == len(first) == 200
    assert first == again != second
    assert {row.split(b":")[0] for row in first[:40]} == {b"0", b"1", b"2", b"3"}


@pytest.mark.parametrize(("buffer_mib", "kept"), [(1024, True), (1, False)])
def test_the_validation_split_is_kept_in_memory_where_it_fits(tiny_job, monkeypatch, buffer_mib, kept):
    import tensorflow as tf

    from models.training import input as training_input

    monkeypatch.setattr(training_input, "MIB", 1000)  # 12 rows of 6 x 6 float32 and a label are 1,824 bytes
    calls, cache = [], tf.data.Dataset.cache
    monkeypatch.setattr(tf.data.Dataset, "cache", lambda self: calls.append(1) or cache(self))

    batches = training_input.validation_batches(_with(tiny_job, buffer_mib=buffer_mib))

    assert bool(calls) == kept
    assert sum(len(labels) for _, labels in batches) == 12


@pytest.fixture(scope="module")
def table_job(tmp_path_factory):
    """A job on 5 files of 48 rows."""
    from tests.models import tiny

    job = tiny.job(tmp_path_factory.mktemp("table"), "tabular_classification", batch_size=9)
    return replace(job, train_files=[*job.train_files] * 5, num_rows={**job.num_rows, "train": 240})


def _bits(batches):
    """Returns the bytes of all tensors of some batches, in order."""
    import tensorflow as tf

    return [[value.numpy().tobytes() for value in tf.nest.flatten(batch)] for batch in batches]


def test_rows_in_memory_have_the_order_and_the_bits_of_rows_from_files(table_job):
    from models.training.input import keep_training_rows, training_batches

    kept = keep_training_rows(table_job)

    from_memory = _bits(training_batches(table_job, kept, skip=3).take(60))  # 27 batches of up to 9 rows are an epoch
    from_files = _bits(training_batches(table_job, None, skip=3).take(60))

    assert from_memory == from_files
    assert _bits(training_batches(table_job, kept, skip=40).take(5)) == from_memory[37:42]


def test_augmented_images_have_the_same_bits_from_memory_and_from_files(tiny_job):
    from models.training.input import keep_training_rows, training_batches

    kept = keep_training_rows(tiny_job)

    assert _bits(training_batches(tiny_job, kept).take(15)) == _bits(training_batches(tiny_job, None).take(15))


@pytest.mark.parametrize(("buffer_mib", "is_kept"), [(8, True), (7, False)])
def test_training_rows_are_kept_in_memory_where_they_fit(tiny_job, monkeypatch, buffer_mib, is_kept):
    from models.training import input as training_input

    monkeypatch.setattr(training_input, "MIB", 1000)  # 48 rows of 6 x 6 float32 and a label are 7,296 bytes

    kept = training_input.keep_training_rows(_with(tiny_job, buffer_mib=buffer_mib))

    assert (kept is not None) == is_kept
    assert not kept or {name: value.shape[0] for name, value in kept.items()} == {"image": 48, "label": 48}


def test_rows_without_a_fixed_size_are_not_kept_in_memory():
    import tensorflow as tf

    from models.training.transformed import row_bytes

    number = tf.TensorSpec((None, 3), tf.float32)

    assert row_bytes({"a": number, "b": tf.TensorSpec((None,), tf.int64)}) == 20
    assert row_bytes({"a": number, "b": tf.TensorSpec((None, None), tf.int64)}) is None
    assert row_bytes({"a": number, "b": tf.TensorSpec((None,), tf.string)}) is None


def test_a_row_is_transformed_to_the_same_bits_in_any_batch(table_job):
    import numpy as np
    import tensorflow as tf

    from data.examples import encode
    from models.training.transformed import parser
    from tests.models.tiny import rows_of

    # Outliers, which the transform graph replaces by their logarithm.
    rows = [{**row, "lambda": 7.3 * number + 5} for number, row in enumerate(rows_of("tabular_classification", 100, 0))]
    serialized = tf.constant([encode(row, table_job.spec) for row in rows])
    parse = parser(table_job.transform_folder)

    at_once, parts = parse(serialized), [parse(serialized[begin : begin + 3]) for begin in range(0, 100, 3)]

    for name, values in at_once.items():
        np.testing.assert_array_equal(values, np.concatenate([part[name] for part in parts]))
