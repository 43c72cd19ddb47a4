"""Made-up rows for every task, and a training job on them, without Beam."""

import json
from pathlib import Path

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata

from components.example_gen import write_splits
from data.spec import SPLITS, DatasetSpec, ImageFeature, LabelFeature, Row
from models import registry
from models.config import TrainConfig
from models.training import TrainingJob


def spec_of(task: str) -> DatasetSpec:
    """Returns the facts of a made-up data set that a task can learn."""
    features = {
        "image_classification": {
            "image": ImageFeature(height=6, width=6, channels=1),
            "label": LabelFeature(classes=("dark", "light", "half")),
        }
    }[task]
    num_rows = {"train": 48, "validation": 12, "test": 12}
    return DatasetSpec(name="tiny", title="made up", licence="none", features=features, num_rows=num_rows)


def rows_of(spec: DatasetSpec, count: int, seed: int) -> list[Row]:
    """Returns rows whose image is as bright as its label says."""
    generator = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        label = index % 3
        image = generator.integers(0, 60, (6, 6, 1)) + (0, 190, 95)[label]
        rows.append({"image": image.astype(np.uint8), "label": label})
    return rows


def transform_folder(task, config, spec: DatasetSpec, rows: list[Row], folder: Path) -> str:
    """Runs a task's preprocessing over rows, as TFX's Transform does, and returns the folder of its graph."""
    kinds = {ImageFeature: tf.string, LabelFeature: tf.int64}
    raw = {name: tf.io.FixedLenFeature([], kinds[type(feature)]) for name, feature in spec.features.items()}
    metadata = dataset_metadata.DatasetMetadata.from_feature_spec(raw)
    stored = [
        {name: value.tobytes() if isinstance(value, np.ndarray) else value for name, value in row.items()}
        for row in rows
    ]
    with beam.Pipeline("FnApiRunner") as pipeline, tft_beam.Context(temp_dir=f"{folder}/tmp"):
        transform_fn = (pipeline | beam.Create(stored), metadata) | tft_beam.AnalyzeDataset(
            lambda inputs: task.preprocessing_fn(inputs, config, spec)
        )
        transform_fn | tft_beam.WriteTransformFn(str(folder))
        metadata | tft_beam.WriteMetadata(f"{folder}/{tft.TFTransformOutput.RAW_METADATA_DIR}", pipeline)
    return str(folder)


def job(folder, task: str = "image_classification", seed: int = 0, **train) -> TrainingJob:
    """Returns a training job of a few small steps below `folder`."""
    folder = Path(folder)
    provider, spec = registry.task(task), spec_of(task)
    config = provider.config(**json.loads({"image_classification": '{"filters": [4], "dropout": 0.1}'}[task]))
    rows = {split: rows_of(spec, spec.num_rows[split], seed) for seed, split in enumerate(SPLITS)}
    write_splits(((split, row) for split in SPLITS for row in rows[split]), spec, folder / "examples")
    settings: dict = {"epochs": 1, "batch_size": 16, "learning_rate": 0.01, "early_stopping": None} | train
    return TrainingJob(
        task=provider,
        config=config,
        train=TrainConfig(**settings),
        spec=spec,
        seed=seed,
        num_rows=spec.num_rows,
        train_files=[str(folder / "examples" / "Split-train" / "data-00000.tfrecord")],
        validation_files=[str(folder / "examples" / "Split-validation" / "data-00000.tfrecord")],
        transform_folder=transform_folder(provider, config, spec, rows["train"], folder / "transform"),
        model_folder=str(folder / "model"),
        log_folder=str(folder / "logs"),
        checkpoint_folder=str(folder / "checkpoints"),
    )
