import numpy as np
import pytest

from data.spec import DatasetSpec, DateFeature, LabelFeature, NumberFeature

pytestmark = pytest.mark.slow  # loads TensorFlow


def _spec(**features):
    return DatasetSpec(name="x", title="", licence="", features={**features, "y": LabelFeature(classes=("a", "b"))})


def test_a_curve_is_the_position_of_a_number_in_each_bin():
    import tensorflow as tf

    from models.tasks.tabular.features import _curves

    # Bins 0 to 10 and 10 to 20; then one without width at 5, where a value is frequent, and 5 to 6.
    bounds = tf.constant([[0.0, 10.0, 20.0], [5.0, 5.0, 6.0]])
    curves = _curves(tf.constant([[-3.0, 4.0], [5.0, 5.0], [15.0, 5.25], [99.0, 7.0]]), bounds).numpy()

    np.testing.assert_allclose(curves[:, 0], [[0, 0], [0.5, 0], [1, 0.5], [1, 1]])
    np.testing.assert_allclose(curves[:, 1], [[0, 0], [1, 0], [1, 0.25], [1, 1]])


def test_a_missing_value_becomes_the_default():
    import tensorflow as tf

    from models.tasks.optional import dense

    sparse = tf.SparseTensor([[0, 0], [2, 0]], [1.5, 2.5], [3, 1])

    np.testing.assert_array_equal(dense(sparse, float("nan")).numpy(), [1.5, np.nan, 2.5])


def test_sparse_and_dense_columns_are_stacked_in_order():
    import tensorflow as tf

    from models.tasks.optional import stacked

    # The first optional column has no value in this batch: TensorFlow parses it as (2, 0).
    empty = tf.SparseTensor(tf.zeros((0, 2), tf.int64), tf.zeros((0,), tf.string), [2, 0])
    one_value = tf.SparseTensor([[1, 0]], ["d"], [2, 1])

    table = stacked([empty, tf.constant(["a", "b"]), one_value], "-")

    assert table.numpy().tolist() == [[b"-", b"a", b"-"], [b"-", b"b", b"d"]]
    two_values = tf.SparseTensor([[1, 0], [1, 1]], ["d", "e"], [2, 2])
    with pytest.raises(tf.errors.InvalidArgumentError):
        stacked([two_values, empty], "-")


def test_a_date_becomes_its_day_and_its_phases():
    import tensorflow as tf

    from models.tasks.tabular.features import _date_numbers, number_names

    # 1970-01-02, a Friday, at six in the morning: a quarter of the day.
    day, *phases = _date_numbers(tf.constant([[86_400 + 6 * 3_600]], tf.int64)).numpy()[0]

    assert day == 1.25
    assert phases[:2] == pytest.approx([1.0, 0.0], abs=1e-6)
    assert len(number_names(_spec(when=DateFeature()))) == 1 + len(phases)


def test_columns_have_valid_and_distinct_tensor_names():
    from models.tasks.input_keys import input_keys

    names = ["trip miles", "trip.miles", "A", "a", "色", "lambda", "_x", "self"]
    spec = DatasetSpec(name="x", title="", licence="", features=dict.fromkeys(names, NumberFeature()))

    # Eight digits of `printf %s "trip miles" | sha256sum`: the order of the columns does not matter.
    assert input_keys(spec) == {
        "trip miles": "trip_miles_82b40767",
        "trip.miles": "trip_miles_8389bebf",
        "A": "A_559aead0",
        "a": "a_ca978112",
        "色": "c_",
        "lambda": "lambda_",
        "_x": "c_x",
        "self": "self_",
    }
