"""One piece of work in a process of its own: `work.py NAME FOLDER [ENDING]` prints CPU seconds and peak memory as JSON.

Imports are not timed.
"""

import json
import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import keras
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from apache_beam.options.pipeline_options import PipelineOptions
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder
from tfx_bsl.public import tfxio

from benchmarks.columns.made_up import FEATURES, FEATURES_FILE, SPEC
from components import statistics
from components.example_gen import split_files, write_splits
from components.schema import schema_text
from data import loading, local
from data.checks.rows import RowChecks
from data.config import DataConfig
from data.spec import SPLITS, DatasetSpec, SequenceFeature, TextFeature
from models import registry
from models.config import TrainConfig
from models.preprocessing.learning import learn
from models.task import Task
from models.training.input import keep_training_rows, training_batches
from models.training.job import TrainingJob
from models.training.optimizer import make_optimizer
from pipeline.running.graph import BEAM_ARGS

BATCH_ROWS = 16_384
READERS = {"csv": pa.csv.read_csv, "parquet": pa.parquet.read_table, "jsonl": pa.json.read_json}
EPOCHS = 5


def ingest(folder: Path, ending: str) -> None:
    """Ingests as the stage does, with all checks; other pieces of work read its examples."""
    file = folder / FEATURES_FILE
    features = json.loads(file.read_text()) if file.exists() else FEATURES
    config = DataConfig.model_validate({"files": f"rows.{ending}", "features": features})
    dataset = local.dataset(config, "bench", folder)
    shutil.rmtree(folder / "examples", ignore_errors=True)
    checks = RowChecks(config.row_checks, dataset.spec, config.cut_shares, config.group or "")
    summary = write_splits(loading.open_batches(dataset, config), dataset.spec, folder / "examples", checks)
    num_rows = {split: values["rows"] for split, values in summary.items()}
    (folder / SPEC).write_text(dataset.spec.model_copy(update={"num_rows": num_rows}).model_dump_json())


def ingest_rival(folder: Path, ending: str) -> None:
    """Ingests by Arrow's reader, tfx_bsl's encoder and one TFRecord file."""
    encoder = RecordBatchToExamplesEncoder()
    with tf.io.TFRecordWriter(str(folder / "rival.tfrecord")) as writer:
        for batch in READERS[ending](folder / f"rows.{ending}").to_batches(BATCH_ROWS):
            lists = pa.RecordBatch.from_arrays([_as_lists(column) for column in batch.columns], batch.schema.names)
            for serialized in encoder.encode(lists):
                writer.write(serialized)


def _as_lists(column: pa.Array) -> pa.ListArray:
    """Returns a column as examples store it: a list of its values in each row."""
    if pa.types.is_list(column.type):
        return column.cast(pa.list_(pa.float32()))
    is_number = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    values = column.cast(pa.float32(), safe=False) if is_number else column.cast(pa.string()).cast(pa.binary())
    offsets = pa.array([0, *column.is_valid().cast(pa.int32()).to_numpy().cumsum()], pa.int32())
    return pa.ListArray.from_arrays(offsets, values.drop_null())


def new_rival(folder: Path) -> None:
    READERS["csv"](folder / "rows.csv")


def statistics_ours(folder: Path) -> None:
    for split in SPLITS:
        statistics.generate(split_files(str(folder / "examples"), split), _spec(folder))


def transform(folder: Path) -> None:
    """Runs the analyzers as the stage does."""
    spec, task = _spec(folder), _task(folder)
    schema = text_format.Parse(schema_text(spec), schema_pb2.Schema())
    files, out = split_files(str(folder / "examples"), "train"), _emptied(folder / "transform")
    learn(lambda raw: task.preprocessing_fn(raw, task.config(), spec), schema, files, spec.num_rows["train"], out)


