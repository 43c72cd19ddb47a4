"""What TensorBoard shows of a run beside its training: cards of stages, data, anomalies, evaluation, settings."""

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
from models.evaluation.reliability import reliability_bins
from pipeline.core.stages import BY_ID
from pipeline.history.record import RunRecord, StageRecord
from pipeline.reporting.curves import counts
from pipeline.reporting.facts import Facts
from pipeline.reporting.formatting import Measured, cell, flat, number, row_name
from pipeline.reporting.plots import reliability_diagram

MAX_CLASSES = 50  # of the confusion matrix, of precision-recall curves, of slices
MAX_BUCKETS = 100
NUM_THRESHOLDS = 101

Summary = summary_pb2.Summary


def write(folder: Path, record: RunRecord, found: Facts) -> None:
    """Writes event files of a run that has ended into TensorBoard's folder of the run."""
    with _writer(folder) as add:
        add(_settings(record))
        for summary in (
            *_cards(record),
            *_anomalies(found),
            *_evaluation(found, record.usual_metrics),
            *_mistakes(record, found),
        ):
            add(summary)
        add(hparams_end(record))
    for split, features in found.statistics.items():
        with _writer(folder / split) as add:
            for feature in features:
                for summary in _histogram(feature):
                    add(summary)


@contextmanager
def _writer(folder: Path) -> Iterator[Any]:
    writer = EventFileWriter(str(folder))
    try:
        yield lambda summary: writer.add_event(event_pb2.Event(step=0, wall_time=time.time(), summary=summary))
    finally:
        writer.close()


# --- the run and its stages -----------------------------------------------------------------------------------------


def _settings(record: RunRecord) -> Summary:
    """Returns the settings for the HParams tab, by which runs are compared."""
    kept = {
        name: value if isinstance(value, bool | int | float | str) else json.dumps(value)
        for name, value in flat(record.settings)
        if name.startswith(("task", "model.", "train.", "seed", "data.name", "data.train_share")) and value is not None
    }
    return _copy(hparams.hparams_pb(kept, trial_id=record.run, start_time_secs=record.started))


def hparams_end(record: RunRecord) -> Summary:
    """Returns the mark by which the HParams tab knows that the run has ended, and how."""
    from tensorboard.plugins.hparams import api_pb2, summary

    status = api_pb2.STATUS_SUCCESS if record.state == "published" else api_pb2.STATUS_FAILURE
    return _copy(summary.session_end_pb(status, record.ended))


def _copy(summary: Any) -> Summary:
    """Returns a summary in TensorBoard's own class; where TensorFlow is loaded some are in TensorFlow's."""
    return Summary.FromString(summary.SerializeToString())


def _cards(record: RunRecord) -> Iterator[Summary]:
    lines = [f"**{record.state}**" + (f", version {record.version}" if record.version else ""), ""]
    lines += [f"`{' '.join(record.command)}`", ""]
    if record.error:
        lines += [_quoted(record.error), ""]
    lines += _table(
        ["stage", "state", "seconds", "what it said"],
        [[stage.name, stage.state, f"{stage.seconds:.1f}", stage.detail] for stage in record.stages],
    )
    yield text_pb("run", "\n".join(lines))
    for index, stage in enumerate(record.stages):
        yield text_pb(f"stages/{index:02d} {stage.name}", "\n".join(_card(stage, record)))


def _card(stage: StageRecord, record: RunRecord) -> list[str]:
    """Returns what a stage decided and by which settings, in Markdown."""
    last = stage is record.stages[-1]
    why = record.error if last and record.error and stage.state != "done" else stage.detail
    lines = [f"**{stage.state}** in {stage.seconds:.1f} s, {stage.cpu_seconds:.1f} s of CPU time", "", _quoted(why), ""]
    if stage.name == "model_gate":
        lines += [f"- {verdict['sentence']}" for verdict in record.verdicts]
    wanted = BY_ID[stage.name].settings if stage.name in BY_ID else ()
    rows = [[name, json.dumps(value)] for name, value in flat(record.settings) if wanted and name.startswith(wanted)]
    return [*lines, "", *_table(["setting", "value"], rows)] if rows else lines


def _quoted(text: str) -> str:
    return "\n".join("> " + _plain(line) for line in text.splitlines())


def _table(columns: list[str], rows: list[list[Any]]) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return ["| " + " | ".join(_plain(str(value)) for value in line) + " |" for line in lines]


def _plain(text: str) -> str:
    """Returns a text that Markdown leaves as it is, on one line; TensorBoard takes out what could run."""
    return re.sub(r"[\\`*_|<>\[\]#&]", lambda sign: f"&#{ord(sign[0])};", " ".join(text.split()))


# --- data -----------------------------------------------------------------------------------------------------------


def _anomalies(found: Facts) -> Iterator[Summary]:
    if found.anomalies:
        rows = [[split, line] for split, lines in found.anomalies.items() for line in lines]
        text = "\n".join(_table(["split", "anomaly"], rows)) if rows else "No anomalies."
        yield text_pb("data/anomalies", text)


def _histogram(feature: Any) -> Iterator[Summary]:
    """Returns TFDV's histogram of a feature as TensorBoard's: of numbers their values, of texts the rank of each."""
    kind = feature.WhichOneof("stats")
    name = "data/" + (".".join(feature.path.step) or feature.name)
    if kind == "num_stats":
        standard = [one for one in feature.num_stats.histograms if one.type == 0]
        buckets = [(one.low_value, one.high_value, one.sample_count) for one in standard[0].buckets] if standard else []
        description = f"{feature.num_stats.common_stats.num_missing:,} missing"
    elif kind == "string_stats":
        ranks = feature.string_stats.rank_histogram.buckets[:MAX_BUCKETS]
        buckets = [(float(rank), float(rank + 1), one.sample_count) for rank, one in enumerate(ranks)]
        names = ", ".join(f"{rank} {_plain(one.label[:40])}" for rank, one in enumerate(ranks[:20]))
        description = f"by rank: {names}"
    else:
        return
    if buckets:
        tensor = tensor_util.make_tensor_proto(np.array(buckets, np.float64))
        metadata = histogram_metadata.create_summary_metadata(display_name=None, description=description)
        yield Summary(value=[Summary.Value(tag=name, tensor=tensor, metadata=metadata)])


