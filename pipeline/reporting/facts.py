"""What there is to tell of a run, from its record and its artifacts; what is gone or damaged is left out and noted.

Loads no TensorFlow: the pages of old runs are made in a second.
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
# What reading a damaged file may raise.
DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, DecodeError, sqlite3.Error, HeadraceError)


class _Evaluation(BaseModel):
    """The parts of `metrics.json` that are read here."""

    slices: dict[str, dict[str, float | None]] = {}
    intervals: dict[str, dict[str, list[float | None]]] = {}
    confusion_matrix: list[list[int]] = []


@dataclass
class Facts:
    """What there is to tell of a run; each is None or empty where the run did not come that far, or it is gone.

    Attributes:
        spec: The data set's facts.
        compared: The metrics that can be computed from stored predictions, by name, the usual one first.
        rows: Split -> number of examples.
        digests: Split -> digest of its examples.
        split_rule: By what its rows found their splits; see `data.spec.Dataset`.
        classes: Split -> class -> number of examples.
        statistics: Split -> its features' statistics, of TFDV.
        anomalies: Split -> a sentence each.
        training: History, layers, seconds, memory.
        evaluation: Metrics by slice, confusion matrix.
        answers: What the model answered about the test split; None without `spec`, which says what they are.
        mistakes: The worst, the worst first.
        verdicts: What the model gate said.
        comparison: With classical models.
        serving: What the serving check measured.
        answer: What the server answered about the first test example.
        receipt: What was published.
        lineage: Stages with their artifacts, as ML Metadata knows them.
        missing: What should be there and is not, a sentence each.
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
    answers: Predictions | None = None
    mistakes: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    comparison: dict[str, Any] = field(default_factory=dict)
    serving: dict[str, Any] = field(default_factory=dict)
    answer: str = ""
    receipt: dict[str, Any] = field(default_factory=dict)
    lineage: list[StageRecord] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def slices(self) -> dict[str, dict[str, float]]:
        """Slice, `overall` among them -> metric -> value."""
        return self.evaluation.get("slices", {})

    @property
    def intervals(self) -> dict[str, dict[str, list[float]]]:
        """Slice -> metric -> ends of its 95 % interval; empty where the run is of a release that stored none."""
        return self.evaluation.get("intervals", {})

    def measured(self, slice_name: str, metric: str) -> Measured:
        """Returns a metric of a slice."""
        return Measured.of(metric, self.slices.get(slice_name, {}), self.intervals.get(slice_name, {}))

    def slice_metric(self, usual: Collection[str]) -> str | None:
        """Returns the metric by which slices are compared, by the names of the usual ones; None without slices."""
        slices = [metrics for name, metrics in self.slices.items() if name != files.OVERALL]
        return of_slices(slices, shown(chain(*slices), usual))

    @property
    def label(self) -> tuple[str, tuple[str, ...]]:
        """Name and classes of the feature to be predicted; both empty without classes."""
        labels = self.spec.of(LabelFeature) if self.spec else {}
        return next(((name, feature.classes) for name, feature in labels.items()), ("", ()))


def gather(paths: PipelinePaths, record: RunRecord) -> Facts:
    """Returns what there is to tell of a run; never fails for what is missing."""
    reader = _Reader(record)
    found = Facts()
    if not record.settings:
        reader.missing.append(f"settings and data are not known: its record {paths.reports / record.run}.json is gone")
    else:
        with reader.part("the data set's facts"):
            found.spec = DatasetSpec.model_validate(record.spec)
    if found.spec:
        with reader.part("what its metrics are"):
            found.compared = compared_metrics(record)
    summary = reader.json(files.SUMMARY)
    # Which an older release did not write.
    if (path := record.file(files.SPLIT_RULE)) and path.exists():
        found.split_rule = reader.json(files.SPLIT_RULE).get("rule")
    found.rows = {split: one["rows"] for split, one in summary.items()}
    found.digests = {split: one["digest"] for split, one in summary.items()}
    label, classes = found.label
    counts = {split: one.get("classes", {}).get(label) for split, one in summary.items()}  # not of older releases
    found.classes = {split: dict(zip(classes, one, strict=True)) for split, one in counts.items() if one}
    found.statistics = reader.statistics()
    found.anomalies = reader.anomalies()
    found.training = reader.json(files.TRAINING)
    found.evaluation = reader.evaluation(num_classes=len(classes))
    found.mistakes = reader.json(files.MISTAKES, list)
    found.answers = reader.answers() if found.spec else None
    found.verdicts = reader.json(files.VERDICT, list) or record.verdicts
    found.comparison = reader.json(files.COMPARISON)
    found.serving = reader.json(files.SERVING)
    found.receipt = reader.json(files.RECEIPT)
    if path := record.file(files.ANSWER):
        with contextlib.suppress(OSError):
            found.answer = path.read_text()
    with reader.part("the lineage in ML Metadata"):
        found.lineage = executions.lineage(paths, record.run)
    found.missing = reader.missing
    return found