def transform_rival(folder: Path) -> None:
    """Runs TFT directly on the record batches, with the preprocessing of the task."""
    spec, task, out = _spec(folder), _task(folder), _emptied(folder / "transform-rival")
    schema = text_format.Parse(schema_text(spec), schema_pb2.Schema())
    pattern = str(folder / "examples" / "Split-train" / "*")
    source = tfxio.TFExampleRecord(pattern, schema=schema, telemetry_descriptors=["bench"])
    with (
        beam.Pipeline(options=PipelineOptions(BEAM_ARGS)) as pipeline,
        tft_beam.Context(temp_dir=str(out / "tmp")),
    ):
        data = pipeline | source.BeamSource()
        function = (data, source.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(
            lambda inputs: task.preprocessing_fn(inputs, task.config(), spec)
        )
        _ = function | tft_beam.WriteTransformFn(str(out))


def fit(folder: Path, first: str) -> dict[str, float]:
    """Returns the rows a second of the second of 5 epochs: from our input, and from NumPy arrays of the same rows."""
    job = _job(folder)
    kept = keep_training_rows(job)
    if kept is None:
        raise SystemExit("The training rows are not kept: they take more than train.buffer_mib.")
    rows = job.num_rows["train"]
    steps = -(-rows // job.train.batch_size)

    def ours(model: keras.Model, clock: "_Clock") -> None:
        model.fit(
            training_batches(job, kept),
            epochs=EPOCHS,
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=[clock],
        )

    def numpy(model: keras.Model, clock: "_Clock") -> None:
        arrays = {name: values.numpy() for name, values in kept.items()}
        labels = arrays.pop(job.task.label_keys[0])
        model.fit(arrays, labels, batch_size=job.train.batch_size, epochs=EPOCHS, verbose=0, callbacks=[clock])

    functions = {"ours": ours, "numpy": numpy}
    rates = {}
    for name in sorted(functions, key=lambda name: name != first):
        keras.utils.set_random_seed(0)
        model = job.task.build_model(job.config, job.spec)
        loss = job.task.loss(job.config, job.spec)
        metrics = job.task.metrics(job.config, job.spec)
        model.compile(optimizer=make_optimizer(job.train, steps), loss=loss, metrics=metrics, jit_compile=False)
        clock = _Clock()
        functions[name](model, clock)
        rates[name] = rows / clock.seconds
    return rates


class _Clock(keras.callbacks.Callback):
    """Times the second epoch, and then stops the training."""

    async_safe = True  # else Keras reads the losses after each batch
    seconds = 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self._begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds = time.perf_counter() - self._begin
        self.model.stop_training = epoch == 1


def _job(folder: Path) -> TrainingJob:
    task, spec, examples = _task(folder), _spec(folder), str(folder / "examples")
    return TrainingJob(
        task=task,
        config=task.config(),
        train=TrainConfig(epochs=EPOCHS, early_stopping=None),
        spec=spec,
        seed=0,
        num_rows=spec.num_rows,
        train_files=split_files(examples, "train"),
        validation_files=split_files(examples, "validation"),
        transform_folder=str(folder / "transform"),
        model_folder="",
        log_folder="",
        checkpoint_folder="",
    )


def _spec(folder: Path) -> DatasetSpec:
    return DatasetSpec.model_validate_json((folder / SPEC).read_text())


def _task(folder: Path) -> Task:
    spec = _spec(folder)
    if spec.of(SequenceFeature):
        return registry.task("sequence_classification")
    return registry.task("text_classification" if spec.of(TextFeature) else "tabular_classification")


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


WORK: dict[str, Callable] = {
    "ingest": ingest,
    "ingest_rival": ingest_rival,
    "new_rival": new_rival,
    "statistics": statistics_ours,
    "transform": transform,
    "transform_rival": transform_rival,
    "fit": fit,
}


def main() -> None:
    name, folder, *arguments = sys.argv[1:]
    cpu = time.process_time()
    result = WORK[name](Path(folder), *arguments)
    seconds = time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"cpu": seconds, "peak_gib": peak, **(result or {})}))


if __name__ == "__main__":
    main()
