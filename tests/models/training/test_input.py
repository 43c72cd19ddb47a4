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
