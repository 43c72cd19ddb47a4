import math
import subprocess
import sys

import pytest

from models.config import TrainConfig
from tests.conftest import ROOT

pytestmark = pytest.mark.slow  # loads TensorFlow


def _rates(steps, **settings):
    from models.training.trainer import make_schedule

    schedule = make_schedule(TrainConfig(learning_rate=0.1, epochs=2, **settings), steps_per_epoch=10)
    return [float(schedule(step)) for step in steps]


def test_the_cosine_schedule_climbs_then_falls_to_zero_at_the_last_step():
    rates = _rates([0, 5, 10, 15, 20], learning_rate_schedule="CosineDecay", warmup_epochs=0.5)

    # 5 steps up; then 15 steps down, of which 5 and 10 are done at steps 10 and 15.
    expected = [0.0, 0.1, 0.05 * (1 + math.cos(math.pi / 3)), 0.05 * (1 + math.cos(2 * math.pi / 3)), 0.0]
    assert rates == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("name", "middle", "last"),
    [
        ("ExponentialDecay", 0.01, 0.001),  # 0.1 * 0.01 ** (1/2), then 0.1 * 0.01
        ("PolynomialDecay", 0.0505, 0.001),  # half way from 0.1 to 0.001
        ("InverseTimeDecay", 0.1 / 50.5, 0.001),  # 0.1 / (1 + 99 / 2), then 0.1 / 100
    ],
)
def test_the_other_schedules_end_at_a_hundredth(name, middle, last):
    assert _rates([0, 10, 20], learning_rate_schedule=name) == pytest.approx([0.1, middle, last], rel=1e-5)


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
def test_precision_follows_what_every_gpu_has_units_for(name, capabilities, policy):
    from models.training.trainer import choose_precision

    assert choose_precision(name, capabilities) == policy


def test_one_device_needs_no_mirroring_and_two_gpus_do():
    from models.training.trainer import choose_strategy

    assert choose_strategy("auto", ["/device:CPU:0"]).num_replicas_in_sync == 1
    assert choose_strategy("auto", ["/device:GPU:0"]).num_replicas_in_sync == 1
    assert choose_strategy("auto", ["/device:GPU:0", "/device:GPU:1"]).num_replicas_in_sync == 2


# In a process of its own: logical devices must be made before TensorFlow starts.
MIRRORED = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from tests.models.tiny import job
from models import progress
from models.training.trainer import train, choose_strategy
import sys
assert choose_strategy("mirrored").num_replicas_in_sync == 2
seen = []
with progress.listening(seen.append):
    history = train(job(sys.argv[1], strategy="mirrored", precision="mixed_bfloat16", epochs=3)).history
assert history["loss"][-1] < history["loss"][0], history
answer = tf.saved_model.load(sys.argv[1] + "/model").signatures["serving_default"]
print("trained", [value["epoch"] for value in seen if value.get("done")])
"""


def test_a_model_trains_and_exports_on_two_mirrored_devices_in_mixed_precision(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", MIRRORED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "trained [1, 2, 3]"


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(tmp_path):
    import numpy as np
    import tensorflow as tf

    from models.training.trainer import train
    from tests.models.tiny import job

    def weights(name, seed):
        (tmp_path / name).mkdir()
        train(job(tmp_path / name, seed=seed, epochs=2))
        variables = tf.train.load_checkpoint(f"{tmp_path}/{name}/model/variables/variables")
        values = [np.ravel(variables.get_tensor(key)) for key in sorted(variables.get_variable_to_shape_map())]
        return np.concatenate([value for value in values if value.dtype == np.float32])

    first, again, other = weights("a", 1), weights("b", 1), weights("c", 2)

    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_a_loss_that_is_not_a_number_stops_the_training(tmp_path):
    from data.errors import ModelError
    from models.training.trainer import train
    from tests.models.tiny import job

    with pytest.raises(
        ModelError, match=r"Training stopped: loss became (nan|inf) in epoch 1; lower train.learning_rate"
    ):
        train(job(tmp_path, learning_rate=1e38, learning_rate_schedule="constant", optimizer="sgd", epochs=1))


@pytest.mark.gpu
def test_training_on_a_gpu_takes_mixed_precision_by_itself():
    from models.training.trainer import choose_precision, choose_strategy, device_names

    assert choose_precision("auto") in ("mixed_bfloat16", "mixed_float16", "float32")
    assert "GPU" in device_names(choose_strategy("one_device"))


def test_the_samples_shown_are_drawn_from_the_whole_split(tmp_path):
    import tensorflow as tf

    from models.training.trainer import _drawn
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

    from models.training.trainer import training_batches
    from tests.models.tiny import job

    made = job(tmp_path, augment=False, shuffle_buffer=shuffle_buffer)

    batches = [features["image"].numpy() for features, _ in training_batches(made).take(6)]
    later = [features["image"].numpy() for features, _ in training_batches(made, skip=4).take(2)]

    first, second = np.concatenate(batches[:3]), np.concatenate(batches[3:])
    assert len(np.unique(first, axis=0)) == len(first) == 48
    np.testing.assert_array_equal(np.unique(first, axis=0), np.unique(second, axis=0))
    assert (first != second).any()
    np.testing.assert_array_equal(later, batches[4:])
