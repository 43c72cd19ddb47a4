"""Charts of a run as SVG that takes the page's colours, each with the numbers it shows; matplotlib draws them."""

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
from pipeline.reporting.formatting import Measured, difference, number

INK = "#010203"  # stands for the page's text colour
COLOURS = ("#2f7fc1", "#d9822b", "#2f9e6e", "#c94f6d", "#8a63c9", "#7d8a97")
MAX_CLASSES = 20  # in one chart; above, the worst are shown
MAX_CURVES = 6
MAX_POINTS = 1000
MAX_SLICE_ROWS = 200  # in the table of numbers
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
        title: What it shows.
        svg: The picture, an <svg> element.
        alt: The same in a sentence, for those who do not see it.
        columns: Heads of its numbers.
        rows: Its numbers.
    """

    title: str
    svg: str
    alt: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = field(default_factory=list)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def _svg(figure: Figure) -> str:
    """Returns a figure as an <svg> element in the page's colours, as wide as its place allows."""
    file = io.StringIO()
    with warnings.catch_warnings():
        # Matplotlib's own font has no Chinese; the picture holds text, and who shows it has a font.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="([\d.]+)pt"', lambda m: f'{m[1]} style="max-width:{m[2]}pt"', text, count=1)
    return re.sub(r'(<svg[^>]*?) height="[\d.]+pt"', r'\1 aria-hidden="true" focusable="false"', text, count=1)


def drawn(function):
    """Makes a chart function draw in the page's style."""

    def draw(*arguments):
        with matplotlib.rc_context(STYLE):
            return function(*arguments)

    return draw


