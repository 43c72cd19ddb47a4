"""Reads the results of a run from its record and artifacts; missing and damaged files are left out and noted.

Loads no TensorFlow, so that pages of old runs take a second.
"""

import contextlib
import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from google.protobuf.message import DecodeError
from pydantic import BaseModel, ValidationError

from components import artifact_files as files
from components.artifact_files import ArtifactFile
from data.errors import HeadraceError
from data.spec import SPLITS, DatasetSpec, LabelFeature
from models import registry
from models.evaluation import predictions
from models.evaluation.metrics import Metric
from models.evaluation.names import of_slices, shown
from models.evaluation.predictions import Predictions
from pipeline.core.paths import PipelinePaths
from pipeline.history import executions
from pipeline.history.record import RunRecord, StageRecord
from pipeline.reporting.formatting import Measured

WATTS_PER_CORE = 10.0
# Exceptions that reading a damaged file may raise.
READ_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    BadZipFile,
    DecodeError,
    sqlite3.Error,
    HeadraceError,
)


class _Evaluation(BaseModel):
    """The parts of `metrics.json` that reports use."""

    slices: dict[str, dict[str, float | None]] = {}
    intervals: dict[str, dict[str, list[float | None]]] = {}
    confusion_matrix: list[list[int]] = []


@dataclass
class Facts:
    """The results of a run; an attribute is None or empty if the run did not get that far, or if its file is missing.

    Attributes:
        spec: Specification of the data set.
        compared: Name -> metric that can be computed from stored predictions, the primary one first.
        rows: Split -> number of rows.
        digests: Split -> digest of its rows.
        split_rule: The rule that split the rows; see `data.spec.Dataset`.
        classes: Split -> class -> number of rows.
        statistics: Split -> statistics of each feature, TFDV's `FeatureNameStatistics`.
        anomalies: Split -> sentences.
        training: History, layers, seconds, memory; see `training.json`.
        evaluation: Metrics and intervals by slice, confusion matrix; see `metrics.json`.
        predictions: Predictions of the test split; None without `spec`, which says what they mean.
        mistakes: Worst mistakes on the test split, the worst first.
        verdicts: Verdicts of the model gate, one for each metric.
        comparison: Comparison with reference models.
        serving: Measurements of the serving check.
        sample_prediction: Prediction that the server returned for the first test row, as text.
        receipt: The published version.
        lineage: Stages with their artifacts, as recorded in ML Metadata.
        missing: Sentences about files that should exist and do not, or are damaged. Their wording has to stay:
            `page.lost` looks for them in pages of older releases.
    """

    spec: DatasetSpec | None = None
    compared: dict[str, Metric] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    split_rule: dict[str, Any] | None = None
    classes: dict[str, dict[str, int]] = field(default_factory=dict)
    statistics: dict[str, list[Any]] = field(default_factory=dict)
    anomalies: dict[str, list[str]] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    predictions: Predictions | None = None
    mistakes: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    comparison: dict[str, Any] = field(default_factory=dict)
    serving: dict[str, Any] = field(default_factory=dict)
    sample_prediction: str = ""
    receipt: dict[str, Any] = field(default_factory=dict)
    lineage: list[StageRecord] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def slices(self) -> dict[str, dict[str, float]]:
        """Slice, with `overall` for all rows -> metric -> value."""
        return self.evaluation.get("slices", {})

    @property
    def intervals(self) -> dict[str, dict[str, list[float]]]:
        """Slice -> metric -> ends of its 95 % confidence interval; empty for runs of releases that stored none."""
        return self.evaluation.get("intervals", {})

    def measured(self, slice_name: str, metric: str) -> Measured:
        """Returns a metric of a slice with its interval."""
        return Measured.of(metric, self.slices.get(slice_name, {}), self.intervals.get(slice_name, {}))

    def slice_metric(self, usual: Collection[str]) -> str | None:
        """Returns the name of the metric by which slices are compared, preferably a usual one; None without slices."""
        slices = [metrics for name, metrics in self.slices.items() if name != files.OVERALL]
        return of_slices(slices, shown(chain(*slices), usual))

    @property
    def label(self) -> tuple[str, tuple[str, ...]]:
        """Name and classes of the label; both empty if the target is no label."""
        labels = self.spec.of(LabelFeature) if self.spec else {}
        return next(((name, feature.classes) for name, feature in labels.items()), ("", ()))


