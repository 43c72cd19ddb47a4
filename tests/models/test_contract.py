"""What every registered task must do; a task's own test file only adds what is special."""

from pathlib import Path

import numpy as np
import pytest

from models import registry

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=sorted(registry.TASKS))
def trained(request, tmp_path_factory):
    """A task, the job it was trained with, and its history."""
    from models.training.trainer import train
    from tests.models.tiny import job

    made = job(tmp_path_factory.mktemp(request.param), request.param)
    return made.task, made, train(made).history


def test_the_record_is_registered_under_its_name(trained):
    task, made, _ = trained

    assert registry.TASKS[task.name]
    assert registry.config_class(task.name) is task.config
    assert type(made.config) is task.config


def test_one_epoch_has_finite_losses_on_both_splits(trained):
    _, _, history = trained

    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(history["val_loss"]).all()


def test_classical_models_learn_from_the_same_rows_and_are_compared(trained, tmp_path):
    from components.artifact_files import PREDICTIONS
    from components.classical import fit, metric_values, read_frame
    from components.predictions import write
    from models.evaluation.comparison import paired_interval
    from models.evaluation.predictions import read

    task, made, _ = trained
    examples = made.model_folder.removesuffix("model") + "examples"
    frames = {split: read_frame(examples, split, made.spec) for split in ("train", "test")}
    (target,) = made.spec.targets()
    targets = frames["test"][target].to_numpy()
    compared = made.config.compared(made.spec)
    write(tmp_path, made.model_folder, examples, spec=made.spec, task=task)
    answers = read(PREDICTIONS.path(tmp_path))
    network = answers.values
    np.testing.assert_array_equal(answers.targets, targets.astype(answers.targets.dtype))

    candidates = task.classical(made.config, made.spec).values()
    assert any(candidate.trivial for candidate in candidates)
    for candidate in candidates:
        told, predictions = fit(candidate, frames, made.spec, compared, seed=0)
        assert predictions.shape == network.shape
        assert all(np.isfinite(value) for value in told["metrics"].values())
        for metric in compared.values():
            interval = paired_interval(metric, targets, network, predictions)
            assert interval.low <= interval.high
    assert set(metric_values(compared, targets, network)) <= set(made.config.metric_ranges(made.spec))


def test_a_server_answers_as_the_trained_model_does(trained, tmp_path):
    from components.example_gen import first_rows
    from components.serving_check import predict_rows
    from models.serving.protocol import warmup
    from models.serving.smoke_test.smoke_test import run_smoke_test

    task, made, _ = trained
    rows = first_rows(made.model_folder.removesuffix("model") + "examples", "test", made.spec, 5)

    measured = run_smoke_test(
        Path(made.model_folder),
        "candidate",
        ask=lambda: predict_rows(made.model_folder, rows, task, made.config, made.spec),
        folder=tmp_path / "candidate",
        engine="embedded",
    )

    assert measured.p95_ms > 0
    assert {log.predict_log.request.model_spec.signature_name for log in warmup.read(Path(made.model_folder))} == set(
        task.queries(rows[0], made.config, made.spec)
    )


def test_tensorflows_cpp_loader_which_is_tf_servings_answers_as_the_trained_model_does(trained):
    from models.serving.protocol import warmup
    from models.serving.protocol.tensors import to_array
    from tests.models.serving.cpp_loader import CppModel

    _task, made, _ = trained
    model = CppModel(Path(made.model_folder))

    for log in warmup.read(Path(made.model_folder)):
        asked, expected = log.predict_log.request, log.predict_log.response.outputs
        answer = model.run(
            asked.model_spec.signature_name, {alias: to_array(value) for alias, value in asked.inputs.items()}
        )
        assert set(answer) == set(expected)
        for alias, value in expected.items():
            if answer[alias].dtype.kind == "f":
                np.testing.assert_allclose(answer[alias], to_array(value), rtol=1e-5, atol=1e-5)
            else:
                np.testing.assert_array_equal(answer[alias], to_array(value))


def test_input_validation_knows_every_input_of_every_signature(trained):
    import json

    from models.serving.protocol import input_rules

    _task, made, _ = trained
    rules = json.loads((Path(made.model_folder) / input_rules.FILE).read_text())
    inputs = {name for name, feature in made.spec.features.items() if not feature.target}

    assert set(rules["features"]) == inputs
    assert rules["signatures"].pop("serving_default") == {"inputs": input_rules.EXAMPLES}
    for aliases in rules["signatures"].values():
        assert set(aliases.values()) <= inputs


def test_no_column_of_a_table_takes_the_place_of_another(trained):
    import tensorflow as tf
    import tensorflow_transform as tft

    from components.example_gen import first_rows
    from data.examples import encode
    from data.spec import NumberFeature
    from models.tasks.tabular.features import number_names

    _, made, _ = trained
    transform = tft.TFTransformOutput(made.transform_folder)
    places = number_names(made.spec)
    names = list(made.spec.of(NumberFeature))
    rows = first_rows(made.model_folder.removesuffix("model") + "examples", "train", made.spec, 48)
    whole = [row for row in rows if set(names) <= set(row)]
    examples = tf.constant([encode(row, made.spec) for row in whole])
    raw = tf.io.parse_example(examples, transform.raw_feature_spec())

    found = transform.transform_features_layer()(raw)

    for name in names:  # standardized numbers keep their order
        given, standardized = [row[name] for row in whole], found["numbers"][:, places.index(name)]
        assert np.argsort(standardized).tolist() == np.argsort(given).tolist(), name


def test_tensorboard_has_scalars_histograms_graph_and_images(trained):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    task, made, _ = trained
    board = EventMultiplexer().AddRunsFromDirectory(made.log_folder)
    board.Reload()

    tags = {run: board.GetAccumulator(run).Tags() for run in board.Runs()}
    assert tags["pictures"]["graph"]
    assert {"epoch_loss", "epoch_learning_rate"} <= set(tags["train"]["tensors"])
    assert "epoch_loss" in tags["validation"]["tensors"]
    assert any(tag.endswith("/histogram") for tag in tags["train"]["tensors"]) or task.name == "recommendation"
    pictures = {"samples": task.sample_images, "confusion_matrix": task.epoch_plots}
    assert {tag for tag, provided in pictures.items() if provided} <= set(tags["pictures"]["tensors"])
