"""Writes records and artifacts of made-up runs, also of a thousand runs or classes, within seconds."""

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from data.spec import DatasetSpec, LabelFeature, NumberFeature, TextFeature
from models.evaluation import metrics
from models.evaluation.evaluation import Evaluation
from models.evaluation.predictions import Predictions
from pipeline.core.config import schema_class
from pipeline.core.paths import PipelinePaths
from pipeline.history.record import RunRecord, StageRecord
from tests.models.evaluation.stored import store

STAGES = (
    "ingest",
    "statistics",
    "data_gate",
    "train",
    "evaluate",
    "model_gate",
    "baseline",
    "serving_check",
    "publish",
)
OUTPUTS = {
    "ingest": "examples",
    "statistics": "statistics",
    "data_gate": "anomalies",
    "train": "model_run",
    "evaluate": "evaluation",
    "model_gate": "blessing",
    "baseline": "comparison",
    "serving_check": "blessing",
    "publish": "pushed_model",
}
STARTED = 1_780_000_000.0  # 2026-05-28


def spec_of(classes: tuple[str, ...], feature: str = "text") -> DatasetSpec:
    """Returns the specification of a data set with a text, a number and a label."""
    features = {feature: TextFeature(), "size": NumberFeature(), "label": LabelFeature(classes=classes)}
    return DatasetSpec(name="made_up", title="made up", licence="none", features=features)


def record_of(run: str, spec: DatasetSpec, pipeline: str = "made_up", **changes: Any) -> RunRecord:
    """Returns the record of a published run of text classification."""
    settings = schema_class("text_classification").model_validate(
        {"task": "text_classification", "data": {"name": "made_up"}, "model": {}}
    )
    record = RunRecord(
        run=run,
        pipeline=pipeline,
        state="published",
        started=STARTED,
        ended=STARTED + 60,
        command=["headrace", "run", pipeline],
        settings=settings.model_dump(mode="json"),
        spec=spec.model_dump(mode="json"),
        data_digest="digest of the data",
        machine={"host": "somewhere", "cores": 2},
        packages={"keras": "3.15.1"},
        stages=[StageRecord(name, "done", STARTED, 5.0, 4.0, f"{name} went well") for name in STAGES],
        exit_code=0,
        cpu_seconds=50.0,
        peak_mib=1000.0,
    )
    return dataclasses.replace(record, **changes)


def write_record(home: Path, record: RunRecord) -> Path:
    """Writes a record to the path that `pipeline.history.journal` uses, and an empty log of the run."""
    paths = PipelinePaths.of(home, record.pipeline)
    paths.reports.mkdir(parents=True, exist_ok=True)
    paths.logs.mkdir(parents=True, exist_ok=True)
    paths.log(record.run).touch()
    path = paths.record(record.run)
    path.write_text(json.dumps(record.as_json()))
    return path


def write_artifacts(home: Path, record: RunRecord, spec: DatasetSpec, targets: np.ndarray, values: np.ndarray) -> None:
    """Writes the outputs of a run's stages.

    Args:
        home: The home folder.
        record: Record of the run; its stages get the folders of their outputs.
        spec: Specification of the data set.
        targets: int64 `(rows,)`, true classes of the rows of each split.
        values: float32 `(rows, classes)`, predicted probabilities.
    """
    paths = PipelinePaths.of(home, record.pipeline)
    folders = {}
    for stage in record.stages:
        folders[stage.name] = paths.artifacts / stage.name / OUTPUTS[stage.name] / record.run
        folders[stage.name].mkdir(parents=True)
        stage.outputs = {OUTPUTS[stage.name]: str(folders[stage.name])}
    label, classes = "label", spec.features["label"].classes
    counts = {label: np.bincount(targets, minlength=len(classes)).tolist()}
    split_summary = {"rows": len(targets), "classes": counts}
    summary = {split: {**split_summary, "digest": f"{split} rows"} for split in ("train", "validation", "test")}
    _json(folders["ingest"] / "summary.json", summary)
    for split in summary:
        _bytes(folders["statistics"] / f"Split-{split}" / "FeatureStats.pb", statistics(spec, targets))
        _bytes(folders["data_gate"] / f"Split-{split}" / "SchemaDiff.pb", anomalies_pb2.Anomalies())
    history = {"loss": [0.9, 0.5], "val_loss": [0.8, 0.6], "accuracy": [0.6, 0.8], "val_accuracy": [0.65, 0.75]}
    layers = [{"name": "scores", "kind": "Dense", "output": [None, len(classes)], "parameters": 12}]
    _json(folders["train"] / "training.json", {"seconds": 5.0, "history": history, "layers": layers})
    (folders["train"] / "tensorboard.txt").write_text(f"/somewhere/{record.run}\n")
    label_slices = pa.DictionaryArray.from_arrays(targets.astype(np.int32), classes)
    predictions = Predictions(targets, values, slices={label: label_slices})
    _json(folders["evaluate"] / "metrics.json", _metrics(predictions, label, classes))
    store(folders["evaluate"] / "predictions", predictions)
    wrong = np.flatnonzero(values.argmax(axis=1) != targets)[:24]
    _json(folders["evaluate"] / "mistakes.json", [_mistake(row, targets, values, spec) for row in map(int, wrong)])
    verdict = {"metric": "accuracy", "value": 0.75, "bound": 0.7, "lower_is_better": False, "published": None}
    verdict |= {"max_regression": 0.005, "sentence": "accuracy 0.7500: expected >= 0.7"}
    _json(folders["model_gate"] / "verdict.json", [verdict])
    costs = {"train_seconds": 1.0, "microseconds_per_row": 2.0, "peak_mib": 3.0, "rows": 4, "features": "none"}
    models = {
        name: {"metrics": {"accuracy": value}, **costs} for name, value in (("network", 0.75), ("majority", 0.25))
    }
    models["majority"]["trivial"] = True
    comparison = {"best": "majority", "sentence": "accuracy: the network beats majority, 0.7500 and 0.2500"}
    comparison |= {"metric": "accuracy", "models": models, "trivial": dict(comparison)}
    _json(folders["baseline"] / "comparison.json", comparison)
    serving = {"engine": "embedded", "p95_ms": 1.5, "p95_ms_8": 3.5, "mib": 700.0}
    _json(folders["serving_check"] / "serving.json", serving)
    (folders["serving_check"] / "answer.txt").write_text("good 0.9 (labelled good)")
    version = paths.serving / "1780000060"
    _json(folders["publish"] / "receipt.json", {"folder": str(version), "new": True})