def conclude(record: RunRecord, found: Facts) -> None:
    """Puts what lists and comparisons of runs need into the record."""
    record.metrics = found.evaluation.get("slices", {}).get(files.OVERALL, {})
    record.verdicts = found.verdicts
    record.version = Path(found.receipt["folder"]).name if found.receipt.get("folder") else None
    record.intervals = found.intervals.get(files.OVERALL, {})
    record.compared = [name for name in found.compared if name in record.metrics]
    if path := record.file(files.TENSORBOARD):
        with contextlib.suppress(OSError):
            record.training = Path(path.read_text().strip()).name


def compared_metrics(record: RunRecord) -> dict[str, Metric]:
    """Returns the metrics that can be computed from stored predictions, by name.

    Raises:
        KeyError, ValueError: Task, settings or facts of the data set are none that this release knows.
    """
    task = record.settings.get("task", "without a name")
    if task not in registry.TASKS:
        raise ValueError(f"there is no task {task}")
    config = registry.config_class(task).model_validate(record.settings["model"])
    return config.compared(DatasetSpec.model_validate(record.spec))


def energy_wh(record: RunRecord) -> float:
    """Returns the estimated energy of a run in watt hours: WATTS_PER_CORE for each second of a busy core."""
    return record.cpu_seconds * WATTS_PER_CORE / 3600


def _reason(error: Exception) -> str:
    """Returns what an error says, in a line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200]
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


class _Reader:
    """Reads a run's artifacts, and notes what is not as it should be."""

    def __init__(self, record: RunRecord):
        self._record = record
        self.missing: list[str] = []

    @contextlib.contextmanager
    def part(self, what: str):
        """Within this block nothing that is damaged does harm."""
        try:
            yield
        except DAMAGED as error:
            self.missing.append(f"{what} cannot be read ({_reason(error)})")

    def folder(self, file: ArtifactFile) -> Path | None:
        """Returns the folder of a file's output; notes it where the stage had one and it is gone."""
        folder = self._record.output(file.stage, file.output)
        had = any(one.name == file.stage and file.output in one.outputs for one in self._record.stages)
        removed = "`headrace gc` or someone removed it"
        sentence = f"the output {file.output} of {file.stage} is not there: {removed}"
        if had and folder is None and sentence not in self.missing:
            self.missing.append(sentence)
        return folder

    def json(self, file: ArtifactFile, kind: type[dict] | type[list] = dict) -> Any:
        """Returns what a JSON file of an output holds, an object or a list; empty where it is not there."""
        folder = self.folder(file)
        found: Any = kind()
        # A gate that failed may have stopped before it wrote this one.
        failed = any(one.name == file.stage and one.state == "failed" for one in self._record.stages)
        if folder and (not failed or file.path(folder).is_file()):
            with self.part(f"{file.name} of {file.stage}"):
                content = json.loads(file.path(folder).read_text())
                if not isinstance(content, kind):
                    expected = "an object" if kind is dict else "a list"
                    raise TypeError(f"expected {expected}, found {json.dumps(content)[:40]}")
                found = content
        return found

    def evaluation(self, *, num_classes: int) -> dict[str, Any]:
        """Returns what the evaluation wrote; without a confusion matrix that is not of `num_classes` classes."""
        content, found = self.json(files.METRICS), {}
        with self.part(f"{files.METRICS.name} of {files.METRICS.stage}"):
            _Evaluation.model_validate(content)
            found = content
        counts = found.get("confusion_matrix", ())
        if any(len(row) != num_classes for row in (counts, *counts)):
            found.pop("confusion_matrix", None)
        return found

    def answers(self) -> Predictions | None:
        folder, found = self.folder(files.PREDICTIONS), None
        if folder:
            path = files.PREDICTIONS.path(folder)
            if not path.exists() and files.OLD_PREDICTIONS.path(folder).exists():
                path = files.OLD_PREDICTIONS.path(folder)
            with self.part(f"{path.name} of evaluate"):
                found = predictions.read(path)
        return found

    def statistics(self) -> dict[str, list[Any]]:
        from tensorflow_metadata.proto.v0 import statistics_pb2

        folder, found = self.folder(files.STATISTICS), {}
        for split in SPLITS if folder else ():
            with self.part(f"statistics of {split}"):
                content = files.STATISTICS.path(folder, split).read_bytes()
                read = statistics_pb2.DatasetFeatureStatisticsList.FromString(content)
                found[split] = list(read.datasets[0].features)
        return found

    def anomalies(self) -> dict[str, list[str]]:
        from tensorflow_metadata.proto.v0 import anomalies_pb2

        folder, found = self.folder(files.ANOMALIES), {}
        for split in SPLITS if folder else ():
            with self.part(f"anomalies of {split}"):
                read = anomalies_pb2.Anomalies.FromString(files.ANOMALIES.path(folder, split).read_bytes())
                whole = [read.dataset_anomaly_info.description] if read.dataset_anomaly_info.description else []
                found[split] = whole + [
                    f"{name}: {info.short_description}: {info.description}"
                    for name, info in sorted(read.anomaly_info.items())
                ]
        return found
