"""A tiny training, and checks of its device and precision."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.models import tiny


@dataclass(frozen=True)
class TrainedOnDevice:
    """A finished training.

    Attributes:
        job: The job.
        model: The Keras model.
        loss: The loss of each epoch.
    """

    job: Any
    model: Any
    loss: list[float]


def train_somewhere(folder: Path, task: str, precision: str) -> TrainedOnDevice:
    """Trains and exports a tiny model on the device that is the default of this machine."""
    from models.training.trainer import train

    job, models = tiny.job(folder, task, precision=precision, epochs=3), []

    def build_model(config, spec):
        models.append(job.task.build_model(config, spec))
        return models[0]

    history = train(replace(job, task=replace(job.task, build_model=build_model))).history
    return TrainedOnDevice(job, models[0], history["loss"])


def check_training(trained: TrainedOnDevice, *, device: str, arithmetic: str) -> None:
    """Raises AssertionError unless it learned, on devices of this kind, and what it exported computes as expected."""
    from models.precision import precision_of
    from models.training.input import sample_batch

    assert trained.loss[-1] < trained.loss[0], f"it learned nothing: {trained.loss}"
    features, _ = sample_batch(trained.job)
    outputs = trained.model(features, training=False)
    devices = {variable.value.device for variable in trained.model.trainable_variables} | {outputs.device}
    assert all(f"device:{device}:" in name for name in devices), f"expected {device}, it ran on {devices}"
    precision = precision_of(Path(trained.job.model_folder))
    assert precision == arithmetic, f"expected {arithmetic}, it computes in {precision}"


def check_serving(trained: TrainedOnDevice, scratch: Path) -> None:
    """Raises ServingError unless a server predicts as the trained model does."""
    from components.serving_check import predict_rows
    from models.serving.smoke_test.smoke_test import run_smoke_test

    job, model = trained.job, Path(trained.job.model_folder)
    rows = tiny.rows_of(job.task.name, 5, seed=2)
    run_smoke_test(
        model,
        "tiny",
        ask=lambda: predict_rows(str(model), rows, job.task, job.config, job.spec),
        folder=scratch,
        engine="embedded",
    )
