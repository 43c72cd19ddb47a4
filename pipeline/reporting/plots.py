"""Charts of runs: SVG drawn by matplotlib in the page's colours, each with a text and a table of its numbers."""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from components.artifact_files import OVERALL
from data.scripts import isolated
from models.evaluation import EXAMPLE_COUNT
from models.evaluation.plots import confusion_matrix, most_confused, short
from models.evaluation.predictions import Predictions
from models.evaluation.reliability import Bin
from pipeline.reporting.curves import ClassCurve
from pipeline.reporting.facts import Facts
from pipeline.reporting.formatting import Measured, difference, number, rounded

INK = "#010203"  # placeholder for the page's text colour
COLOURS = ("#2f7fc1", "#d9822b", "#2f9e6e", "#c94f6d", "#8a63c9", "#7d8a97")
MAX_CLASSES = 20  # in a chart; of more, the worst are shown
MAX_CURVES = 6  # losses and metrics with a learning curve
MAX_POINTS = 1000  # in the chart of predicted and true numbers
MAX_SLICE_ROWS = 200  # slices in the table of numbers
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "headrace",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "grid.color": INK,
    "grid.alpha": 0.15,
}


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        title: Title.
        svg: The picture, an <svg> element.
        alt: Text alternative: what the chart shows, in a sentence.
        columns: Column names of the table of numbers.
        rows: Rows of the table of numbers.
    """

    title: str
    svg: str
    alt: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = field(default_factory=list)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def _svg(figure: Figure) -> str:
    """Returns a figure as an <svg> element in the page's colours that shrinks with its container."""
    file = io.StringIO()
    with warnings.catch_warnings():
        # Matplotlib's own font lacks Chinese; the SVG holds text, which the browser draws with its fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="([\d.]+)pt"', lambda m: f'{m[1]} style="max-width:{m[2]}pt"', text, count=1)
    return re.sub(r'(<svg[^>]*?) height="[\d.]+pt"', r'\1 aria-hidden="true" focusable="false"', text, count=1)


def in_page_style(function):
    """Decorates a function so that it draws its chart in the page's style."""

    def wrapped(*arguments):
        with matplotlib.rc_context(STYLE):
            return function(*arguments)

    return wrapped


