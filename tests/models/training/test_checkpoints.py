"""A training that is killed resumes from its last checkpoint and ends with the same weights."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

# Trains the same job each time; with an argument, kills itself without warning after that many steps of its own.
TRAIN = """
import json, os, signal, sys
import keras
from models.training import trainer
from tests.models.tiny import job

folder, kill_at = sys.argv[1], int(sys.argv[2])
steps = []

class Kill(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        steps.append(batch)
        if len(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

make_callbacks = trainer.make_callbacks
trainer.make_callbacks = lambda *arguments: [*make_callbacks(*arguments), Kill()]
tiny_job = job(folder, epochs=4, batch_size=8, checkpoint_steps=2, augment=True, early_stopping={"patience": 4})
history = trainer.train(tiny_job).history
print(json.dumps({"steps": len(steps), "history": history}))
"""


def _train(folder, kill_at=0) -> dict | None:
    """Returns what a training in a process of its own printed; None when it was killed."""
    folder.mkdir(exist_ok=True)
    for name in ("examples", "transform", "model"):  # made anew each time; the checkpoints stay
        subprocess.run(["rm", "-rf", str(folder / name)], check=True)
    process = subprocess.run(
        [sys.executable, "-c", TRAIN, str(folder), str(kill_at)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    if process.returncode == -signal.SIGKILL:
        return None
    assert process.returncode == 0, process.stderr[-2000:]
    return json.loads(process.stdout)


def _weights(folder) -> dict[str, np.ndarray]:
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(folder / "model" / "variables" / "variables"))
    keys = [key for key in reader.get_variable_to_shape_map() if not key.startswith("_CHECKPOINTABLE")]
    assert len(keys) > 2
    return {key: reader.get_tensor(key) for key in keys}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A training of 4 epochs of 6 steps that is not interrupted: its folder and output."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    return folder, _train(folder)


def test_a_killed_training_repeats_at_most_one_interval_and_ends_with_the_same_weights(uninterrupted, tmp_path):
    """Killed in the second epoch, at step 9, and in the third, at step 17; checkpoints are at 8 and at 16."""
    assert _train(tmp_path / "killed", kill_at=9) is None
    assert _train(tmp_path / "killed", kill_at=17 - 8) is None  # of its own steps

    finished = _train(tmp_path / "killed")

    assert finished["steps"] == 24 - 16
    expected, weights = _weights(uninterrupted[0]), _weights(tmp_path / "killed")
    assert set(weights) == set(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(weights[key], value, err_msg=key)
    assert finished["history"]["val_loss"] == uninterrupted[1]["history"]["val_loss"]


def test_a_finished_training_leaves_no_checkpoints(uninterrupted):
    assert not (uninterrupted[0] / "checkpoints").exists()


def test_early_stopping_keeps_the_best_epoch(tmp_path):
    from models.training.trainer import train
    from tests.models.tiny import job

    # A rate so high that the validation loss goes up and down, and soon does not improve for two epochs.
    trained = train(
        job(tmp_path, epochs=30, learning_rate=0.5, optimizer="sgd", early_stopping={"patience": 2, "min_delta": 0.01})
    )

    losses = trained.history["val_loss"]
    best = float("inf")
    waited = 0
    for epoch, loss in enumerate(losses, start=1):
        best, waited = (loss, 0) if best - loss > 0.01 else (best, waited + 1)
        assert (waited >= 2) == (epoch == len(losses) and len(losses) < 30)


def test_the_chosen_epoch_is_the_best_one_and_without_early_stopping_the_last():
    from models.training.checkpoints import Progress

    assert Progress(epoch=9, waited=2).chosen == 6
    assert Progress(epoch=9).chosen == 8
