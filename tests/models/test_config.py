import pytest

from data.spec import CategoryFeature, DatasetSpec, TargetFeature
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


def test_slices_of_two_columns_that_may_have_one_name_are_refused():
    from models.tasks.tabular_regression.config import CONFIG

    features = {name: CategoryFeature() for name in ("place", "place=a")} | {"price": TargetFeature()}
    spec = DatasetSpec(name="made up", title="", licence="", features=features)

    CONFIG(slice_by=("place=a",)).check_features(spec)
    with pytest.raises(ValueError, match="slices of place=a and place may have the same name; rename column place=a"):
        CONFIG(slice_by=("place", "place=a")).check_features(spec)
