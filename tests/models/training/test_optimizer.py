import math

import pytest

from models.config import TrainConfig

pytestmark = pytest.mark.slow  # loads TensorFlow


def _rates(steps, **settings):
    from models.training.optimizer import make_schedule

    schedule = make_schedule(TrainConfig(learning_rate=0.1, epochs=2, **settings), steps_per_epoch=10)
    return [float(schedule(step)) for step in steps]


def test_the_cosine_schedule_rises_and_then_falls_to_zero_at_the_last_step():
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
def test_the_other_schedules_end_at_a_hundredth_of_the_learning_rate(name, middle, last):
    assert _rates([0, 10, 20], learning_rate_schedule=name) == pytest.approx([0.1, middle, last], rel=1e-5)
