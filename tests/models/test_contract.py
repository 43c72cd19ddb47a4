"""The contract of every registered task; a task's own test file adds only what is specific to it."""

from pathlib import Path

import numpy as np
import pytest

from models import registry

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[*sorted(registry.TASKS), "sequence_classification-steps"])
def trained(request, tmp_path_factory):
    """A task, the job it was trained with, and its history."""
    from models.training.trainer import train
    from tests.models import tiny

    job = tiny.job(tmp_path_factory.mktemp(request.param), request.param)
    return job.task, job, train(job).history


def test_the_record_is_registered_under_its_name(trained):
    task, job, _ = trained

    assert registry.TASKS[task.name]
    assert registry.config_class(task.name) is task.config
    assert type(job.config) is task.config


def test_one_epoch_has_finite_losses_on_both_splits(trained):
    _, _, history = trained

    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(history["val_loss"]).all()


def test_reference_models_learn_from_the_same_rows_and_are_compared(trained, tmp_path):
    from components.artifact_files import PREDICTIONS
    from components.classical import fit, metric_values, read_frame
    from components.predictions import write
    from models.evaluation.comparison import paired_interval
    from models.evaluation.predictions import read

    task, job, _ = trained
    examples = job.model_folder.removesuffix("model") + "examples"
    frames = {split: read_frame(examples, split, job.spec) for split in ("train", "test")}
    (target,) = job.spec.targets()
    targets = frames["test"][target].to_numpy()
    compared = job.config.compared(job.spec)
    write(tmp_path, job.model_folder, examples, spec=job.spec, task=task)
    predicted = read(PREDICTIONS.path(tmp_path))
    network = predicted.values
    np.testing.assert_array_equal(predicted.targets, targets.astype(predicted.targets.dtype))

    candidates = task.classical(job.config, job.spec).values()
    assert any(candidate.trivial for candidate in candidates)
    for candidate in candidates:
        summary, predictions = fit(candidate, frames, job.spec, compared, seed=0)
        assert predictions.shape == network.shape
        assert all(np.isfinite(value) for value in summary["metrics"].values())
        for metric in compared.values():
            interval = paired_interval(metric, targets, network, predictions)
            assert interval.low <= interval.high
    assert set(metric_values(compared, targets, network)) <= set(job.config.metric_ranges(job.spec))


def test_a_server_predicts_as_the_trained_model_does(trained, tmp_path):
    from components.example_gen import first_rows
    from components.serving_check import predict_rows
    from models.serving.protocol import warmup
    from models.serving.smoke_test.smoke_test import run_smoke_test

    task, job, _ = trained
    rows = first_rows(job.model_folder.removesuffix("model") + "examples", "test", job.spec, 5)

    measured = run_smoke_test(
        Path(job.model_folder),
        "candidate",
        ask=lambda: predict_rows(job.model_folder, rows, task, job.config, job.spec),
        folder=tmp_path / "candidate",
        engine="embedded",
    )

    assert measured.p95_ms > 0
    assert {log.predict_log.request.model_spec.signature_name for log in warmup.read(Path(job.model_folder))} == set(
        task.queries(rows[0], job.config, job.spec)
    )


def test_tensorflows_cpp_loader_which_tf_serving_uses_predicts_as_the_trained_model_does(trained):
    from models.serving.protocol import warmup
    from models.serving.protocol.tensors import to_array
    from tests.models.serving.cpp_loader import CppModel

    _task, job, _ = trained
    model = CppModel(Path(job.model_folder))

    for log in warmup.read(Path(job.model_folder)):
        request, expected = log.predict_log.request, log.predict_log.response.outputs
        outputs = model.run(
            request.model_spec.signature_name, {alias: to_array(value) for alias, value in request.inputs.items()}
        )
        assert set(outputs) == set(expected)
        for alias, value in expected.items():
            if outputs[alias].dtype.kind == "f":
                np.testing.assert_allclose(outputs[alias], to_array(value), rtol=1e-5, atol=1e-5)
            else:
                np.testing.assert_array_equal(outputs[alias], to_array(value))


def test_input_validation_has_every_input_of_every_signature(trained):
    import json

    from models.serving.protocol import input_rules

    _task, job, _ = trained
    rules = json.loads((Path(job.model_folder) / input_rules.FILE).read_text())
    inputs = {name for name, feature in job.spec.features.items() if not feature.target}

    assert set(rules["features"]) == inputs
    assert rules["signatures"].pop("serving_default") == {"inputs": input_rules.EXAMPLES}
    for aliases in rules["signatures"].values():
        assert set(aliases.values()) <= inputs


def test_columns_of_a_table_are_not_mixed_up(trained):
    import tensorflow as tf
    import tensorflow_transform as tft

    from components.example_gen import first_rows
    from data.examples import encode
    from data.spec import NumberFeature
    from models.tasks.tabular.features import number_names

    _, job, _ = trained
    transform = tft.TFTransformOutput(job.transform_folder)
    columns = number_names(job.spec)
    names = list(job.spec.of(NumberFeature))
    rows = first_rows(job.model_folder.removesuffix("model") + "examples", "train", job.spec, 48)
    complete_rows = [row for row in rows if set(names) <= set(row)]
    examples = tf.constant([encode(row, job.spec) for row in complete_rows])
    raw = tf.io.parse_example(examples, transform.raw_feature_spec())

    features = transform.transform_features_layer()(raw)

    for name in names:  # standardized numbers keep their order
        values, standardized = [row[name] for row in complete_rows], features["numbers"][:, columns.index(name)]
        assert np.argsort(standardized).tolist() == np.argsort(values).tolist(), name


def test_tensorboard_has_scalars_histograms_graph_and_images(trained):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    task, job, _ = trained
    board = EventMultiplexer().AddRunsFromDirectory(job.log_folder)
    board.Reload()

    tags = {run: board.GetAccumulator(run).Tags() for run in board.Runs()}
    assert tags["pictures"]["graph"]
    assert {"epoch_loss", "epoch_learning_rate"} <= set(tags["train"]["tensors"])
    assert "epoch_loss" in tags["validation"]["tensors"]
    assert any(tag.endswith("/histogram") for tag in tags["train"]["tensors"]) or task.name == "recommendation"
    pictures = {"samples": task.sample_images, "confusion_matrix": task.epoch_plots}
    assert {tag for tag, provided in pictures.items() if provided} <= set(tags["pictures"]["tensors"])
