"""The training job: task, settings, data and folders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from data.spec import DatasetSpec
from models.config import TaskConfig, TrainConfig
from models.task import Task


@dataclass(frozen=True)
class TrainingJob:
    """Task, settings, data and folders of a training.

    Attributes:
        task: The task.
        config: Its settings.
        train: Settings of training.
        spec: The data set's facts.
        seed: Seed of weights, data order, augmentation and dropout.
        num_rows: Number of examples of each split, by name of the split.
        train_files: TFRecord files of tf.train.Examples.
        validation_files: The same, for early stopping and the curves; never the test split.
        transform_folder: Output of TFX's Transform.
        model_folder: Receives the SavedModel.
        log_folder: Receives TensorBoard's event files.
        checkpoint_folder: Holds the state of an unfinished training; another job needs another folder.
        published: Folder of the published SavedModel for a warm start; None for new weights.
        why_no_warm_start: Reason against a warm start that was requested; empty without one.
        mean_weights: Mean weight of the rows of each split, by name of the split; empty where rows count alike.
    """

    task: Task
    config: TaskConfig
    train: TrainConfig
    spec: DatasetSpec
    seed: int
    num_rows: Mapping[str, int]
    train_files: Sequence[str]
    validation_files: Sequence[str]
    transform_folder: str
    model_folder: str
    log_folder: str
    checkpoint_folder: str
    published: str | None = None
    why_no_warm_start: str = ""
    mean_weights: Mapping[str, float] = field(default_factory=dict)
