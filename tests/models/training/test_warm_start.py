import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def _train(folder, published=None, task="image_classification", **settings):
    from models import progress
    from models.training.trainer import train
    from tests.models import tiny

    job = dataclasses.replace(tiny.job(folder, task, **settings), published=str(published) if published else None)
    reports = []
    with progress.listening(reports.append):
        result = train(job)
    return job, result, reports[-1]["summary"]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """Job, training result and summary of a model trained for 15 epochs."""
    return _train(tmp_path_factory.mktemp("first"), epochs=15)


def test_a_warm_start_continues_from_the_published_weights(first, tmp_path):
    job, result, _ = first

    _, warm, summary = _train(tmp_path, job.model_folder, epochs=1)
    _, cold, _ = _train(tmp_path / "cold", epochs=1)

    assert ", from version model, " in summary
    assert warm.history["loss"][0] < 0.5 * cold.history["loss"][0]
    assert warm.history["loss"][0] == pytest.approx(result.history["loss"][-1], rel=0.5)


def test_random_states_are_not_taken_from_the_published_model(first, tmp_path):
    job, _, _ = first

    first_run, second_run = (_train(tmp_path / name, job.model_folder, epochs=1)[1] for name in ("one", "two"))

    np.testing.assert_array_equal(first_run.history["loss"], second_run.history["loss"])


def test_other_layers_are_reported_and_keep_their_initial_weights(first, tmp_path):
    from models.training import warm_start
    from tests.models.tiny import job

    published_job, _, _ = first
    other = job(tmp_path)
    for settings, reason in (
        ({"filters": [8]}, "its layers have other sizes"),
        ({"filters": [2]}, "its layers have other sizes"),
        ({"filters": [4, 4]}, "it has other layers"),
        ({"filters": []}, "it has other layers"),
    ):
        model = other.task.build_model(other.config.model_copy(update=settings), other.spec)
        before = [np.asarray(variable).copy() for variable in model.variables]

        assert (
            warm_start.begin_from(model, Path(published_job.model_folder), other.transform_folder, other.spec) == reason
        )
        for old, variable in zip(before, model.variables, strict=True):
            np.testing.assert_array_equal(old, np.asarray(variable))


def test_another_vocabulary_is_reported(tmp_path):
    from models.training import warm_start

    job, _, _ = _train(tmp_path / "a", task="text_classification")
    model = job.task.build_model(job.config, job.spec)

    assert warm_start.begin_from(model, Path(job.model_folder), job.transform_folder, job.spec) == ""
    vocabulary = next((Path(job.transform_folder) / "transform_fn" / "assets").iterdir())
    vocabulary.write_text("other\nwords\n")
    reason = warm_start.begin_from(model, Path(job.model_folder), job.transform_folder, job.spec)
    assert reason == "preprocessing learned another vocabulary"


def test_other_classes_are_reported(first, tmp_path):
    from data.spec import LabelFeature
    from models.training import warm_start

    job, _, _ = first
    features = {**job.spec.features, "label": LabelFeature(classes=("dark", "light", "bright"))}
    spec = job.spec.model_copy(update={"features": features})
    model = job.task.build_model(job.config, spec)

    assert warm_start.begin_from(model, Path(job.model_folder), job.transform_folder, spec) == "it has other classes"
