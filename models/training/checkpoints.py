"""Training state on disk: a killed training goes on from its last checkpoint, to the same weights."""

import dataclasses
import json
import shutil
from pathlib import Path

import keras
import numpy as np

from data.files import atomic
from models.config import EarlyStopping


@dataclasses.dataclass
class Progress:
    """Where a training is, and what early stopping has seen.

    Attributes:
        epoch: Epoch that runs next, from 0.
        step: Steps of that epoch that are done.
        best: Best value of the monitored quantity so far; None before the first epoch's end.
        waited: Epochs since then.
        stopped: Whether early stopping has ended the training.
        history: Metric -> its value after each whole epoch.
    """

    epoch: int = 0
    step: int = 0
    best: float | None = None
    waited: int = 0
    stopped: bool = False
    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)

    @property
    def chosen(self) -> int:
        """The epoch, from 0, whose weights the model has in the end: the best one, without early stopping the last."""
        return self.epoch - 1 - self.waited


class Checkpoints:
    """The checkpoints of one training; each appears whole or not at all, the newest replaces the one before."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def best_weights(self) -> Path:
        """The weights of the best epoch so far."""
        return self.folder / "best.weights.h5"

    def save(self, model: keras.Model, progress: Progress) -> None:
        """Writes weights, optimizer and random state of `model`, and `progress`."""
        name = f"epoch-{progress.epoch:05d}-step-{progress.step:08d}"
        older = [path for path in self._found() if path.name != name]
        if not (self.folder / name).exists():
            # One rename: a process that is killed leaves either the old checkpoint or both.
            with atomic.replacing(self.folder / name) as staging:
                staging.mkdir()
                model.save_weights(staging / "state.weights.h5")  # the optimizer's state as well
                np.savez(staging / "random.npz", *(state.numpy() for state in _random_states(model)))
                (staging / "progress.json").write_text(json.dumps(dataclasses.asdict(progress)))
        for path in older:
            shutil.rmtree(path)

    def save_best(self, model: keras.Model) -> None:
        """Writes the weights of the best epoch."""
        with atomic.replacing(self.best_weights) as staging:
            model.save_weights(staging)

    def restore(self, model: keras.Model) -> Progress:
        """Brings a compiled model to the newest checkpoint and returns where that is; a fresh start without one."""
        found = self._found()
        if not found:
            return Progress()
        model.optimizer.build(model.trainable_variables)
        model.load_weights(found[-1] / "state.weights.h5")
        with np.load(found[-1] / "random.npz") as saved:
            for state, name in zip(_random_states(model), saved.files, strict=True):
                state.assign(saved[name])
        return Progress(**json.loads((found[-1] / "progress.json").read_text()))

    def remove(self) -> None:
        """Removes all checkpoints: the training is done."""
        shutil.rmtree(self.folder)

    def _found(self) -> list[Path]:
        return sorted(self.folder.glob("epoch-*"))


def _random_states(model: keras.Model) -> list:
    """Returns the states of the random layers, which Keras leaves out of saved weights."""
    return [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]


class SaveCheckpoints(keras.callbacks.Callback):
    """Keeps `progress` up to date, stops early, and saves after every epoch and every `every_steps` steps.

    Keras's own EarlyStopping and BackupAndRestore forget what they have seen when a training is killed, and restart a
    half-done epoch from its first batch.
    """

    def __init__(self, checkpoints: Checkpoints, progress: Progress, stopping: EarlyStopping | None, every_steps: int):
        super().__init__()
        self._checkpoints, self._progress = checkpoints, progress
        self._stopping, self._every_steps = stopping, every_steps

    def on_train_batch_end(self, batch, logs=None):
        """Saves every so many steps."""
        self._progress.step += 1
        if self._progress.step % self._every_steps == 0:
            self._checkpoints.save(self.model, self._progress)

    def on_epoch_end(self, epoch, logs=None):
        """Looks at the monitored quantity, then saves."""
        self._progress.epoch, self._progress.step = epoch + 1, 0
        for name, value in (logs or {}).items():
            self._progress.history.setdefault(name, []).append(float(value))
        if self._stopping:
            self._watch(float(logs[self._stopping.monitor]))
        self._checkpoints.save(self.model, self._progress)

    def _watch(self, value: float) -> None:
        stopping, progress = self._stopping, self._progress
        sign = -1 if stopping.monitor.endswith("loss") else 1
        if progress.best is None or sign * (value - progress.best) > stopping.min_delta:
            progress.best, progress.waited = value, 0
            self._checkpoints.save_best(self.model)
            return
        progress.waited += 1
        if progress.waited >= stopping.patience:
            progress.stopped = self.model.stop_training = True
