import numpy as np
import pytest

pytestmark = pytest.mark.slow  # loads TensorFlow


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Returns a function from a dtype to the folder of a SavedModel that multiplies matrices in it."""
    import tensorflow as tf

    def save(dtype: str):
        module = tf.Module()
        module.weights = tf.Variable(np.eye(2, dtype=np.float32))

        @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32)])
        def serve(x):
            return {"y": tf.cast(tf.matmul(tf.cast(x, dtype), tf.cast(module.weights, dtype)), tf.float32)}

        folder = tmp_path_factory.mktemp(dtype) / "model"
        tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})
        return folder

    return save


@pytest.mark.parametrize(
    ("dtype", "capabilities", "expected"),
    [
        ("float32", [], "float32"),
        ("float32", [(7, 5)], "float32"),
        ("float32", [(8, 0)], "TensorFloat-32"),
        ("float16", [(8, 0)], "float16"),
        ("bfloat16", [(9, 0)], "bfloat16"),
        ("bfloat16", [], "bfloat16"),
    ],
)
def test_the_precision_of_a_model_is_its_least_precise_arithmetic(saved, dtype, capabilities, expected):
    from models.precision import TOLERANCES, precision_of

    precision = precision_of(saved(dtype), capabilities)

    # float16 and TensorFloat-32 have the same 11 bits.
    assert TOLERANCES[precision] == TOLERANCES[expected]
    assert precision == expected or {precision, expected} == {"float16", "TensorFloat-32"}


def test_tensor_float_32_counts_only_where_it_is_enabled(saved):
    import tensorflow as tf

    from models.precision import precision_of

    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        precision = precision_of(saved("float32"), [(8, 0)])
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(True)

    assert precision == "float32"


def test_a_rounding_error_passes_only_in_its_own_precision():
    from models.precision import TOLERANCES
    from models.serving.smoke_test.candidate import difference

    expected = {"scores": np.float32([[0.25, 0.75]])}
    rounded = {"scores": np.float32([[0.25, 0.75 + 2**-8]])}  # the next bfloat16
    wrong = {"scores": np.float32([[0.35, 0.65]])}

    assert difference(rounded, expected, TOLERANCES["bfloat16"]) is None
    assert difference(rounded, expected, TOLERANCES["float32"])
    for tolerance in TOLERANCES.values():
        assert difference(wrong, expected, tolerance)
