"""A tiny training, and what must hold of it on the device and in the precision that are expected."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.models.tiny import job, rows_of


@dataclass(frozen=True)
class TrainedOnDevice:
    """A training that ended.

    Attributes:
        job: The job.
        model: The Keras model.
        loss: The loss of each epoch.
    """

    job: Any
    model: Any
    loss: list[float]


def train_somewhere(folder: Path, task: str, precision: str) -> TrainedOnDevice:
    """Trains and exports a tiny model where this machine does it by itself."""
    from models.training.trainer import train

    made, built = job(folder, task, precision=precision, epochs=3), []

    def build_model(config, spec):
        built.append(made.task.build_model(config, spec))
        return built[0]

    history = train(replace(made, task=replace(made.task, build_model=build_model))).history
    return TrainedOnDevice(made, built[0], history["loss"])


def check_training(trained: TrainedOnDevice, *, device: str, arithmetic: str) -> None:
    """Raises AssertionError unless it learned, on devices of this kind, and what it exported computes as expected."""
    from models.precision import precision_of
    from models.training.input import sample_batch

    assert trained.loss[-1] < trained.loss[0], f"it learned nothing: {trained.loss}"
    features, _ = sample_batch(trained.job)
    answer = trained.model(features, training=False)
    devices = {variable.value.device for variable in trained.model.trainable_variables} | {answer.device}
    assert all(f"device:{device}:" in name for name in devices), f"expected {device}, it ran on {devices}"
    found = precision_of(Path(trained.job.model_folder))
    assert found == arithmetic, f"expected {arithmetic}, it computes in {found}"


def check_serving(trained: TrainedOnDevice, scratch: Path) -> None:
    """Raises ServingError unless a server answers as the trained model does."""
    from components.serving_check import predict_rows
    from models.serving.smoke_test.smoke_test import run_smoke_test

    made, model = trained.job, Path(trained.job.model_folder)
    rows = rows_of(made.task.name, 5, seed=2)
    run_smoke_test(
        model,
        "tiny",
        ask=lambda: predict_rows(str(model), rows, made.task, made.config, made.spec),
        folder=scratch,
        engine="embedded",
    )
