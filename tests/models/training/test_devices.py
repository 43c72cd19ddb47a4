import pytest

pytestmark = pytest.mark.slow  # loads TensorFlow


@pytest.mark.parametrize(
    ("name", "capabilities", "policy"),
    [
        ("auto", [], "float32"),
        ("auto", [(6, 1)], "float32"),
        ("auto", [(7, 5)], "mixed_float16"),
        ("auto", [(8, 0), (9, 0)], "mixed_bfloat16"),
        ("auto", [(8, 0), (7, 0)], "mixed_float16"),
        ("mixed_bfloat16", [], "mixed_bfloat16"),
    ],
)
def test_precision_is_one_that_every_gpu_has_units_for(name, capabilities, policy):
    from models.training.devices import choose_precision

    assert choose_precision(name, capabilities) == policy


def test_two_gpus_are_mirrored_and_one_device_is_not():
    from models.training.devices import choose_strategy

    assert choose_strategy("auto", ["/device:CPU:0"]).num_replicas_in_sync == 1
    assert choose_strategy("auto", ["/device:GPU:0"]).num_replicas_in_sync == 1
    assert choose_strategy("auto", ["/device:GPU:0", "/device:GPU:1"]).num_replicas_in_sync == 2
