"""Writes TensorBoard events of a run beside its training: stages, data, anomalies, evaluation, hyperparameters."""

import base64
import io
import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.histogram.summary_v2 import histogram_pb
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.image import metadata as image_metadata
from tensorboard.plugins.pr_curve import summary as pr_curve
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util import tensor_util

from components.artifact_files import OVERALL
from models.evaluation import EXAMPLE_COUNT
from models.evaluation.names import shown
from models.evaluation.plots import confusion_matrix, pixels, short
from models.evaluation.predictions import Predictions
from models.evaluation.reliability import reliability_bins
from pipeline.core.stages import BY_ID
from pipeline.history.record import RunRecord, StageRecord
from pipeline.reporting.curves import counts
from pipeline.reporting.facts import Facts
from pipeline.reporting.formatting import Measured, cell, flat, number, row_name
from pipeline.reporting.plots import reliability_diagram

MAX_CLASSES = 50  # in the confusion matrix, in precision-recall curves and in slices
MAX_BUCKETS = 100  # of the histogram of a text feature
NUM_THRESHOLDS = 101

Summary = summary_pb2.Summary


def write(folder: Path, record: RunRecord, facts: Facts) -> None:
    """Writes event files of a run that has ended to `folder`, and of each split's statistics to a folder in it."""
    with _writer(folder) as add:
        add(_settings(record))
        for summary in (
            *_cards(record),
            *_anomalies(facts),
            *_evaluation(facts, record.usual_metrics),
            *_mistakes(record, facts),
        ):
            add(summary)
        add(hparams_end(record))
    for split, features in facts.statistics.items():
        with _writer(folder / split) as add:
            for feature in features:
                for summary in _histogram(feature):
                    add(summary)


@contextmanager
def _writer(folder: Path) -> Iterator[Any]:
    """Yields a function that adds a summary, at step 0, to an event file in `folder`."""
    writer = EventFileWriter(str(folder))
    try:
        yield lambda summary: writer.add_event(event_pb2.Event(step=0, wall_time=time.time(), summary=summary))
    finally:
        writer.close()


# --- the run and its stages -----------------------------------------------------------------------------------------


def _settings(record: RunRecord) -> Summary:
    """Returns the settings of task, model, training and data that the HParams tab shows as hyperparameters."""
    values = {
        name: value if isinstance(value, bool | int | float | str) else json.dumps(value)
        for name, value in flat(record.settings)
        if name.startswith(("task", "model.", "train.", "seed", "data.name", "data.train_share")) and value is not None
    }
    return _as_tensorboard_summary(hparams.hparams_pb(values, trial_id=record.run, start_time_secs=record.started))


def hparams_end(record: RunRecord) -> Summary:
    """Returns the summary that tells the HParams tab that the run has ended, and whether it was published."""
    from tensorboard.plugins.hparams import api_pb2, summary

    status = api_pb2.STATUS_SUCCESS if record.state == "published" else api_pb2.STATUS_FAILURE
    return _as_tensorboard_summary(summary.session_end_pb(status, record.ended))


def _as_tensorboard_summary(summary: Any) -> Summary:
    """Returns a summary as TensorBoard's class; some are of TensorFlow's class if TensorFlow is loaded."""
    return Summary.FromString(summary.SerializeToString())


def _cards(record: RunRecord) -> Iterator[Summary]:
    """Yields text summaries in Markdown: of the run, and of each stage."""
    lines = [f"**{record.state}**" + (f", version {record.version}" if record.version else ""), ""]
    lines += [f"`{' '.join(record.command)}`", ""]
    if record.error:
        lines += [_quoted(record.error), ""]
    lines += _table(
        ["stage", "state", "seconds", "result"],
        [[stage.name, stage.state, f"{stage.seconds:.1f}", stage.detail] for stage in record.stages],
    )
    yield text_pb("run", "\n".join(lines))
    for index, stage in enumerate(record.stages):
        yield text_pb(f"stages/{index:02d} {stage.name}", "\n".join(_card(stage, record)))