def statistics(spec: DatasetSpec, targets: np.ndarray) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns TFDV's statistics of rows with the classes `targets`, int64 `(rows,)`."""
    result = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = result.datasets.add(name="", num_examples=len(targets))
    for name, feature in spec.features.items():
        stats = dataset.features.add()
        stats.path.step.append(name)
        if isinstance(feature, TextFeature):
            stats.string_stats.common_stats.num_non_missing = len(targets)
            stats.string_stats.unique, stats.string_stats.avg_length = 2, 5.0
            for rank, word in enumerate(("first", "second")):
                stats.string_stats.top_values.add(value=f"{word} {name}", frequency=3 - rank)
                stats.string_stats.rank_histogram.buckets.add(
                    low_rank=rank, high_rank=rank, label=f"{word} {name}", sample_count=3 - rank
                )
            continue
        numbers = targets if isinstance(feature, LabelFeature) else np.arange(len(targets))
        stats.num_stats.common_stats.num_non_missing = len(numbers)
        stats.num_stats.mean, stats.num_stats.max = float(numbers.mean()), float(numbers.max())
        counts, ends = np.histogram(numbers, 10)
        histogram = stats.num_stats.histograms.add(type=statistics_pb2.Histogram.STANDARD)
        for count, low, high in zip(counts, ends[:-1], ends[1:], strict=True):
            histogram.buckets.add(low_value=low, high_value=high, sample_count=float(count))
        quantiles = stats.num_stats.histograms.add(type=statistics_pb2.Histogram.QUANTILES)
        points = np.quantile(numbers, np.linspace(0, 1, 11))
        for low, high in itertools.pairwise(points):
            quantiles.buckets.add(low_value=low, high_value=high, sample_count=len(numbers) / 10)
    return result


def targets_and_probabilities(accuracy: float, rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns targets, int64 `(rows,)`, and probabilities, float32 `(rows, classes)`, with an accuracy of `accuracy`.

    The first rows are predicted correctly.
    """
    targets = np.arange(rows) % classes
    predicted = np.where(np.arange(rows) < round(accuracy * rows), targets, (targets + 1) % classes)
    values = np.full((rows, classes), 0.1 / max(classes - 1, 1), np.float32)
    values[np.arange(rows), predicted] = 0.9
    return targets, values


def _metrics(predictions: Predictions, label: str, classes: tuple[str, ...]) -> dict[str, Any]:
    evaluation = Evaluation(metrics.classification(classes), label)
    evaluation.add(predictions)
    return evaluation.result().as_json() | {"data_digest": "test rows", "definition": {}}


def _mistake(row: int, targets: np.ndarray, values: np.ndarray, spec: DatasetSpec) -> dict[str, Any]:
    classes, predicted = spec.features["label"].classes, int(values[row].argmax())
    text = next(name for name, feature in spec.features.items() if isinstance(feature, TextFeature))
    return {
        "row": row,
        "true": classes[targets[row]],
        "predicted": classes[predicted],
        "probability": float(values[row, predicted]),
        "probability_of_true": float(values[row, targets[row]]),
        "features": {text: f"the text of row {row}", "size": 3.0},
    }


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))


def _bytes(path: Path, message: Any) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(message.SerializeToString())