def gather(paths: PipelinePaths, record: RunRecord) -> Facts:
    """Returns the results of a run.

    Missing and damaged files raise no error; `missing` has a sentence about each.

    Args:
        paths: Paths of the run's pipeline.
        record: Record of the run.
    """
    reader = _Reader(record)
    facts = Facts()
    if not record.settings:
        reader.missing.append(f"settings and data are not known: its record {paths.reports / record.run}.json is gone")
    else:
        with reader.reading("the data set's facts"):
            facts.spec = DatasetSpec.model_validate(record.spec)
    if facts.spec:
        with reader.reading("what its metrics are"):
            facts.compared = compared_metrics(record)
    summary = reader.json(files.SUMMARY)
    # Older releases did not write it.
    if (path := record.file(files.SPLIT_RULE)) and path.exists():
        facts.split_rule = reader.json(files.SPLIT_RULE).get("rule")
    facts.rows = {split: split_summary["rows"] for split, split_summary in summary.items()}
    facts.digests = {split: split_summary["digest"] for split, split_summary in summary.items()}
    label, classes = facts.label
    # Older releases stored no counts of classes.
    counts = {split: split_summary.get("classes", {}).get(label) for split, split_summary in summary.items()}
    facts.classes = {
        split: dict(zip(classes, class_counts, strict=True)) for split, class_counts in counts.items() if class_counts
    }
    facts.statistics = reader.statistics()
    facts.anomalies = reader.anomalies()
    facts.training = reader.json(files.TRAINING)
    facts.evaluation = reader.evaluation(num_classes=len(classes))
    facts.mistakes = reader.json(files.MISTAKES, list)
    facts.predictions = reader.predictions() if facts.spec else None
    facts.verdicts = reader.json(files.VERDICT, list) or record.verdicts
    facts.comparison = reader.json(files.COMPARISON)
    facts.serving = reader.json(files.SERVING)
    facts.receipt = reader.json(files.RECEIPT)
    if path := record.file(files.ANSWER):
        with contextlib.suppress(OSError):
            facts.sample_prediction = path.read_text()
    with reader.reading("the lineage in ML Metadata"):
        facts.lineage = executions.lineage(paths, record.run)
    facts.missing = reader.missing
    return facts


def complete(record: RunRecord, facts: Facts) -> None:
    """Adds to a record the results that lists and comparisons of runs show: metrics, verdicts, version."""
    record.metrics = facts.evaluation.get("slices", {}).get(files.OVERALL, {})
    record.verdicts = facts.verdicts
    record.version = Path(facts.receipt["folder"]).name if facts.receipt.get("folder") else None
    record.intervals = facts.intervals.get(files.OVERALL, {})
    record.compared = [name for name in facts.compared if name in record.metrics]
    if path := record.file(files.TENSORBOARD):
        with contextlib.suppress(OSError):
            record.training = Path(path.read_text().strip()).name


def compared_metrics(record: RunRecord) -> dict[str, Metric]:
    """Returns name -> metric, for the metrics that can be computed from stored predictions.

    Raises:
        KeyError, ValueError: This release does not know the task, its settings or the specification of the data set.
    """
    task = record.settings.get("task", "without a name")
    if task not in registry.TASKS:
        raise ValueError(f"there is no task {task}")
    config = registry.config_class(task).model_validate(record.settings["model"])
    return config.compared(DatasetSpec.model_validate(record.spec))


def energy_wh(record: RunRecord) -> float:
    """Returns the estimated energy of a run in watt hours: WATTS_PER_CORE for each CPU second."""
    return record.cpu_seconds * WATTS_PER_CORE / 3600


def _reason(error: Exception) -> str:
    """Returns an error's message as one line of at most 200 characters."""
    if isinstance(error, ValidationError):
        first_error = error.errors()[0]
        return f"{'.'.join(map(str, first_error['loc']))}: {first_error['msg']}"[:200]
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


