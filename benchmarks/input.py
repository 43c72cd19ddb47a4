"""Images a second, into `fit` and without a model: `input.py HOME`, where `fashion_mnist` has run. Prints JSON.

Our training input is read for three epochs. The alternatives are the same images in memory, and the same TFRecords
read, batched and parsed by hand.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from models import registry
from models.training.input import keep_training_rows, training_batches
from models.training.job import TrainingJob
from models.training.optimizer import make_optimizer
from pipeline.core import config

ROUNDS, EPOCHS, BATCH = 5, 3, 128
ARTIFACTS = Path(sys.argv[1]) / "runs" / "fashion_mnist" / "artifacts"


def newest(stage: str, output: str) -> Path:
    return max(
        (path for path in (ARTIFACTS / stage / output).iterdir() if path.name.isdecimal()), key=lambda p: int(p.name)
    )


named = config.load("fashion_mnist", ["model.flip=false", "train.epochs=1"])
task, spec = registry.task("image_classification"), named.dataset.spec
files = {split: sorted(map(str, newest("ingest", "examples").glob(f"Split-{split}/*"))) for split in spec.num_rows}
job = TrainingJob(
    task=task,
    config=named.config.model,
    train=named.config.train,
    spec=spec,
    seed=0,
    num_rows=spec.num_rows,
    train_files=files["train"],
    validation_files=files["validation"],
    transform_folder=str(newest("transform", "transform_graph")),
    model_folder="",
    log_folder="",
    checkpoint_folder="",
)
rows, steps = spec.num_rows["train"], -(-spec.num_rows["train"] // BATCH)


def parse(serialized):
    features = {"image": tf.io.FixedLenFeature((), tf.string), "label": tf.io.FixedLenFeature((), tf.int64)}
    parsed = tf.io.parse_example(serialized, features)
    pixels = tf.reshape(tf.io.decode_raw(parsed["image"], tf.uint8), (-1, 28, 28, 1))
    return {"image": tf.cast(pixels, tf.float32) / 255.0}, parsed["label"]


def by_hand():
    records = tf.data.TFRecordDataset(files["train"]).shuffle(100_000, seed=0).batch(BATCH).repeat(EPOCHS)
    return records.map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def rates(function, epochs: int = EPOCHS) -> tuple[float, float]:
    """Returns images per second of wall time and of CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return epochs * rows / (time.perf_counter() - wall), epochs * rows / (time.process_time() - cpu)


def drain(batches) -> None:
    for _ in batches:
        pass


model = task.build_model(job.config, spec)
model.compile(optimizer=make_optimizer(job.train, steps), loss=task.loss(job.config, spec), jit_compile=False)
images, labels = (
    np.concatenate(parts) for parts in zip(*((x["image"], y) for x, y in by_hand().take(steps)), strict=True)
)
kept = keep_training_rows(job)
ours = training_batches(job, kept)
candidates = {
    "input_ours": lambda: drain(training_batches(job, kept).take(EPOCHS * steps)),
    "input_by_hand": lambda: drain(by_hand()),
    "fit_ours": lambda: model.fit(ours, steps_per_epoch=steps, shuffle=False, verbose=0),
    "fit_memory": lambda: model.fit({"image": images}, labels, batch_size=BATCH, verbose=0),
}
measurements: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
for _ in range(ROUNDS + 1):  # the first warms up
    for name, function in candidates.items():
        measurements[name].append(rates(function, EPOCHS if name.startswith("input") else 1))
medians = {
    name: {kind: statistics.median(pair[index] for pair in values[1:]) for index, kind in enumerate(("wall", "cpu"))}
    for name, values in measurements.items()
}
print(json.dumps(medians))