@in_page_style
def learning(history: dict[str, list[float]]) -> Chart | None:
    """Returns the learning curves: losses and metrics by epoch, of training and validation split in one diagram.

    Args:
        history: Keras's `History.history`: metric, with `val_` in front for the validation split -> values by epoch.
    """
    names = [name for name in history if not name.startswith("val_") and name != "learning_rate"]
    names = [name for name in names if history[name]][:MAX_CURVES]
    if not names:
        return None
    num_columns = min(len(names), 3)
    figure = _figure(3.2 * num_columns, 2.6 * -(-len(names) // num_columns))
    epochs = list(range(1, len(history[names[0]]) + 1))
    columns, series = ["epoch"], [epochs]
    for index, name in enumerate(names):
        axes = figure.add_subplot(-(-len(names) // num_columns), num_columns, index + 1)
        for history_key, label, style in ((name, "training", "--"), (f"val_{name}", "validation", "-")):
            if history.get(history_key):
                (line,) = axes.plot(
                    epochs, history[history_key], style, label=label, marker="o" if len(epochs) == 1 else None
                )
                line.set_gid(f"curve-{history_key}")
                columns.append(history_key)
                series.append(history[history_key])
        axes.set(title=name, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(True)
        axes.legend()
    last_values = ", ".join(
        f"{name} {number(values[-1])}" for name, values in zip(columns[1:], series[1:], strict=True)
    )
    rows = [list(row) for row in zip(*series, strict=True)]
    epochs_text = "1 epoch" if len(epochs) == 1 else f"{len(epochs)} epochs"
    return Chart("Learning curves", _svg(figure), f"{epochs_text}; at the end {last_values}.", columns, rows)


@in_page_style
def confusion(counts: np.ndarray, classes: Sequence[str]) -> Chart | None:
    """Returns the confusion matrix; of many classes, of those that are confused most often.

    Args:
        counts: int64 `(classes, classes)`, number of rows by true and predicted class.
        classes: Names of the classes.
    """
    if not counts.sum():
        return None
    class_indices = most_confused(counts, MAX_CLASSES)
    figure = confusion_matrix(counts, classes, class_indices)
    size = 1.8 + 0.32 * len(class_indices)  # in inches; a page has more room than a card of TensorBoard
    figure.set_size_inches(size + 0.6, size)
    figure.axes[0].tick_params(labelsize=STYLE["font.size"])
    errors = counts.copy()
    np.fill_diagonal(errors, 0)
    pairs = [divmod(int(index), len(classes)) for index in np.argsort(-errors, axis=None, kind="stable")[:MAX_CLASSES]]
    rows = [[classes[true], classes[predicted], int(errors[true, predicted])] for true, predicted in pairs]
    rows = [row for row in rows if row[2]]
    title = "Confusion matrix" + (
        f", the {len(class_indices)} classes most often confused" if len(classes) > len(class_indices) else ""
    )
    top_pairs = "; ".join(
        f"{isolated(true)} taken for {isolated(predicted)} {count} times" for true, predicted, count in rows[:3]
    )
    return Chart(
        title, _svg(figure), f"Most frequent: {top_pairs or 'no mistakes'}.", ["true", "predicted", "rows"], rows
    )


def reliability_diagram(bins: Sequence[Bin], ink: str = INK) -> Figure:
    """Returns the reliability diagram (C. Guo et al., ICML 2017): accuracy by confidence, with 95 % intervals.

    Args:
        bins: The bins that have rows.
        ink: Colour of the diagonal and of the intervals.
    """
    figure = _figure(3.6, 3.2)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], ":", color=ink)
    width = 0.92 * (bins[0].high - bins[0].low) if bins else 0
    confidences, accuracies = [bin_.confidence for bin_ in bins], [bin_.accuracy for bin_ in bins]
    axes.bar([bin_.low for bin_ in bins], accuracies, width, align="edge", alpha=0.75)
    (line,) = axes.plot(confidences, accuracies, "o-", color=COLOURS[1], markersize=3)
    line.set_gid("curve-calibration")
    measured = [Measured(bin_.accuracy, bin_.interval) for bin_ in bins]
    _error_bars(axes, confidences, measured, upright=True, ink=ink)
    axes.set(xlabel="confidence", ylabel="accuracy, 95 % interval", xlim=(0, 1), ylim=(0, 1))
    return figure


@in_page_style
def calibration(bins: Sequence[Bin], error: Measured) -> Chart:
    """Returns the reliability diagram with its numbers, and the expected calibration error `error`."""
    figure = reliability_diagram(bins)
    accuracies = [Measured(bin_.accuracy, bin_.interval) for bin_ in bins]
    text = f"Expected calibration error {error}." if error.value is not None else "Accuracy by confidence."
    rows = [
        [bin_.low, bin_.high, bin_.confidence, accuracy, bin_.rows]
        for bin_, accuracy in zip(bins, accuracies, strict=True)
    ]
    return Chart("Calibration", _svg(figure), text, ["from", "to", "mean confidence", "accuracy", "rows"], rows)


def _error_bars(
    axes: Axes, positions: Sequence[float], measured: Sequence[Measured], *, upright: bool = False, ink: str = INK
) -> None:
    """Draws the known intervals at `positions`, vertical if `upright`."""
    for position, value in zip(positions, measured, strict=True):
        if value.value is not None and value.interval is not None:
            distances = [[max(value.value - value.interval[0], 0)], [max(value.interval[1] - value.value, 0)]]
            coordinates = (
                {"x": [position], "y": [value.value], "yerr": distances}
                if upright
                else {"x": [value.value], "y": [position], "xerr": distances}
            )
            axes.errorbar(**coordinates, fmt="none", ecolor=ink, capsize=2, elinewidth=1)


@in_page_style
def precision_recall(curves: Mapping[str, ClassCurve], is_selection: bool) -> Chart | None:
    """Returns the precision-recall curves of classes; `is_selection` says that other classes have none."""
    if not curves:
        return None
    figure = _figure(4.6, 3.2)
    axes = figure.add_subplot()
    for index, (name, curve) in enumerate(curves.items()):
        (line,) = axes.plot(curve.recall, curve.precision, label=f"{short(name)} ({curve.average_precision:.3f})")
        line.set_gid(f"curve-pr-{index}")
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.02))
    axes.grid(True)
    figure.legend(loc="outside right upper", title="average precision")
    rows = [[name, curve.average_precision] for name, curve in curves.items()]
    averages = ", ".join(f"{name} {average:.3f}" for name, average in rows)
    title = "Precision and recall" + (f", the {len(curves)} worst classes" if is_selection else "")
    return Chart(title, _svg(figure), f"Average precision: {averages}.", ["class", "average precision"], rows)


@in_page_style
def by_slice(facts: Facts, metric: str, lower_is_better: bool) -> Chart | None:
    """Returns a metric by slice with its intervals, the worst slice first; None without slices."""
    values = {name: metrics[metric] for name, metrics in facts.slices.items() if name != OVERALL and metric in metrics}
    if not values:
        return None
    names = sorted(values, key=values.__getitem__, reverse=lower_is_better)
    rows = [
        [name, facts.measured(name, metric), int(facts.slices[name].get(EXAMPLE_COUNT, 0))]
        for name in names[:MAX_SLICE_ROWS]
    ]
    bar_rows = rows[:MAX_CLASSES]
    figure = _figure(5.6, 0.9 + 0.26 * len(bar_rows))
    axes = figure.add_subplot()
    axes.barh(range(len(bar_rows)), [row[1].value for row in bar_rows], alpha=0.8)
    axes.set_yticks(range(len(bar_rows)), [short(row[0], 40) for row in bar_rows])  # shortened names may be equal
    _error_bars(axes, range(len(bar_rows)), [row[1] for row in bar_rows])
    overall = facts.measured(OVERALL, metric)
    if overall.value is not None:
        axes.axvline(overall.value, linestyle=":", color=INK)
    axes.invert_yaxis()
    interval_label = ", 95 % interval" if any(row[1].interval for row in bar_rows) else ""
    axes.set(xlabel=f"{metric}{interval_label}; dotted: all rows")
    worst_text = "; ".join(f"{isolated(row[0])} {row[1]}" for row in rows[:3])
    title = f"{metric} by slice" + (
        f", the {len(bar_rows)} worst of {len(names)}" if len(names) > len(bar_rows) else ""
    )
    return Chart(title, _svg(figure), f"Worst: {worst_text}.", ["slice", metric, "rows"], rows)


@in_page_style
def predicted_and_true(predictions: Predictions) -> Chart:
    """Returns predicted over true numbers, of at most MAX_POINTS rows."""
    step = -(-len(predictions.numbers) // MAX_POINTS)
    true, predicted = predictions.targets[::step], predictions.numbers[::step]
    figure = _figure(3.6, 3.4)
    axes = figure.add_subplot()
    axes.plot(true, predicted, ".", markersize=2.5, alpha=0.5)
    diagonal = [float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))]
    axes.plot(diagonal, diagonal, ":", color=INK)
    axes.set(xlabel="true", ylabel="predicted")
    alt = f"{len(true)} rows; correlation {np.corrcoef(true, predicted)[0, 1]:.3f}." if len(true) > 1 else "One row."
    return Chart("Predicted and true", _svg(figure), alt)