class _Reader:
    """Reads a run's artifacts.

    Attributes:
        missing: Sentences about missing and damaged files; one for each missing output.
    """

    def __init__(self, record: RunRecord):
        self._record = record
        self.missing: list[str] = []

    @contextlib.contextmanager
    def reading(self, subject: str):
        """Turns an error about a damaged file in this block into a sentence in `missing`."""
        try:
            yield
        except READ_ERRORS as error:
            self.missing.append(f"{subject} cannot be read ({_reason(error)})")

    def folder(self, file: ArtifactFile) -> Path | None:
        """Returns the folder of a file's output; None if it does not exist, noted in `missing` if a stage wrote it."""
        folder = self._record.output(file.stage, file.output)
        was_written = any(stage.name == file.stage and file.output in stage.outputs for stage in self._record.stages)
        removed = "`headrace gc` or someone removed it"
        sentence = f"the output {file.output} of {file.stage} is not there: {removed}"
        if was_written and folder is None and sentence not in self.missing:
            self.missing.append(sentence)
        return folder

    def json(self, file: ArtifactFile, kind: type[dict] | type[list] = dict) -> Any:
        """Returns the content of a JSON file, an object or a list; an empty one if the file is missing or damaged."""
        folder = self.folder(file)
        result: Any = kind()
        # A gate that failed may have stopped before it wrote the file.
        has_failed = any(stage.name == file.stage and stage.state == "failed" for stage in self._record.stages)
        if folder and (not has_failed or file.path(folder).is_file()):
            with self.reading(f"{file.name} of {file.stage}"):
                content = json.loads(file.path(folder).read_text())
                if not isinstance(content, kind):
                    expected = "an object" if kind is dict else "a list"
                    raise TypeError(f"expected {expected}, found {json.dumps(content)[:40]}")
                result = content
        return result

    def evaluation(self, *, num_classes: int) -> dict[str, Any]:
        """Returns the content of `metrics.json`, without a confusion matrix that is not of `num_classes` classes."""
        content, evaluation = self.json(files.METRICS), {}
        with self.reading(f"{files.METRICS.name} of {files.METRICS.stage}"):
            _Evaluation.model_validate(content)
            evaluation = content
        counts = evaluation.get("confusion_matrix", ())
        if any(len(row) != num_classes for row in (counts, *counts)):
            evaluation.pop("confusion_matrix", None)
        return evaluation

    def predictions(self) -> Predictions | None:
        """Returns the predictions of the test split; None if they are missing or damaged."""
        folder, result = self.folder(files.PREDICTIONS), None
        if folder:
            path = files.PREDICTIONS.path(folder)
            if not path.exists() and files.OLD_PREDICTIONS.path(folder).exists():
                path = files.OLD_PREDICTIONS.path(folder)
            with self.reading(f"{path.name} of evaluate"):
                result = predictions.read(path)
        return result

    def statistics(self) -> dict[str, list[Any]]:
        """Returns split -> statistics of each feature, TFDV's `FeatureNameStatistics`."""
        from tensorflow_metadata.proto.v0 import statistics_pb2

        folder, features = self.folder(files.STATISTICS), {}
        for split in SPLITS if folder else ():
            with self.reading(f"statistics of {split}"):
                content = files.STATISTICS.path(folder, split).read_bytes()
                statistics = statistics_pb2.DatasetFeatureStatisticsList.FromString(content)
                features[split] = list(statistics.datasets[0].features)
        return features

    def anomalies(self) -> dict[str, list[str]]:
        """Returns split -> sentences about its anomalies."""
        from tensorflow_metadata.proto.v0 import anomalies_pb2

        folder, sentences = self.folder(files.ANOMALIES), {}
        for split in SPLITS if folder else ():
            with self.reading(f"anomalies of {split}"):
                anomalies = anomalies_pb2.Anomalies.FromString(files.ANOMALIES.path(folder, split).read_bytes())
                description = anomalies.dataset_anomaly_info.description
                sentences[split] = ([description] if description else []) + [
                    f"{name}: {info.short_description}: {info.description}"
                    for name, info in sorted(anomalies.anomaly_info.items())
                ]
        return sentences
