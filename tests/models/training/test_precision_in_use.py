"""Device and precision of a training: on a GPU where there is one, else on the CPU."""

import pytest

from tests.models.training.on_device import check_serving, check_training, train_somewhere

pytestmark = pytest.mark.slow  # loads TensorFlow

ARITHMETIC = {7: "float16", 8: "bfloat16", 9: "bfloat16", 10: "bfloat16", 12: "bfloat16"}
"""The precision of `precision: auto`, by the first number of a GPU's compute capability; below 7 float32."""


@pytest.mark.gpu
def test_a_gpu_trains_and_serves_in_the_precision_of_its_units(tmp_path):
    from models.precision import gpu_capabilities

    trained = train_somewhere(tmp_path, "sequence_classification", "auto")

    lowest, _ = min(gpu_capabilities())
    check_training(trained, device="GPU", arithmetic=ARITHMETIC.get(lowest, "float32"))
    check_serving(trained, tmp_path / "candidate")


@pytest.mark.gpu
def test_a_gpu_with_tensor_float_32_predicts_within_its_tolerance(tmp_path):
    from models.precision import gpu_capabilities

    trained = train_somewhere(tmp_path, "sequence_classification", "float32")

    arithmetic = "TensorFloat-32" if max(gpu_capabilities()) >= (8, 0) else "float32"
    check_training(trained, device="GPU", arithmetic=arithmetic)
    check_serving(trained, tmp_path / "candidate")


@pytest.fixture(scope="module")
def in_bfloat16(tmp_path_factory):
    """A model that was trained in bfloat16, on the CPU where there is no GPU."""
    return train_somewhere(tmp_path_factory.mktemp("bfloat16"), "sequence_classification", "mixed_bfloat16")


def test_a_server_with_other_kernels_predicts_within_the_tolerance_of_bfloat16(in_bfloat16, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")  # of the server: this process has its kernels already

    check_serving(in_bfloat16, tmp_path / "candidate")


def test_the_checks_of_the_gpu_tests_fail_for_another_device_or_precision(in_bfloat16):
    import tensorflow as tf

    here, other = ("GPU", "CPU") if tf.config.list_physical_devices("GPU") else ("CPU", "GPU")

    check_training(in_bfloat16, device=here, arithmetic="bfloat16")
    with pytest.raises(AssertionError, match=f"expected {other}, it ran on .*{here}:0"):
        check_training(in_bfloat16, device=other, arithmetic="bfloat16")
    with pytest.raises(AssertionError, match="expected float32, it computes in bfloat16"):
        check_training(in_bfloat16, device=here, arithmetic="float32")


def test_tensor_float_32_exceeds_the_tolerance_of_float32_and_not_its_own(in_bfloat16, monkeypatch):
    """Inputs of convolutions and matrix products are rounded to its 10 bits of mantissa."""
    import tensorflow as tf
    from keras.src import backend

    from models.precision import TOLERANCES
    from models.serving.smoke_test.candidate import greatest_difference
    from models.training.input import sample_batch

    job = in_bfloat16.job
    features, _ = sample_batch(job)
    model = job.task.build_model(job.config, job.spec)
    model.set_weights(in_bfloat16.model.get_weights())
    exact = model(features, training=False).numpy()

    def rounded(value):
        bits = tf.bitcast(tf.cast(value, tf.float32), tf.int32)
        return tf.bitcast(tf.bitwise.bitwise_and(bits + (1 << 12), -1 << 13), tf.float32)

    for module, name in ((backend.nn, "conv"), (backend.numpy, "matmul")):
        function = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda a, b, *rest, f=function, **named: f(rounded(a), rounded(b), *rest, **named)
        )
    difference = greatest_difference(model(features, training=False).numpy(), exact)

    assert TOLERANCES["float32"] < difference < TOLERANCES["TensorFloat-32"]
