"""Writes the page of a run: one HTML file without scripts, other files or network access."""

import functools
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import escape

from components.artifact_files import OVERALL
from data.files import atomic
from data.kinds.date import EPOCH
from data.scripts import cut, isolated
from data.spec import BooleanFeature, DateFeature, Feature
from models.evaluation import EXAMPLE_COUNT
from models.evaluation.names import of_class, shown
from models.evaluation.reliability import reliability_bins
from pipeline.core.files import private_files
from pipeline.core.paths import PipelinePaths
from pipeline.history.record import RunRecord
from pipeline.reporting import plots
from pipeline.reporting.curves import precision_recall
from pipeline.reporting.facts import WATTS_PER_CORE, Facts, energy_wh
from pipeline.reporting.formatting import (
    Measured,
    cell,
    data_number,
    duration,
    flat,
    moment,
    number,
    row_name,
    setting,
    settings_row,
    span,
)
from pipeline.reporting.lineage import picture

MAX_FEATURES = 200  # in the table of statistics
MAX_TEXT = 600  # characters of a longer text that are shown until it is unfolded
MAX_CLASS_ROWS = 30  # in the table of metrics by class
MAX_BARS = 20  # of a histogram
CLASS_METRICS = ("precision", "recall", "f1")
SECONDS_PER_DAY = 86_400


@dataclass
class Section:
    """A section of the page.

    Attributes:
        key: Anchor of the section, and name of its block in the template.
        title: Heading.
        values: Variables of the block in the template.
        charts: Charts of the section.
    """

    key: str
    title: str
    values: dict[str, Any] = field(default_factory=dict)
    charts: list[plots.Chart] = field(default_factory=list)


def write(paths: PipelinePaths, record: RunRecord, facts: Facts) -> Path:
    """Writes the page of a run atomically and returns its path."""
    paths.reports.mkdir(parents=True, exist_ok=True)
    page = paths.reports / f"{record.run}.html"
    with private_files():  # the page shows rows of the test split
        atomic.write(page, render(record, facts))
    return page


def lost(paths: PipelinePaths, record: RunRecord, facts: Facts) -> list[str]:
    """Returns the sentences of `facts.missing` that the existing page does not have.

    The page may be the last copy of a chart whose artifacts were removed since; rendering it again would lose that.
    """
    try:
        earlier_page = (paths.reports / f"{record.run}.html").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    if not earlier_page.rstrip().endswith("</html>"):  # damaged
        return []
    return [line for line in facts.missing if str(escape(line)) not in earlier_page]


def render(record: RunRecord, facts: Facts) -> str:
    """Returns the page as HTML; all text from data and settings is escaped."""
    sections = [
        _verdict(record, facts),
        _data(record, facts),
        _model(facts),
        _learning(facts),
        _metrics(record, facts),
        _mistakes(record, facts),
        _classical(facts),
        _serving(facts),
        _cost(record, facts),
        Section("lineage", "Lineage", {"picture": picture(facts.lineage, record)}),
        Section("reproduce", "How to reproduce", {"digests": facts.digests}),
        Section("card", "Model card", record.settings.get("report", {}).get("card") or {}),
    ]
    return environment().get_template("page.html.j2").render(record=record, facts=facts, sections=sections)


@functools.cache
def environment() -> jinja2.Environment:
    """Returns the Jinja environment of all pages; text is escaped unless a template marks it as safe."""
    jinja_environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    jinja_environment.filters |= {
        "cell": cell,
        "cut": cut,
        "number": number,
        "span": span,
        "duration": duration,
        "moment": moment,
        "flat": flat,
        "typed": shlex.join,
        "setting": setting,
        "settings_row": settings_row,
    }
    jinja_environment.globals |= {"max_text": MAX_TEXT}
    return jinja_environment


# --- sections -------------------------------------------------------------------------------------------------------


def _verdict(record: RunRecord, facts: Facts) -> Section:
    intervals = _intervals(record, facts)
    rows = [{**verdict, "interval": intervals.get(verdict["metric"])} for verdict in facts.verdicts]
    return Section("verdict", "Verdict and gates", {"verdicts": rows})