@in_page_style
def class_shares(counts: dict[str, dict[str, int]]) -> Chart | None:
    """Returns the share of each class by split; `counts` is split -> class -> number of rows."""
    counts = {split: class_counts for split, class_counts in counts.items() if sum(class_counts.values())}
    if not counts:
        return None
    classes = list(next(iter(counts.values())))
    rows = [[name, *(class_counts.get(name, 0) for class_counts in counts.values())] for name in classes]
    bar_rows = sorted(rows, key=lambda row: -row[1])[:MAX_CLASSES] if len(rows) > MAX_CLASSES else rows
    figure = _figure(1.6 + 0.42 * len(bar_rows), 2.6)
    axes = figure.add_subplot()
    width = 0.8 / len(counts)
    for index, (split, class_counts) in enumerate(counts.items()):
        positions = np.arange(len(bar_rows)) + (index - (len(counts) - 1) / 2) * width
        axes.bar(positions, [row[1 + index] / sum(class_counts.values()) for row in bar_rows], width, label=split)
    axes.set_xticks(range(len(bar_rows)), [short(row[0]) for row in bar_rows], rotation=45, ha="right")
    axes.set(ylabel="share of rows")
    figure.legend(loc="outside right upper")
    title = "Classes by split" + (f", the {len(bar_rows)} largest of {len(rows)}" if len(rows) > len(bar_rows) else "")
    num_rows = "; ".join(f"{split} {sum(class_counts.values()):,} rows" for split, class_counts in counts.items())
    return Chart(title, _svg(figure), f"{len(classes)} classes; {num_rows}.", ["class", *counts], rows[:1000])


