"""One piece of work in a process of its own: `work.py NAME FOLDER [ROWS]` prints CPU seconds and peak memory as JSON.

Imports and the loading of the model are not timed.
"""

import dataclasses
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.columns.made_up import SPEC
from benchmarks.evaluate import models
from components import predictions
from components.artifact_files import CLASSICAL, PREDICTIONS
from components.baseline import compare
from components.evaluator import evaluate
from components.example_gen import split_files
from data.spec import DatasetSpec
from data.texts import to_json
from models import registry
from models.evaluation.metrics import Metric
from models.evaluation.predictions import read
from models.serving.rollout.versions import publish
from pipeline.live.predicting import predict
from pipeline.live.predictions import open_table

SLICES = ("category0", "category1", "category2", "flag")  # beside the label


def pictures(folder: Path) -> dict[str, float]:
    """Evaluates the model of pictures."""
    return _measured(folder, models.PICTURES)


def rows(folder: Path) -> dict[str, float]:
    """Evaluates the model of rows, and compares it with another one."""
    return _measured(folder, models.TABLE, compared=True)


def sliced(folder: Path) -> dict[str, float]:
    """As `rows`, with slices by five columns."""
    return _measured(folder, models.TABLE, compared=True, slice_by=SLICES)


def _measured(folder: Path, task_name: str, *, compared: bool = False, **settings) -> dict[str, float]:
    """Returns the CPU seconds of one forward pass, of the parts of an evaluation, and of all parts together."""
    spec = DatasetSpec.model_validate_json((folder / SPEC).read_text())
    task, files = registry.task(task_name), split_files(str(folder / "examples"), "test")
    config = task.config(**settings)
    seconds = {}
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        with _clock(seconds, "forward"):
            _forward(str(folder / "model"), files, task.prediction_key)
        with _clock(seconds, "predict"):
            predictions.write(
                out,
                str(folder / "model"),
                str(folder / "examples"),
                spec=spec,
                task=task,
                slice_by=config.slice_columns(spec),
            )
        with _clock(seconds, "measure"):
            result = evaluate(PREDICTIONS.path(out), config, spec)
            (out / "metrics.json").write_text(to_json(result.as_json(), indent=1))
        if compared:
            metric = next(iter(config.compared(spec).values()))
            _write_other(out, metric)
            with _clock(seconds, "compare"):
                to_json(compare(read(PREDICTIONS.path(out)), out, metric))
    return {**seconds, "cpu": sum(seconds.values()) - seconds["forward"]}


def _forward(saved_model: str, files: list[str], output: str) -> None:
    """Calls the served signature on all examples, in the batches of the evaluation."""
    signature = predictions.signature(saved_model)
    for batch in tf.data.TFRecordDataset(files).batch(predictions.batch_rows(files)):
        signature(inputs=batch)[output].numpy()


def _write_other(folder: Path, metric: Metric) -> None:
    """Writes predictions of a reference model, the network's with noise, and a trivial one, the same for all rows."""
    predicted = read(PREDICTIONS.path(folder))
    noise = np.random.default_rng(0).normal(0, 0.1, predicted.values.shape)
    predictions_of = {"other": np.clip(predicted.values + noise, 0, 1).astype(np.float32)}
    predictions_of["majority"] = np.full_like(predicted.values, 0.5)
    summaries = {}
    for name, values in predictions_of.items():
        np.save(folder / f"{name}.npy", values)
        metrics = {metric.name: metric.value(predicted.targets, values)}
        summaries[name] = {"metrics": metrics, "trivial": name == "majority"}
    CLASSICAL.path(folder).write_text(to_json(summaries))


def predict_out(folder: Path) -> dict[str, float]:
    """`headrace predict --out` of the test split's table, and a forward pass over as many examples."""
    spec = DatasetSpec.model_validate_json((folder / SPEC).read_text())
    task, files = registry.task(models.TABLE), split_files(str(folder / "examples"), "test")
    query = dataclasses.asdict(task.file_query(task.config(), spec))
    facts = {"file_query": query, "data": {}, "spec": spec.model_dump(mode="json")}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        home, table = Path(scratch), folder / "test" / "rows.parquet"
        publish(folder / "model", home / "serving" / "rows", facts)
        with _clock(seconds, "forward"):
            _forward(str(folder / "model"), files, task.prediction_key)
        predicted = predict("rows", [table], home)
        predicted.columns()  # loads the model
        with _clock(seconds, "cpu"), open_table(home / "out.parquet", [table]) as writer:
            for batch in predicted:
                writer.write(batch, predicted.columns())
    return seconds


class _clock:
    """Stores the CPU seconds of a block under a name."""

    def __init__(self, seconds: dict[str, float], name: str):
        self._seconds, self._name = seconds, name

    def __enter__(self) -> None:
        self._begin = time.process_time()

    def __exit__(self, *_) -> None:
        self._seconds[self._name] = time.process_time() - self._begin


WORK: dict[str, Callable] = {
    "write_rows": models.write_rows,
    "write_pictures": models.write_pictures,
    "pictures": pictures,
    "rows": rows,
    "sliced": sliced,
    "predict_out": predict_out,
}


def main() -> None:
    name, folder, *arguments = sys.argv[1:]
    if name in ("pictures", "rows", "sliced", "predict_out"):
        predictions.signature(f"{folder}/model")
    result = WORK[name](Path(folder), *map(int, arguments))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({**(result or {}), "peak_gib": peak}))


if __name__ == "__main__":
    main()
