import pytest

from models import config, registry
from models.config import TrainConfig


@pytest.mark.slow
def test_the_names_are_those_of_the_installed_keras():
    import keras

    from models.training.optimizer import make_optimizer, make_schedule

    for name in config.OPTIMIZERS:
        assert type(make_optimizer(TrainConfig(optimizer=name), 10)).__name__.lower() == name
    for name in config.SCHEDULES:
        schedule = make_schedule(TrainConfig(learning_rate_schedule=name), 10)
        assert name == "constant" or type(schedule).__name__ == name
    for name in config.ACTIVATIONS:
        assert keras.activations.get(name).__name__ == name


@pytest.mark.parametrize("name", sorted(registry.TASKS))
def test_every_task_has_a_title_and_settings_with_defaults(name):
    assert registry.title(name).endswith(".")
    assert registry.config_class(name)()
