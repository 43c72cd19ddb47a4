"""Training state on disk: a killed training resumes from its last checkpoint, and ends with the same weights."""

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
    """Progress of a training, and the state of early stopping.

    Attributes:
        epoch: Current epoch, from 0.
        step: Number of finished steps of that epoch.
        best: Best value of the monitored quantity so far; None before the first epoch's end.
        waited: Number of epochs since then.
        stopped: Whether early stopping has ended the training.
        history: Metric -> its value after each finished epoch.
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
    """The checkpoints of one training; each is written atomically, and the newest replaces the one before."""

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
        older = [path for path in self._checkpoint_folders() if path.name != name]
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
        """Restores the newest checkpoint into a compiled model; returns its progress, or that of a new training."""
        checkpoints = self._checkpoint_folders()
        if not checkpoints:
            return Progress()
        model.optimizer.build(model.trainable_variables)
        model.load_weights(checkpoints[-1] / "state.weights.h5")
        with np.load(checkpoints[-1] / "random.npz") as saved:
            for state, name in zip(_random_states(model), saved.files, strict=True):
                state.assign(saved[name])
        return Progress(**json.loads((checkpoints[-1] / "progress.json").read_text()))

    def remove(self) -> None:
        """Removes all checkpoints, when the training is done."""
        shutil.rmtree(self.folder)

    def _checkpoint_folders(self) -> list[Path]:
        return sorted(self.folder.glob("epoch-*"))


def _random_states(model: keras.Model) -> list:
    """Returns the states of the random layers, which Keras leaves out of saved weights."""
    return [variable for variable in model.variables if variable.path.endswith("seed_generator_state")]


class SaveCheckpoints(keras.callbacks.Callback):
    """Updates `progress`, stops early, and saves after every epoch and every `every_steps` steps.

    Keras's own EarlyStopping and BackupAndRestore lose their state when a training is killed, and restart an unfinished
    epoch at its first batch.
    """

    def __init__(self, checkpoints: Checkpoints, progress: Progress, stopping: EarlyStopping | None, every_steps: int):
        super().__init__()
        self._checkpoints, self._progress = checkpoints, progress
        self._stopping, self._every_steps = stopping, every_steps

    def on_train_batch_end(self, batch, logs=None):
        """Saves every `every_steps` steps."""
        self._progress.step += 1
        if self._progress.step % self._every_steps == 0:
            self._checkpoints.save(self.model, self._progress)

    def on_epoch_end(self, epoch, logs=None):
        """Updates history and early stopping, then saves."""
        self._progress.epoch, self._progress.step = epoch + 1, 0
        for name, value in (logs or {}).items():
            self._progress.history.setdefault(name, []).append(float(value))
        if self._stopping:
            self._update_early_stopping(float(logs[self._stopping.monitor]))
        self._checkpoints.save(self.model, self._progress)

    def _update_early_stopping(self, value: float) -> None:
        stopping, progress = self._stopping, self._progress
        sign = -1 if stopping.monitor.endswith("loss") else 1
        if progress.best is None or sign * (value - progress.best) > stopping.min_delta:
            progress.best, progress.waited = value, 0
            self._checkpoints.save_best(self.model)
            return
        progress.waited += 1
        if progress.waited >= stopping.patience:
            progress.stopped = self.model.stop_training = True