def _data(record: RunRecord, facts: Facts) -> Section:
    chart = plots.class_shares(facts.classes)
    details = {stage.name: stage.detail for stage in record.stages}
    features = _statistics(facts)
    values = {
        "features": features[:MAX_FEATURES],
        "left_out": len(features[MAX_FEATURES:]),
        "anomalies": facts.anomalies,
        "gate": details.get("data_gate", ""),
        "notes": details.get("ingest", "").partition("; ")[2],  # the detail of `ingest` is: counts; notes
    }
    return Section("data", "Data", values, [chart] if chart else [])


def _name(feature: Any) -> str:
    return ".".join(feature.path.step) or feature.name


def _statistics(facts: Facts) -> list[dict[str, Any]]:
    """Returns name and `splits` of each feature; `splits` is split -> summary of its statistics, see `_summary`."""
    label, classes = facts.label
    by_name: dict[str, dict[str, Any]] = {}
    for split, features in facts.statistics.items():
        for feature in features:
            summary = _summary(feature, facts.spec.features.get(_name(feature)) if facts.spec else None)
            if _name(feature) == label:  # a mean of class indices means nothing
                summary["text"] = f"{len(classes):,} classes"
                summary["bars"] = _bars(list(facts.classes.get(split, {}).values())[:MAX_BARS])
            by_name.setdefault(_name(feature), {})[split] = summary
    return [{"name": name, "splits": splits} for name, splits in by_name.items()]


def _summary(feature: Any, spec: Feature | None) -> dict[str, Any]:
    """Returns `missing`, a share from 0 to 1, `bars`, heights from 0 to 1, and `text` of TFDV's statistics."""
    kind = feature.WhichOneof("stats")
    stats = getattr(feature, kind)
    common = stats.common_stats
    num_rows = common.num_non_missing + common.num_missing
    summary = {"missing": common.num_missing / num_rows if num_rows else 0.0, "bars": [], "text": ""}
    if kind == "num_stats":
        summary["text"] = _number_text(stats, spec)
        histograms = [histogram for histogram in stats.histograms if histogram.type == 0]
        summary["bars"] = _bars([bucket.sample_count for bucket in histograms[0].buckets]) if histograms else []
    elif kind == "string_stats":
        top_values = ", ".join(
            f"{isolated(_clip(value.value))} ({number(int(value.frequency))})" for value in stats.top_values[:3]
        )
        parts = (f"{number(int(stats.unique))} values", top_values, f"{stats.avg_length:.0f} characters on average")
        summary["text"] = "; ".join(filter(None, parts))  # without repeated values there are no top values
        summary["bars"] = _bars([bucket.sample_count for bucket in stats.rank_histogram.buckets][:MAX_BARS])
    return summary


def _number_text(stats: Any, feature: Feature | None) -> str:
    """Returns mean, deviation, range and median as text; dates, stored as seconds since 1970, as days in UTC."""
    if isinstance(feature, BooleanFeature):
        return f"yes in {stats.mean:.1%} of its values"
    if isinstance(feature, DateFeature):
        mean, minimum, maximum, median = map(_day, (stats.mean, stats.min, stats.max, stats.median))
        deviation = f"{number(stats.std_dev / SECONDS_PER_DAY)} days"
    else:
        mean, minimum, maximum, median = map(data_number, (stats.mean, stats.min, stats.max, stats.median))
        deviation = data_number(stats.std_dev)
    return f"mean {mean}, deviation {deviation}, from {minimum} to {maximum}, median {median}"


def _day(seconds: float) -> str:
    """Returns the date of seconds since 1970 in UTC; the number of days outside of Python's range of years."""
    try:
        return (EPOCH + timedelta(seconds=seconds)).date().isoformat()
    except (OverflowError, ValueError):
        return f"{number(seconds / SECONDS_PER_DAY)} days after 1970"


def _clip(text: str, length: int = 40) -> str:
    return text if len(text) <= length else cut(text, length - 1) + "…"


def _bars(counts: list[float]) -> list[float]:
    """Returns the heights of bars, from 0 to 1."""
    highest = max(counts, default=0)
    return [count / highest for count in counts] if highest else []


def _model(facts: Facts) -> Section:
    layers = facts.training.get("layers", [])
    return Section("model", "Model", {"layers": layers, "parameters": sum(layer["parameters"] for layer in layers)})


