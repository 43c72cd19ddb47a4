"""What every registered task must do; a task's own test file only adds what is special."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from models import registry
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

RELOAD = """
import pickle, sys
import numpy as np
import tensorflow as tf
from tests.models.test_contract import ask
queries = pickle.load(open(sys.argv[2], "rb"))
pickle.dump(ask(sys.argv[1], queries), open(sys.argv[2], "wb"))
"""


def ask(model_folder: str, queries: list[dict]) -> dict:
    """Returns what every signature of an exported model answers, by signature and output."""
    import tensorflow as tf

    signatures = tf.saved_model.load(model_folder).signatures
    answers = {}
    for name in queries[0]:
        _, wanted = signatures[name].structured_input_signature
        inputs = {key: tf.constant([query[name][key] for query in queries], wanted[key].dtype) for key in wanted}
        answers[name] = {key: value.numpy() for key, value in signatures[name](**inputs).items()}
    return answers


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


def test_the_exported_model_answers_the_same_in_a_fresh_process(trained, tmp_path):
    from components.example_gen import first_rows

    task, made, _ = trained
    rows = first_rows(made.model_folder.removesuffix("model") + "examples", "test", made.spec, 12)
    queries = [task.queries(row, made.spec) for row in rows]
    here = ask(made.model_folder, queries)

    (tmp_path / "queries").write_bytes(pickle.dumps(queries))
    done = subprocess.run(
        [sys.executable, "-c", RELOAD, made.model_folder, str(tmp_path / "queries")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    there = pickle.loads((tmp_path / "queries").read_bytes())
    assert set(there) == set(here)
    for name, answers in there.items():
        for key, value in answers.items():
            if value.dtype.kind == "f":
                np.testing.assert_allclose(value, here[name][key], atol=1e-5)
            else:
                assert value.tolist() == here[name][key].tolist()


def test_classical_models_learn_from_the_same_rows_and_are_compared(trained):
    from components.baseline import predict_split
    from components.classical import fit, read_frame, values_of
    from models.classical import paired_bootstrap

    task, made, _ = trained
    examples = made.model_folder.removesuffix("model") + "examples"
    frames = {split: read_frame(examples, split, made.spec) for split in ("train", "test")}
    (target,) = made.spec.targets()
    targets = frames["test"][target].to_numpy()
    compared = task.compared(made.config, made.spec)
    network, _ = predict_split(made.model_folder, examples, "test", task.prediction_key)

    for candidate in task.classical(made.config, made.spec).values():
        told, predictions = fit(candidate, frames, made.spec, compared, seed=0)
        assert predictions.shape == network.shape
        assert all(np.isfinite(value) for value in told["metrics"].values())
        for metric in compared.values():
            interval = paired_bootstrap(metric, targets, network, predictions, seed=0, resamples=20)
            assert interval.low <= interval.high
    assert set(values_of(compared, targets, network)) <= set(made.config.metric_ranges(made.spec))


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
    assert any(tag.endswith("/histogram") for tag in tags["train"]["tensors"]) or task.name == "recommendation"
    pictures = {"samples": task.sample_images, "confusion_matrix": task.epoch_plots}
    assert {tag for tag, provided in pictures.items() if provided} <= set(tags["pictures"]["tensors"])