def _card(stage: StageRecord, record: RunRecord) -> list[str]:
    """Returns lines of Markdown: state, result and settings of a stage."""
    is_last = stage is record.stages[-1]
    detail = record.error if is_last and record.error and stage.state != "done" else stage.detail
    lines = [
        f"**{stage.state}** in {stage.seconds:.1f} s, {stage.cpu_seconds:.1f} s of CPU time",
        "",
        _quoted(detail),
        "",
    ]
    if stage.name == "model_gate":
        lines += [f"- {verdict['sentence']}" for verdict in record.verdicts]
    setting_names = BY_ID[stage.name].settings if stage.name in BY_ID else ()
    rows = [
        [name, json.dumps(value)]
        for name, value in flat(record.settings)
        if setting_names and name.startswith(setting_names)
    ]
    return [*lines, "", *_table(["setting", "value"], rows)] if rows else lines


def _quoted(text: str) -> str:
    return "\n".join("> " + _escaped(line) for line in text.splitlines())


def _table(columns: list[str], rows: list[list[Any]]) -> list[str]:
    table_rows = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(_escaped(str(value)) for value in row) + " |" for row in table_rows]


def _escaped(text: str) -> str:
    """Returns a text on one line, with Markdown's characters escaped; TensorBoard removes scripts."""
    return re.sub(r"[\\`*_|<>\[\]#&]", lambda match: f"&#{ord(match[0])};", " ".join(text.split()))


# --- data -----------------------------------------------------------------------------------------------------------


def _anomalies(facts: Facts) -> Iterator[Summary]:
    """Yields a table of the anomalies, if they were checked."""
    if facts.anomalies:
        rows = [[split, line] for split, lines in facts.anomalies.items() for line in lines]
        text = "\n".join(_table(["split", "anomaly"], rows)) if rows else "No anomalies."
        yield text_pb("data/anomalies", text)


def _histogram(feature: Any) -> Iterator[Summary]:
    """Yields TFDV's histogram of a feature as TensorBoard's: of values for numbers, of ranks for texts."""
    kind = feature.WhichOneof("stats")
    name = "data/" + (".".join(feature.path.step) or feature.name)
    if kind == "num_stats":
        histograms = [histogram for histogram in feature.num_stats.histograms if histogram.type == 0]
        buckets = (
            [(bucket.low_value, bucket.high_value, bucket.sample_count) for bucket in histograms[0].buckets]
            if histograms
            else []
        )
        description = f"{feature.num_stats.common_stats.num_missing:,} missing"
    elif kind == "string_stats":
        ranks = feature.string_stats.rank_histogram.buckets[:MAX_BUCKETS]
        buckets = [(float(rank), float(rank + 1), bucket.sample_count) for rank, bucket in enumerate(ranks)]
        names = ", ".join(f"{rank} {_escaped(bucket.label[:40])}" for rank, bucket in enumerate(ranks[:20]))
        description = f"by rank: {names}"
    else:
        return
    if buckets:
        tensor = tensor_util.make_tensor_proto(np.array(buckets, np.float64))
        metadata = histogram_metadata.create_summary_metadata(display_name=None, description=description)
        yield Summary(value=[Summary.Value(tag=name, tensor=tensor, metadata=metadata)])


# --- evaluation -----------------------------------------------------------------------------------------------------


def _evaluation(facts: Facts, usual_metrics: Sequence[str]) -> Iterator[Summary]:
    """Yields metrics, slices, confusion matrix, calibration and precision-recall curves, or errors of numbers."""
    for name in shown(facts.slices.get(OVERALL, {}), usual_metrics):
        yield _scalar(f"test/{name}", facts.measured(OVERALL, name))
    yield from _slices(facts, usual_metrics)
    _, classes = facts.label
    confusion_counts = facts.evaluation.get("confusion_matrix")
    if confusion_counts and 0 < len(classes) <= MAX_CLASSES:
        yield _image_summary("test/confusion_matrix", _as_image(confusion_matrix(np.array(confusion_counts), classes)))
    if facts.predictions is None or facts.spec is None:
        return
    if not classes:
        yield histogram_pb("test/error", facts.predictions.numbers - facts.predictions.targets)
        return
    diagram = reliability_diagram(reliability_bins(facts.predictions), "black")
    diagram.set_dpi(90)
    yield _image_summary("test/calibration", _as_image(diagram))
    for index in [1] if len(classes) == 2 else range(min(len(classes), MAX_CLASSES)):
        yield _precision_recall(classes[index], facts.predictions, index)


def _scalar(tag: str, measured: Measured) -> Summary:
    """Returns a scalar; its description has the 95 % interval."""
    return scalar_pb(
        tag, measured.value, description=f"95 % interval {measured.interval_text}" if measured.interval_text else None
    )


