from dataclasses import replace

import pytest

pytestmark = pytest.mark.slow  # loads TensorFlow


def test_the_samples_shown_are_drawn_from_the_whole_split(tmp_path):
    import tensorflow as tf

    from models.training.input import _drawn
    from tests.models.tiny import job

    made = job(tmp_path)
    every = list(tf.data.TFRecordDataset(list(made.train_files)).as_numpy_iterator())

    drawn = _drawn(made).numpy().tolist()

    assert len(set(drawn)) == 16
    assert set(drawn) < set(every)
    assert not set(drawn) <= set(every[:24])  # files may be sorted by class


@pytest.mark.parametrize("shuffle_buffer", [100, 20])  # the 48 rows drawn from memory, and through a buffer
def test_every_epoch_has_each_row_once_in_an_order_of_its_own_that_can_be_taken_up_anywhere(tmp_path, shuffle_buffer):
    import numpy as np

    from models.training.input import training_batches
    from tests.models.tiny import job

    made = job(tmp_path, augment=False, shuffle_buffer=shuffle_buffer)

    batches = [features["image"].numpy() for features, _ in training_batches(made).take(6)]
    later = [features["image"].numpy() for features, _ in training_batches(made, skip=4).take(2)]
    other = [features["image"].numpy() for features, _ in training_batches(replace(made, seed=1)).take(1)]

    first, second = np.concatenate(batches[:3]), np.concatenate(batches[3:])
    assert len(np.unique(first, axis=0)) == len(first) == 48
    np.testing.assert_array_equal(np.unique(first, axis=0), np.unique(second, axis=0))
    assert (first != second).any()
    np.testing.assert_array_equal(later, batches[4:])
    assert (other[0] != batches[0]).any()


@pytest.mark.parametrize("shuffle_buffer", [100, 20])
def test_a_training_that_goes_on_reads_none_of_the_epochs_that_are_done(tmp_path, shuffle_buffer, monkeypatch):
    import tensorflow as tf

    from models.training.input import training_batches
    from tests.models.tiny import job

    made = job(tmp_path, augment=False, shuffle_buffer=shuffle_buffer)
    reads, records = [], tf.data.TFRecordDataset

    def counted(files):
        return records(files).map(
            lambda record: tf.py_function(lambda one: reads.append(1) or one, [record], tf.string)
        )

    monkeypatch.setattr(tf.data, "TFRecordDataset", counted)
    next(iter(training_batches(made, skip=1000 * 3)))  # 3 steps of 16 are an epoch of 48 rows

    assert 20 <= len(reads) < 100 * 48


@pytest.fixture(scope="module")
def tiny_job(tmp_path_factory):
    from tests.models.tiny import job

    return job(tmp_path_factory.mktemp("tiny"), batch_size=4)


def _with(made, **settings):
    return replace(made, train=made.train.model_copy(update=settings))


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

    files = []
    for number in range(40):  # files of 5 rows, those of a class side by side
        files.append(str(tmp_path / f"{number:02d}.tfrecord"))
        with tf.io.TFRecordWriter(files[-1]) as writer:
            for row in range(5):
                writer.write(f"{number // 10}:{number}:{row}")

    batches_of = _shuffled_in_buffer(replace(tiny_job, train_files=files), buffer_rows=40)
    first, again, second = (
        np.concatenate([batch.numpy() for batch in batches_of(tf.constant(epoch, tf.int64))]).tolist()
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