# --- evaluation -----------------------------------------------------------------------------------------------------


def _evaluation(found: Facts, usual: Sequence[str]) -> Iterator[Summary]:
    for name in shown(found.slices.get(OVERALL, {}), usual):
        yield _scalar(f"test/{name}", found.measured(OVERALL, name))
    yield from _slices(found, usual)
    _, classes = found.label
    confused = found.evaluation.get("confusion_matrix")
    if confused and 0 < len(classes) <= MAX_CLASSES:
        yield _image("test/confusion_matrix", _drawn(confusion_matrix(np.array(confused), classes)))
    if found.answers is None or found.spec is None:
        return
    if not classes:
        yield histogram_pb("test/error", found.answers.numbers - found.answers.targets)
        return
    diagram = reliability_diagram(reliability_bins(found.answers), "black")
    diagram.set_dpi(90)
    yield _image("test/calibration", _drawn(diagram))
    for index in [1] if len(classes) == 2 else range(min(len(classes), MAX_CLASSES)):
        yield _curve(classes[index], found.answers.targets == index, found.answers.values[:, index])


def _scalar(tag: str, measured: Measured) -> Summary:
    """Returns a number, its interval in its description."""
    return scalar_pb(tag, measured.value, description=f"95 % interval {measured.ends}" if measured.ends else None)


def _slices(found: Facts, usual: Sequence[str]) -> Iterator[Summary]:
    """Returns the metrics that any slice has, which others may lack: one of a single class has no AUC."""
    names = [name for name in found.slices if name != OVERALL]
    if not names:
        return
    metrics = shown(chain(*(found.slices[name] for name in names)), usual)
    rows = [
        [
            name,
            *(str(found.measured(name, metric)) for metric in metrics),
            number(int(found.slices[name].get(EXAMPLE_COUNT, 0))),
        ]
        for name in names[: 4 * MAX_CLASSES]
    ]
    yield text_pb("test/slices", "\n".join(_table(["slice (in brackets 95 % intervals)", *metrics, "rows"], rows)))
    for name in names[:MAX_CLASSES]:
        for metric in metrics:
            if metric in found.slices[name]:
                yield _scalar(f"slices_{metric}/{name}", found.measured(name, metric))


def _curve(name: str, is_positive: np.ndarray, scores: np.ndarray) -> Summary:
    """Returns the precision-recall curve of a class against the others, at NUM_THRESHOLDS thresholds from 0 to 1."""
    reached = counts(is_positive, scores, np.linspace(0, 1, NUM_THRESHOLDS))
    return _copy(
        pr_curve.raw_data_pb(
            f"test/precision_recall/{name}",
            true_positive_counts=reached.true_positives,
            false_positive_counts=reached.false_positives,
            true_negative_counts=reached.num_negatives - reached.false_positives,
            false_negative_counts=reached.num_positives - reached.true_positives,
            precision=reached.precision,
            recall=reached.recall,
            num_thresholds=NUM_THRESHOLDS,
        )
    )


def _mistakes(record: RunRecord, found: Facts) -> Iterator[Summary]:
    shown = found.mistakes[: record.settings.get("report", {}).get("mistakes", 0)]
    if not shown:
        return
    if all("image" in one for one in shown):  # a tag of its own: TensorBoard drops one of two kinds under one name
        yield _image("test/mistake_pictures", _pictures(shown))
    rows, files = [], record.settings.get("data", {}).get("files")
    for one in shown:
        held = "; ".join(f"{name}: {str(cell(value))[:300]}" for name, value in one["features"].items())
        rows.append([row_name(one, files), one["true"], one["predicted"], number(one.get("probability")), held])
    head = ["row", "true", "predicted", "probability", "what it holds"]
    yield text_pb("test/mistakes", "\n".join(_table(head, rows)))


def _pictures(mistakes: list[dict[str, Any]]) -> Image.Image:
    """Returns the images of mistakes in a grid, each with what it is and what it was taken for."""
    across = min(len(mistakes), 3)
    down = -(-len(mistakes) // across)
    # TensorBoard shows pictures about 300 pixels wide: small enough to stay legible there.
    figure = Figure(figsize=(1.1 * across, 1.5 * down), dpi=90, layout="constrained")
    for index, one in enumerate(mistakes):
        axes = figure.add_subplot(down, across, index + 1)
        axes.imshow(Image.open(io.BytesIO(base64.b64decode(one["image"]))), cmap="gray")
        axes.set_axis_off()
        said = f"{short(one['predicted'])} {one['probability']:.2f}"
        axes.set_title(f"{said}\nis {short(one['true'])}", fontsize=8)
    return _drawn(figure)


def _drawn(figure: Figure) -> Image.Image:
    return Image.fromarray(pixels(figure))


def _image(tag: str, picture: Image.Image) -> Summary:
    file = io.BytesIO()
    picture.save(file, "PNG")
    content = [str(picture.width).encode(), str(picture.height).encode(), file.getvalue()]
    tensor = tensor_util.make_tensor_proto(np.array(content, dtype=object))
    metadata = image_metadata.create_summary_metadata(display_name=None, description="")
    return Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=metadata)])