def _slices(facts: Facts, usual_metrics: Sequence[str]) -> Iterator[Summary]:
    """Yields a table and scalars of the slices; a slice may lack a metric: one of a single class has no AUC."""
    names = [name for name in facts.slices if name != OVERALL]
    if not names:
        return
    metrics = shown(chain(*(facts.slices[name] for name in names)), usual_metrics)
    rows = [
        [
            name,
            *(str(facts.measured(name, metric)) for metric in metrics),
            number(int(facts.slices[name].get(EXAMPLE_COUNT, 0))),
        ]
        for name in names[: 4 * MAX_CLASSES]
    ]
    yield text_pb("test/slices", "\n".join(_table(["slice (in brackets 95 % intervals)", *metrics, "rows"], rows)))
    for name in names[:MAX_CLASSES]:
        for metric in metrics:
            if metric in facts.slices[name]:
                yield _scalar(f"slices_{metric}/{name}", facts.measured(name, metric))


def _precision_recall(name: str, predictions: Predictions, index: int) -> Summary:
    """Returns the precision-recall curve of a class, by name and index, at NUM_THRESHOLDS thresholds from 0 to 1."""
    is_positive, scores = predictions.targets == index, predictions.values[:, index]
    at_thresholds = counts(is_positive, scores, np.linspace(0, 1, NUM_THRESHOLDS), predictions.weights)
    return _as_tensorboard_summary(
        pr_curve.raw_data_pb(
            f"test/precision_recall/{name}",
            true_positive_counts=at_thresholds.true_positives,
            false_positive_counts=at_thresholds.false_positives,
            true_negative_counts=at_thresholds.num_negatives - at_thresholds.false_positives,
            false_negative_counts=at_thresholds.num_positives - at_thresholds.true_positives,
            precision=at_thresholds.precision,
            recall=at_thresholds.recall,
            num_thresholds=NUM_THRESHOLDS,
        )
    )


def _mistakes(record: RunRecord, facts: Facts) -> Iterator[Summary]:
    """Yields the worst mistakes as a table, and as images if they have some."""
    mistakes = facts.mistakes[: record.settings.get("report", {}).get("mistakes", 0)]
    if not mistakes:
        return
    # Images have another tag than the table: TensorBoard shows only one kind of summary for each tag.
    if all("image" in mistake for mistake in mistakes):
        yield _image_summary("test/mistake_pictures", _pictures(mistakes))
    rows, files = [], record.settings.get("data", {}).get("files")
    for mistake in mistakes:
        features = "; ".join(f"{name}: {str(cell(value))[:300]}" for name, value in mistake["features"].items())
        rows.append(
            [
                row_name(mistake, files),
                mistake["true"],
                mistake["predicted"],
                number(mistake.get("probability")),
                features,
            ]
        )
    columns = ["row", "true", "predicted", "probability", "features"]
    yield text_pb("test/mistakes", "\n".join(_table(columns, rows)))


def _pictures(mistakes: list[dict[str, Any]]) -> Image.Image:
    """Returns the images of mistakes in a grid, with prediction, its probability and true class above each."""
    num_columns = min(len(mistakes), 3)
    num_rows = -(-len(mistakes) // num_columns)
    # TensorBoard shows images about 300 pixels wide: a small figure stays legible.
    figure = Figure(figsize=(1.1 * num_columns, 1.5 * num_rows), dpi=90, layout="constrained")
    for index, mistake in enumerate(mistakes):
        axes = figure.add_subplot(num_rows, num_columns, index + 1)
        axes.imshow(Image.open(io.BytesIO(base64.b64decode(mistake["image"]))), cmap="gray")
        axes.set_axis_off()
        prediction = f"{short(mistake['predicted'])} {mistake['probability']:.2f}"
        axes.set_title(f"{prediction}\nis {short(mistake['true'])}", fontsize=8)
    return _as_image(figure)


def _as_image(figure: Figure) -> Image.Image:
    return Image.fromarray(pixels(figure))


def _image_summary(tag: str, picture: Image.Image) -> Summary:
    file = io.BytesIO()
    picture.save(file, "PNG")
    content = [str(picture.width).encode(), str(picture.height).encode(), file.getvalue()]
    tensor = tensor_util.make_tensor_proto(np.array(content, dtype=object))
    metadata = image_metadata.create_summary_metadata(display_name=None, description="")
    return Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=metadata)])
