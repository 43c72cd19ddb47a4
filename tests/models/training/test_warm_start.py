import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def _train(folder, published=None, task="image_classification", **settings):
    from models import progress
    from models.training.trainer import train
    from tests.models.tiny import job

    made = dataclasses.replace(job(folder, task, **settings), published=str(published) if published else None)
    seen = []
    with progress.listening(seen.append):
        result = train(made)
    return made, result, seen[-1]["summary"]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A model that was trained for a while."""
    return _train(tmp_path_factory.mktemp("first"), epochs=15)


def test_a_training_begins_where_the_published_model_ended(first, tmp_path):
    made, result, _ = first

    _, again, told = _train(tmp_path, made.model_folder, epochs=1)
    _, cold, _ = _train(tmp_path / "cold", epochs=1)

    assert ", from version model, " in told
    assert again.history["loss"][0] < 0.5 * cold.history["loss"][0]
    assert again.history["loss"][0] == pytest.approx(result.history["loss"][-1], rel=0.5)


def test_its_random_states_are_its_own(first, tmp_path):
    made, _, _ = first

    one, two = (_train(tmp_path / name, made.model_folder, epochs=1)[1] for name in ("one", "two"))

    np.testing.assert_array_equal(one.history["loss"], two.history["loss"])


def test_other_layers_are_told_and_trained_from_the_beginning(first, tmp_path):
    from models.training import warm_start
    from tests.models.tiny import job

    made, _, _ = first
    other = job(tmp_path)
    for settings, why in (
        ({"filters": [8]}, "its layers have other sizes"),
        ({"filters": [4, 4]}, "it has other layers"),
        ({"filters": []}, "it has other layers"),
    ):
        model = other.task.build_model(other.config.model_copy(update=settings), other.spec)
        before = [np.asarray(variable).copy() for variable in model.variables]

        assert warm_start.begin_from(model, Path(made.model_folder), other.transform_folder, other.spec) == why
        for old, variable in zip(before, model.variables, strict=True):
            np.testing.assert_array_equal(old, np.asarray(variable))


def test_another_vocabulary_is_told(tmp_path):
    from models.training import warm_start

    made, _, _ = _train(tmp_path / "a", task="text_classification")
    model = made.task.build_model(made.config, made.spec)

    assert warm_start.begin_from(model, Path(made.model_folder), made.transform_folder, made.spec) == ""
    vocabulary = next((Path(made.transform_folder) / "transform_fn" / "assets").iterdir())
    vocabulary.write_text("other\nwords\n")
    why = warm_start.begin_from(model, Path(made.model_folder), made.transform_folder, made.spec)
    assert why == "preprocessing learned another vocabulary"


def test_other_classes_are_told(first, tmp_path):
    from data.spec import LabelFeature
    from models.training import warm_start

    made, _, _ = first
    features = {**made.spec.features, "label": LabelFeature(classes=("dark", "light", "bright"))}
    spec = made.spec.model_copy(update={"features": features})
    model = made.task.build_model(made.config, spec)

    assert warm_start.begin_from(model, Path(made.model_folder), made.transform_folder, spec) == "it has other classes"
