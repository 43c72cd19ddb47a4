"""Made-up test splits, and untrained models that the tasks' own code builds and exports."""

import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from benchmarks.columns.made_up import FEATURES, SPEC, write_table
from components.artifact_files import ROW_IDS
from components.example_gen import first_rows, split_files, write_splits
from components.schema import schema_text
from data import loading, local
from data.checks.rows import RowChecks
from data.config import DataConfig
from data.examples import encode
from data.spec import DatasetSpec, ImageFeature, LabelFeature
from models import registry
from models.export import export
from models.preprocessing.learning import learn

TRAINING_ROWS = {"train": 20_000, "validation": 2_000}
TABLE, PICTURES = "tabular_classification", "image_classification"
CLASSES = tuple(f"class {number}" for number in range(10))


def write_rows(folder: Path, rows: int) -> None:
    """Writes by ingest a test split of `rows` rows of the table of 20 columns, and a model."""
    for split, count in {**TRAINING_ROWS, "test": rows}.items():
        (folder / split).mkdir()
        write_table(folder / split, count, ("parquet",))
    files = {split: f"{split}/rows.parquet" for split in (*TRAINING_ROWS, "test")}
    config = DataConfig.model_validate({"files": files, "features": FEATURES})
    dataset = local.dataset(config, "bench", folder)
    checks = RowChecks(config.row_checks, dataset.spec, config.cut_shares, "")
    summary = write_splits(loading.open_batches(dataset, config), dataset.spec, folder / "examples", checks)
    num_rows = {split: values["rows"] for split, values in summary.items()}
    _write_model(folder, dataset.spec.model_copy(update={"num_rows": num_rows}), TABLE)


def write_pictures(folder: Path, rows: int) -> None:
    """Writes a test split of `rows` pictures of Fashion-MNIST's size, and the model of its run file."""
    generator = np.random.default_rng(0)
    features = {"image": ImageFeature(height=28, width=28, channels=1), "label": LabelFeature(classes=CLASSES)}
    num_rows = {"train": 1_000, "validation": 100, "test": rows}
    spec = DatasetSpec(name="pictures", title="", licence="", features=features, num_rows=num_rows)
    for split, count in num_rows.items():
        (folder / "examples" / f"Split-{split}").mkdir(parents=True)
        path = folder / "examples" / f"Split-{split}" / "data-00000.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for pixels in generator.integers(0, 256, (count, 28, 28, 1), dtype=np.uint8):
                writer.write(encode({"image": pixels, "label": int(generator.integers(0, 10))}, spec))
    row_ids = np.stack([np.zeros(rows, np.int64), np.arange(1, rows + 1)], axis=1)
    np.savez(ROW_IDS.path(folder / "examples"), files=np.array(["test"]), places=row_ids)
    _write_model(folder, spec, PICTURES)


def _write_model(folder: Path, spec: DatasetSpec, task_name: str) -> None:
    """Writes the facts of the data, and a SavedModel with random weights as `model`."""
    (folder / SPEC).write_text(spec.model_dump_json())
    task, examples, transform = registry.task(task_name), str(folder / "examples"), folder / "transform"
    config = task.config()
    schema = text_format.Parse(schema_text(spec), schema_pb2.Schema())
    transform.mkdir()
    learn(
        lambda raw: task.preprocessing_fn(raw, config, spec),
        schema,
        split_files(examples, "train"),
        spec.num_rows["train"],
        transform,
    )
    keras.utils.set_random_seed(0)
    export(
        task.build_model(config, spec),
        str(transform),
        task=task,
        config=config,
        spec=spec,
        rows=first_rows(examples, "train", spec, 4),
        into=str(folder / "model"),
    )
    shutil.rmtree(transform)