@in_page_style
def reference_models(comparison: dict[str, Any]) -> Chart:
    """Returns the network's metric compared with reference models; `comparison` is the content of `comparison.json`."""
    metric, models = comparison["metric"], comparison["models"]
    values = {name: model["metrics"][metric] for name, model in models.items()}
    figure = _figure(5.6, 0.9 + 0.32 * len(values))
    axes = figure.add_subplot()
    colours = [COLOURS[1] if name == "network" else COLOURS[0] for name in values]
    # A value that is not finite is None and has no bar.
    axes.barh(list(values), np.array(list(values.values()), float), color=colours, alpha=0.85)
    axes.set(xlabel=metric)
    axes.invert_yaxis()
    columns = ["model", metric, "training s", "µs a row", "peak MiB", "rows", "features"]
    costs = ("train_seconds", "microseconds_per_row", "peak_mib")
    labels = {name: f"{name} (trivial)" if model.get("trivial") else name for name, model in models.items()}
    rows = [
        [
            labels[name],
            model["metrics"][metric],
            *(rounded(model[key]) for key in costs),
            model["rows"],
            model["features"],
        ]
        for name, model in models.items()
    ]
    return Chart(f"{metric} of network and reference models", _svg(figure), comparison["sentence"] + ".", columns, rows)


@in_page_style
def deltas(metric: str, rows: Sequence[Sequence[Any]]) -> Chart | None:
    """Returns differences of a metric from the first run.

    Args:
        metric: Name of the metric.
        rows: Run, and difference as `Measured`.
    """
    rows = [row for row in rows if row[1].value is not None]
    if not rows:
        return None
    figure = _figure(5.6, 0.9 + 0.32 * len(rows))
    axes = figure.add_subplot()
    axes.barh([row[0] for row in rows], [row[1].value for row in rows], alpha=0.8)
    _error_bars(axes, range(len(rows)), [row[1] for row in rows])
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.invert_yaxis()
    axes.set(xlabel=f"{metric}, difference from the first run, 95 % interval")
    differences = "; ".join(f"{row[0]} {difference(row[1].value, row[1].interval)}" for row in rows)
    return Chart(f"{metric}: difference", _svg(figure), differences + ".", ["run", "difference"], rows)


@in_page_style
def histories(name: str, curves: dict[str, list[float]]) -> Chart | None:
    """Returns the values of a metric by epoch for several runs; `curves` is run -> values."""
    if not curves:
        return None
    figure = _figure(5.6, 2.6)
    axes = figure.add_subplot()
    for index, (run, values) in enumerate(curves.items()):
        (line,) = axes.plot(range(1, len(values) + 1), values, label=run, marker="o" if len(values) == 1 else None)
        line.set_gid(f"curve-history-{index}")
    axes.set(xlabel="epoch", ylabel=name)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(True)
    figure.legend(loc="outside lower left")
    last_values = "; ".join(f"{run} {number(values[-1])}" for run, values in curves.items())
    num_epochs = max(map(len, curves.values()))
    rows = [
        [epoch + 1, *(values[epoch] if epoch < len(values) else None for values in curves.values())]
        for epoch in range(num_epochs)
    ]
    return Chart(f"{name} by epoch", _svg(figure), f"At the end {last_values}.", ["epoch", *curves], rows)


@in_page_style
def over_runs(metric: str, rows: Sequence[tuple[str, Measured]]) -> Chart | None:
    """Returns a metric by run; `rows` is run and value, the oldest first; None for fewer than two values."""
    rows = [row for row in rows if row[1].value is not None]
    if len(rows) < 2:
        return None
    figure = _figure(6.4, 2.4)
    axes = figure.add_subplot()
    measured = [value for _, value in rows]
    (line,) = axes.plot([value.value for value in measured], "o-", markersize=3)
    line.set_gid("curve-runs")
    ends = [value.interval or (value.value, value.value) for value in measured]
    axes.fill_between(range(len(rows)), *zip(*ends, strict=True), alpha=0.2)
    axes.set(ylabel=metric, xlabel=f"the last {len(rows)} runs, the newest to the right")
    axes.set_xticks([])
    axes.grid(True)
    alt = f"From {measured[0]} to {measured[-1]} over {len(rows)} runs."
    return Chart(f"{metric} by run", _svg(figure), alt, ["run", metric], rows)
