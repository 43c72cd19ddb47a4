"""What every registered task must do; a task's own test file only adds what is special."""

import json
import subprocess
import sys

import numpy as np
import pytest

from models import registry
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

RELOAD = """
import json, sys
import tensorflow as tf
queries = json.loads(sys.argv[2])
signatures = tf.saved_model.load(sys.argv[1]).signatures
answers = {}
for name, inputs in queries.items():
    tensors = {key: tf.constant([bytes.fromhex(value) for value in values]) for key, values in inputs.items()}
    found = signatures[name](**tensors)
    answers[name] = {key: value.numpy().tolist() for key, value in found.items() if value.dtype.is_floating}
print(json.dumps(answers))
"""


@pytest.fixture(scope="module", params=sorted(registry.TASKS))
def trained(request, tmp_path_factory):
    """A task, the job it was trained with, and its history."""
    from models.training import train
    from tests.models.tiny import job

    made = job(tmp_path_factory.mktemp(request.param), request.param)
    return made.task, made, train(made)


def test_the_record_is_registered_under_its_name(trained):
    task, made, _ = trained

    assert registry.TASKS[task.name]
    assert registry.config_class(task.name) is task.config
    assert type(made.config) is task.config


def test_one_epoch_has_finite_losses_on_both_splits(trained):
    _, _, history = trained

    assert np.isfinite(history["loss"]).all()
    assert np.isfinite(history["val_loss"]).all()


def test_evaluation_asks_for_a_signature_and_label_that_are_there(trained):
    task, made, _ = trained

    (model_spec,) = task.eval_config(made.config, made.spec).model_specs
    assert model_spec.signature_name == "serving_default"
    assert model_spec.label_key in made.spec.features


def test_the_exported_model_answers_the_same_in_a_fresh_process(trained):
    import tensorflow as tf

    from components.example_gen import first_rows

    task, made, _ = trained
    rows = first_rows(made.model_folder.removesuffix("model") + "examples", "test", made.spec, 5)
    queries: dict = {}
    for row in rows:
        for name, inputs in task.queries(row, made.spec).items():
            for key, value in inputs.items():
                queries.setdefault(name, {}).setdefault(key, []).append(value)
    signatures = tf.saved_model.load(made.model_folder).signatures
    here = {
        name: signatures[name](**{key: tf.constant(values) for key, values in inputs.items()})
        for name, inputs in queries.items()
    }

    printable = {
        name: {key: [v.hex() for v in values] for key, values in inputs.items()} for name, inputs in queries.items()
    }
    done = subprocess.run(
        [sys.executable, "-c", RELOAD, made.model_folder, json.dumps(printable)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    there = json.loads(done.stdout)
    assert set(there) == set(here)
    for name, answers in there.items():
        for key, value in answers.items():
            np.testing.assert_allclose(value, here[name][key].numpy(), atol=1e-5)


def test_the_signatures_agree_about_the_same_rows(trained):
    from components.example_gen import first_rows
    from components.serving_check import check

    task, made, _ = trained
    rows = first_rows(made.model_folder.removesuffix("model") + "examples", "test", made.spec, 5)

    assert check(made.model_folder, rows, task, made.spec)


def test_tensorboard_has_scalars_histograms_graph_and_images(trained):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    task, made, _ = trained
    board = EventMultiplexer().AddRunsFromDirectory(made.log_folder)
    board.Reload()

    tags = {run: board.GetAccumulator(run).Tags() for run in board.Runs()}
    assert tags["pictures"]["graph"]
    assert {"epoch_loss", "epoch_learning_rate"} <= set(tags["train"]["tensors"])
    assert "epoch_loss" in tags["validation"]["tensors"]
    assert any(tag.endswith("/histogram") for tag in tags["train"]["tensors"])
    pictures = {"samples": task.sample_images, "confusion_matrix": task.epoch_plots}
    assert {tag for tag, provided in pictures.items() if provided} <= set(tags["pictures"]["tensors"])