def _learning(facts: Facts) -> Section:
    chart = plots.learning(facts.training.get("history", {}))
    return Section("learning", "Learning curves", {}, [chart] if chart else [])


def _metrics(record: RunRecord, facts: Facts) -> Section:
    overall, intervals = facts.slices.get(OVERALL, {}), _intervals(record, facts)
    _, classes = facts.label
    rows = [
        {"name": name, "measured": Measured.of(name, overall, intervals)}
        for name in shown(overall, record.usual_metrics)
    ]
    values = {
        "rows": rows,
        "num_rows": overall.get(EXAMPLE_COUNT),
        "weight_column": facts.spec.weight_column if facts.spec else None,
        "has_intervals": any(row["measured"].interval for row in rows),
        "classes": _class_rows(facts),
        "num_classes": len(classes),
    }
    charts = [*_prediction_charts(facts), _slice_chart(record, facts)]
    return Section("metrics", "Metrics on the test split", values, [chart for chart in charts if chart])


def _intervals(record: RunRecord, facts: Facts) -> dict[str, Sequence[float]]:
    """Returns metric -> interval over all rows; the record has those of older releases."""
    return {**record.intervals, **facts.intervals.get(OVERALL, {})}


def _prediction_charts(facts: Facts) -> list[plots.Chart | None]:
    _, classes = facts.label
    charts: list[plots.Chart | None] = []
    if facts.evaluation.get("confusion_matrix") and classes:
        charts.append(plots.confusion(np.array(facts.evaluation["confusion_matrix"]), classes))
    if facts.predictions and classes:
        error = facts.measured(OVERALL, "expected_calibration_error")
        charts.append(plots.calibration(reliability_bins(facts.predictions), error))
        curves = precision_recall(facts.predictions, classes)
        charts.append(plots.precision_recall(curves, len(classes) > len(curves) > 1))
    elif facts.predictions and facts.spec:  # without a specification their meaning is unknown
        charts.append(plots.predicted_and_true(facts.predictions))
    return charts


def _slice_chart(record: RunRecord, facts: Facts) -> plots.Chart | None:
    metric = facts.slice_metric(record.usual_metrics)
    if metric is None:
        return None
    compared_metric = facts.compared.get(metric)
    return plots.by_slice(facts, metric, compared_metric is not None and compared_metric.lower_is_better)


def _class_rows(facts: Facts) -> list[list[Any]]:
    """Returns class, number of rows, precision, recall and F1 for each class, the lowest F1 first."""
    label, classes = facts.label
    overall = facts.slices.get(OVERALL, {})
    rows = []
    for class_name in classes:
        metrics = [of_class(metric, class_name) for metric in CLASS_METRICS]
        if metrics[-1] in overall:
            count = int(facts.slices.get(f"{label}={class_name}", {}).get(EXAMPLE_COUNT, 0))
            rows.append([class_name, count, *(facts.measured(OVERALL, metric) for metric in metrics)])
    return sorted(rows, key=lambda row: row[-1].value)[:MAX_CLASS_ROWS]


def _mistakes(record: RunRecord, facts: Facts) -> Section:
    limit = record.settings.get("report", {}).get("mistakes", 0)
    files = record.settings.get("data", {}).get("files")
    mistakes = [{**mistake, "name": row_name(mistake, files)} for mistake in facts.mistakes[:limit]]
    return Section("mistakes", "Worst mistakes", {"mistakes": mistakes, "limit": limit})


def _classical(facts: Facts) -> Section:
    charts = [plots.reference_models(facts.comparison)] if facts.comparison else []
    return Section("classical", "Comparison with reference models", {"comparison": facts.comparison}, charts)


def _serving(facts: Facts) -> Section:
    return Section(
        "serving", "Serving check", {"measured": facts.serving, "sample_prediction": facts.sample_prediction}
    )


def _cost(record: RunRecord, facts: Facts) -> Section:
    total_seconds = sum(stage.seconds for stage in record.stages) or 1.0
    values = {"energy": energy_wh(record), "watts": WATTS_PER_CORE, "total": total_seconds}
    return Section("cost", "Cost", values)
