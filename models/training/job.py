"""What is trained, on what, how and where to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data.spec import DatasetSpec
from models.config import TaskConfig, TrainConfig
from models.task import Task


@dataclass(frozen=True)
class TrainingJob:
    """All that a training needs.

    Attributes:
        task: The task.
        config: Its settings.
        train: How to train.
        spec: The data set's facts.
        seed: Of weights, data order, augmentation and dropout.
        num_rows: Examples in the files of each split, by name of the split.
        train_files: TFRecord files of tf.train.Examples.
        validation_files: The same, for early stopping and the curves; never the test split.
        transform_folder: What TFX's Transform wrote.
        model_folder: Receives the SavedModel.
        log_folder: Receives TensorBoard's event files.
        checkpoint_folder: Holds the state of an unfinished training; another job needs another folder.
        published: Folder of the published SavedModel whose weights it begins with, where they fit; None for new ones.
        why_no_warm_start: Why it does not begin with them though asked to; empty where nothing speaks against it.
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