@drawn
def learning(history: dict[str, list[float]]) -> Chart | None:
    """Returns the curves of losses and metrics by epoch, training and validation side by side."""
    names = [name for name in history if not name.startswith("val_") and name != "learning_rate"]
    names = [name for name in names if history[name]][:MAX_CURVES]
    if not names:
        return None
    across = min(len(names), 3)
    figure = _figure(3.2 * across, 2.6 * -(-len(names) // across))
    epochs = list(range(1, len(history[names[0]]) + 1))
    columns, columns_of = ["epoch"], [epochs]
    for index, name in enumerate(names):
        axes = figure.add_subplot(-(-len(names) // across), across, index + 1)
        for key, label, style in ((name, "training", "--"), (f"val_{name}", "validation", "-")):
            if history.get(key):
                (line,) = axes.plot(epochs, history[key], style, label=label, marker="o" if len(epochs) == 1 else None)
                line.set_gid(f"curve-{key}")
                columns.append(key)
                columns_of.append(history[key])
        axes.set(title=name, xlabel="epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(True)
        axes.legend()
    last = ", ".join(f"{name} {number(values[-1])}" for name, values in zip(columns[1:], columns_of[1:], strict=True))
    rows = [list(row) for row in zip(*columns_of, strict=True)]
    count = "1 epoch" if len(epochs) == 1 else f"{len(epochs)} epochs"
    return Chart("Learning curves", _svg(figure), f"{count}; at the end {last}.", columns, rows)


@drawn
def confusion(counts: np.ndarray, classes: Sequence[str]) -> Chart | None:
    """Returns the confusion matrix; of many classes that of the ones most often confused."""
    if not counts.sum():
        return None
    shown = most_confused(counts, MAX_CLASSES)
    figure = confusion_matrix(counts, classes, shown)
    size = 1.8 + 0.32 * len(shown)  # a page has more room than a card of TensorBoard
    figure.set_size_inches(size + 0.6, size)
    figure.axes[0].tick_params(labelsize=STYLE["font.size"])
    off = counts.copy()
    np.fill_diagonal(off, 0)
    pairs = [divmod(int(index), len(classes)) for index in np.argsort(-off, axis=None, kind="stable")[:MAX_CLASSES]]
    rows = [[classes[true], classes[predicted], int(off[true, predicted])] for true, predicted in pairs]
    rows = [row for row in rows if row[2]]
    title = "Confusion matrix" + (
        f", the {len(shown)} classes most often confused" if len(classes) > len(shown) else ""
    )
    most = "; ".join(
        f"{isolated(true)} taken for {isolated(predicted)} {count} times" for true, predicted, count in rows[:3]
    )
    return Chart(title, _svg(figure), f"Most frequent: {most or 'no mistakes'}.", ["true", "predicted", "rows"], rows)


def reliability_diagram(bins: Sequence[Bin], ink: str = INK) -> Figure:
    """Returns the reliability diagram (C. Guo et al., ICML 2017): accuracy by confidence, each with its interval.

    Args:
        bins: The bins that hold rows.
        ink: Colour of the diagonal and of the intervals.
    """
    figure = _figure(3.6, 3.2)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], ":", color=ink)
    width = 0.92 * (bins[0].high - bins[0].low) if bins else 0
    confidences, accuracies = [one.confidence for one in bins], [one.accuracy for one in bins]
    axes.bar([one.low for one in bins], accuracies, width, align="edge", alpha=0.75)
    (line,) = axes.plot(confidences, accuracies, "o-", color=COLOURS[1], markersize=3)
    line.set_gid("curve-calibration")
    measured = [Measured(one.accuracy, one.interval) for one in bins]
    _error_bars(axes, confidences, measured, upright=True, ink=ink)
    axes.set(xlabel="confidence", ylabel="accuracy, 95 % interval", xlim=(0, 1), ylim=(0, 1))
    return figure


@drawn
def calibration(bins: Sequence[Bin], error: Measured) -> Chart:
    """Returns the reliability diagram with its numbers."""
    figure = reliability_diagram(bins)
    measured = [Measured(one.accuracy, one.interval) for one in bins]
    text = f"Expected calibration error {error}." if error.value is not None else "Accuracy by confidence."
    rows = [
        [one.low, one.high, one.confidence, accuracy, one.rows] for one, accuracy in zip(bins, measured, strict=True)
    ]
    return Chart("Calibration", _svg(figure), text, ["from", "to", "mean confidence", "accuracy", "rows"], rows)


def _error_bars(
    axes: Axes, places: Sequence[float], measured: Sequence[Measured], *, upright: bool = False, ink: str = INK
) -> None:
    """Draws the intervals that are known."""
    for place, one in zip(places, measured, strict=True):
        if one.value is not None and one.interval is not None:
            gaps = [[max(one.value - one.interval[0], 0)], [max(one.interval[1] - one.value, 0)]]
            at = (
                {"x": [place], "y": [one.value], "yerr": gaps}
                if upright
                else {"x": [one.value], "y": [place], "xerr": gaps}
            )
            axes.errorbar(**at, fmt="none", ecolor=ink, capsize=2, elinewidth=1)


@drawn
def precision_recall(curves: Mapping[str, ClassCurve], many: bool) -> Chart | None:
    """Returns the precision-recall curves."""
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
    told = ", ".join(f"{name} {average:.3f}" for name, average in rows)
    title = "Precision and recall" + (f", the {len(curves)} worst classes" if many else "")
    return Chart(title, _svg(figure), f"Average precision: {told}.", ["class", "average precision"], rows)


@drawn
def by_slice(found: Facts, metric: str, lower_is_better: bool) -> Chart | None:
    """Returns a metric by slice with its intervals, the worst first."""
    values = {name: one[metric] for name, one in found.slices.items() if name != OVERALL and metric in one}
    if not values:
        return None
    worst = sorted(values, key=values.__getitem__, reverse=lower_is_better)
    rows = [
        [name, found.measured(name, metric), int(found.slices[name].get(EXAMPLE_COUNT, 0))]
        for name in worst[:MAX_SLICE_ROWS]
    ]
    shown = rows[:MAX_CLASSES]
    figure = _figure(5.6, 0.9 + 0.26 * len(shown))
    axes = figure.add_subplot()
    axes.barh(range(len(shown)), [row[1].value for row in shown], alpha=0.8)
    axes.set_yticks(range(len(shown)), [short(row[0], 40) for row in shown])  # two may be the same when cut
    _error_bars(axes, range(len(shown)), [row[1] for row in shown])
    overall = found.measured(OVERALL, metric)
    if overall.value is not None:
        axes.axvline(overall.value, linestyle=":", color=INK)
    axes.invert_yaxis()
    known = ", 95 % interval" if any(row[1].interval for row in shown) else ""
    axes.set(xlabel=f"{metric}{known}; dotted: over all")
    told = "; ".join(f"{isolated(row[0])} {row[1]}" for row in rows[:3])
    title = f"{metric} by slice" + (f", the {len(shown)} worst of {len(worst)}" if len(worst) > len(shown) else "")
    return Chart(title, _svg(figure), f"Worst: {told}.", ["slice", metric, "rows"], rows)


@drawn
def predicted_and_true(answers: Predictions) -> Chart:
    """Returns predicted numbers over true ones, of up to MAX_POINTS rows."""
    step = -(-len(answers.numbers) // MAX_POINTS)
    true, predicted = answers.targets[::step], answers.numbers[::step]
    figure = _figure(3.6, 3.4)
    axes = figure.add_subplot()
    axes.plot(true, predicted, ".", markersize=2.5, alpha=0.5)
    ends = [float(min(true.min(), predicted.min())), float(max(true.max(), predicted.max()))]
    axes.plot(ends, ends, ":", color=INK)
    axes.set(xlabel="true", ylabel="predicted")
    alt = f"{len(true)} rows; correlation {np.corrcoef(true, predicted)[0, 1]:.3f}." if len(true) > 1 else "One row."
    return Chart("Predicted and true", _svg(figure), alt)


@drawn
def class_shares(counts: dict[str, dict[str, int]]) -> Chart | None:
    """Returns the share of each class by split; `counts` is split -> class -> rows."""
    counts = {split: one for split, one in counts.items() if sum(one.values())}
    if not counts:
        return None
    names = list(next(iter(counts.values())))
    rows = [[name, *(one.get(name, 0) for one in counts.values())] for name in names]
    shown = sorted(rows, key=lambda row: -row[1])[:MAX_CLASSES] if len(rows) > MAX_CLASSES else rows
    figure = _figure(1.6 + 0.42 * len(shown), 2.6)
    axes = figure.add_subplot()
    width = 0.8 / len(counts)
    for index, (split, one) in enumerate(counts.items()):
        paths = np.arange(len(shown)) + (index - (len(counts) - 1) / 2) * width
        axes.bar(paths, [row[1 + index] / sum(one.values()) for row in shown], width, label=split)
    axes.set_xticks(range(len(shown)), [short(row[0]) for row in shown], rotation=45, ha="right")
    axes.set(ylabel="share of rows")
    figure.legend(loc="outside right upper")
    title = "Classes by split" + (f", the {len(shown)} largest of {len(rows)}" if len(rows) > len(shown) else "")
    told = "; ".join(f"{split} {sum(one.values()):,} rows" for split, one in counts.items())
    return Chart(title, _svg(figure), f"{len(names)} classes; {told}.", ["class", *counts], rows[:1000])


@drawn
def models(comparison: dict[str, Any]) -> Chart:
    """Returns the network beside classical models."""
    metric, found = comparison["metric"], comparison["models"]
    values = {name: one["metrics"][metric] for name, one in found.items()}
    figure = _figure(5.6, 0.9 + 0.32 * len(values))
    axes = figure.add_subplot()
    colours = [COLOURS[1] if name == "network" else COLOURS[0] for name in values]
    # Without a value, where it was no finite number, there is no bar.
    axes.barh(list(values), np.array(list(values.values()), float), color=colours, alpha=0.85)
    axes.set(xlabel=metric)
    axes.invert_yaxis()
    columns = ["model", metric, "training s", "us a row", "peak MiB", "rows", "features"]
    told = ("train_seconds", "microseconds_per_row", "peak_mib", "rows", "features")
    marked = {name: f"{name} (trivial)" if one.get("trivial") else name for name, one in found.items()}
    rows = [[marked[name], one["metrics"][metric], *(one[key] for key in told)] for name, one in found.items()]
    return Chart(f"{metric} beside classical models", _svg(figure), comparison["sentence"] + ".", columns, rows)


@drawn
def deltas(metric: str, rows: Sequence[Sequence[Any]]) -> Chart | None:
    """Returns differences of a metric to the first run; `rows` is run, difference, lower and upper end or None."""
    rows = [row for row in rows if row[1].value is not None]
    if not rows:
        return None
    figure = _figure(5.6, 0.9 + 0.32 * len(rows))
    axes = figure.add_subplot()
    axes.barh([row[0] for row in rows], [row[1].value for row in rows], alpha=0.8)
    _error_bars(axes, range(len(rows)), [row[1] for row in rows])
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.invert_yaxis()
    axes.set(xlabel=f"{metric}, difference to the first run, 95 % interval")
    told = "; ".join(f"{row[0]} {difference(row[1].value, row[1].interval)}" for row in rows)
    return Chart(f"{metric}: difference", _svg(figure), told + ".", ["run", "difference"], rows)


@drawn
def histories(name: str, curves: dict[str, list[float]]) -> Chart | None:
    """Returns one curve of the training of several runs, by epoch."""
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
    told = "; ".join(f"{run} {number(values[-1])}" for run, values in curves.items())
    longest = max(map(len, curves.values()))
    rows = [
        [epoch + 1, *(values[epoch] if epoch < len(values) else None for values in curves.values())]
        for epoch in range(longest)
    ]
    return Chart(f"{name} by epoch", _svg(figure), f"At the end {told}.", ["epoch", *curves], rows)


@drawn
def over_runs(metric: str, rows: Sequence[tuple[str, Measured]]) -> Chart | None:
    """Returns a metric run by run; `rows` is the run and its value, the oldest first."""
    rows = [row for row in rows if row[1].value is not None]
    if len(rows) < 2:
        return None
    figure = _figure(6.4, 2.4)
    axes = figure.add_subplot()
    measured = [one for _, one in rows]
    (line,) = axes.plot([one.value for one in measured], "o-", markersize=3)
    line.set_gid("curve-runs")
    ends = [one.interval or (one.value, one.value) for one in measured]
    axes.fill_between(range(len(rows)), *zip(*ends, strict=True), alpha=0.2)
    axes.set(ylabel=metric, xlabel=f"the last {len(rows)} runs, the newest to the right")
    axes.set_xticks([])
    axes.grid(True)
    alt = f"From {measured[0]} to {measured[-1]} over {len(rows)} runs."
    return Chart(f"{metric} by run", _svg(figure), alt, ["run", metric], rows)
