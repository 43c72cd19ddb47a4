"""One page a run, in one file: no script, no other file, no network."""

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
MAX_TEXT = 600  # characters of a text that are shown at once; the rest folds out
# What a person reads first of a metric with many classes.
MAX_CLASS_ROWS = 30
MAX_BARS = 20  # of a histogram
CLASS_METRICS = ("precision", "recall", "f1")


DAY = 86_400  # seconds


@dataclass
class Section:
    """A part of the page.

    Attributes:
        key: Its anchor, and the name of its block in the template.
        title: Its head.
        values: What the block shows.
        charts: Its charts.
    """

    key: str
    title: str
    values: dict[str, Any] = field(default_factory=dict)
    charts: list[plots.Chart] = field(default_factory=list)


def write(paths: PipelinePaths, record: RunRecord, found: Facts) -> Path:
    """Writes a run's page and returns its path; it appears whole or not at all."""
    paths.reports.mkdir(parents=True, exist_ok=True)
    page = paths.reports / f"{record.run}.html"
    with private_files():  # it shows rows of the test split
        atomic.write(page, render(record, found))
    return page


def lost(paths: PipelinePaths, record: RunRecord, found: Facts) -> list[str]:
    """Returns what is missing today and still shown by the page that lies there, a sentence each.

    The page may be the last copy of a chart whose artifacts were collected since.
    """
    try:
        before = (paths.reports / f"{record.run}.html").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    if not before.rstrip().endswith("</html>"):  # damaged
        return []
    return [line for line in found.missing if str(escape(line)) not in before]


def render(record: RunRecord, found: Facts) -> str:
    """Returns the page as HTML; whatever comes from data or settings is escaped."""
    made = [
        _verdict(record, found),
        _data(record, found),
        _model(found),
        _learning(found),
        _metrics(record, found),
        _mistakes(record, found),
        _classical(found),
        _serving(found),
        _cost(record, found),
        Section("lineage", "Lineage", {"picture": picture(found.lineage, record)}),
        Section("reproduce", "How to reproduce", {"digests": found.digests}),
        Section("card", "Model card", record.settings.get("report", {}).get("card") or {}),
    ]
    return environment().get_template("page.html.j2").render(record=record, facts=found, sections=made)


@functools.cache
def environment() -> jinja2.Environment:
    """Returns the environment of all our pages: everything is escaped unless a template says otherwise."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= {
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
    made.globals |= {"max_text": MAX_TEXT}
    return made


# --- sections -------------------------------------------------------------------------------------------------------


def _verdict(record: RunRecord, found: Facts) -> Section:
    intervals = _intervals(record, found)
    rows = [{**one, "interval": intervals.get(one["metric"])} for one in found.verdicts]
    return Section("verdict", "Verdict and gates", {"verdicts": rows})


def _data(record: RunRecord, found: Facts) -> Section:
    chart = plots.class_shares(found.classes)
    said = {stage.name: stage.detail for stage in record.stages}
    features = _statistics(found)
    told = {
        "features": features[:MAX_FEATURES],
        "left_out": len(features[MAX_FEATURES:]),
        "anomalies": found.anomalies,
        "gate": said.get("data_gate", ""),
        "notes": said.get("ingest", "").partition("; ")[2],  # behind the counts
    }
    return Section("data", "Data", told, [chart] if chart else [])


def _name(feature: Any) -> str:
    return ".".join(feature.path.step) or feature.name


def _statistics(found: Facts) -> list[dict[str, Any]]:
    """Returns for each feature what is told of it, by split."""
    label, classes = found.label
    by_name: dict[str, dict[str, Any]] = {}
    for split, features in found.statistics.items():
        for feature in features:
            told = _told(feature, found.spec.features.get(_name(feature)) if found.spec else None)
            if _name(feature) == label:  # the mean of a class's number says nothing
                told["words"] = f"{len(classes):,} classes"
                told["bars"] = _bars(list(found.classes.get(split, {}).values())[:MAX_BARS])
            by_name.setdefault(_name(feature), {})[split] = told
    return [{"name": name, "splits": splits} for name, splits in by_name.items()]


def _told(feature: Any, described: Feature | None) -> dict[str, Any]:
    kind = feature.WhichOneof("stats")
    stats = getattr(feature, kind)
    common = stats.common_stats
    rows = common.num_non_missing + common.num_missing
    told = {"missing": common.num_missing / rows if rows else 0.0, "bars": [], "words": ""}
    if kind == "num_stats":
        told["words"] = _numbers_in_words(stats, described)
        standard = [one for one in stats.histograms if one.type == 0]
        told["bars"] = _bars([bucket.sample_count for bucket in standard[0].buckets]) if standard else []
    elif kind == "string_stats":
        top = ", ".join(f"{isolated(_clip(one.value))} ({number(int(one.frequency))})" for one in stats.top_values[:3])
        words = (f"{number(int(stats.unique))} values", top, f"{stats.avg_length:.0f} characters on average")
        told["words"] = "; ".join(filter(None, words))  # no value may be more frequent than others
        told["bars"] = _bars([bucket.sample_count for bucket in stats.rank_histogram.buckets][:MAX_BARS])
    return told


def _numbers_in_words(stats: Any, feature: Feature | None) -> str:
    """Returns what is told of numbers, of dates with the days in which seconds since 1970 lie, in UTC."""
    if isinstance(feature, BooleanFeature):
        return f"yes in {stats.mean:.1%} of its values"
    if isinstance(feature, DateFeature):
        mean, least, most, median = map(_day, (stats.mean, stats.min, stats.max, stats.median))
        deviation = f"{number(stats.std_dev / DAY)} days"
    else:
        mean, least, most, median = map(number, (stats.mean, stats.min, stats.max, stats.median))
        deviation = number(stats.std_dev)
    return f"mean {mean}, deviation {deviation}, from {least} to {most}, median {median}"


def _day(seconds: float) -> str:
    """Returns the day of seconds since 1970; beyond the years that Python knows as a number."""
    try:
        return (EPOCH + timedelta(seconds=seconds)).date().isoformat()
    except (OverflowError, ValueError):
        return f"{number(seconds / DAY)} days after 1970"


def _clip(text: str, length: int = 40) -> str:
    return text if len(text) <= length else cut(text, length - 1) + "…"


def _bars(counts: list[float]) -> list[float]:
    """Returns heights from 0 to 1."""
    greatest = max(counts, default=0)
    return [count / greatest for count in counts] if greatest else []


def _model(found: Facts) -> Section:
    layers = found.training.get("layers", [])
    return Section("model", "Model", {"layers": layers, "parameters": sum(one["parameters"] for one in layers)})


def _learning(found: Facts) -> Section:
    chart = plots.learning(found.training.get("history", {}))
    return Section("learning", "Learning curves", {}, [chart] if chart else [])


def _metrics(record: RunRecord, found: Facts) -> Section:
    overall, intervals = found.slices.get(OVERALL, {}), _intervals(record, found)
    _, classes = found.label
    rows = [
        {"name": name, "measured": Measured.of(name, overall, intervals)}
        for name in shown(overall, record.usual_metrics)
    ]
    told = {
        "rows": rows,
        "num_rows": overall.get(EXAMPLE_COUNT),
        "has_intervals": any(row["measured"].interval for row in rows),
        "classes": _class_rows(found),
        "num_classes": len(classes),
    }
    charts = [*_charts_of_answers(found), _slice_chart(record, found)]
    return Section("metrics", "Metrics on the test split", told, [chart for chart in charts if chart])


def _intervals(record: RunRecord, found: Facts) -> dict[str, Sequence[float]]:
    """Returns the intervals of all rows; of a run of an older release those that its record has."""
    return {**record.intervals, **found.intervals.get(OVERALL, {})}


def _charts_of_answers(found: Facts) -> list[plots.Chart | None]:
    _, classes = found.label
    charts: list[plots.Chart | None] = []
    if found.evaluation.get("confusion_matrix") and classes:
        charts.append(plots.confusion(np.array(found.evaluation["confusion_matrix"]), classes))
    if found.answers and classes:
        error = found.measured(OVERALL, "expected_calibration_error")
        charts.append(plots.calibration(reliability_bins(found.answers), error))
        curves = precision_recall(found.answers, classes)
        charts.append(plots.precision_recall(curves, len(classes) > len(curves) > 1))
    elif found.answers and found.spec:  # without it nobody knows what they are
        charts.append(plots.predicted_and_true(found.answers))
    return charts


def _slice_chart(record: RunRecord, found: Facts) -> plots.Chart | None:
    metric = found.slice_metric(record.usual_metrics)
    if metric is None:
        return None
    compared = found.compared.get(metric)
    return plots.by_slice(found, metric, compared is not None and compared.lower_is_better)


def _class_rows(found: Facts) -> list[list[Any]]:
    """Returns class, rows, precision, recall and F1; the classes with the least F1 first."""
    key, classes = found.label
    overall = found.slices.get(OVERALL, {})
    rows = []
    for name in classes:
        metrics = [of_class(one, name) for one in CLASS_METRICS]
        if metrics[-1] in overall:
            count = int(found.slices.get(f"{key}={name}", {}).get(EXAMPLE_COUNT, 0))
            rows.append([name, count, *(found.measured(OVERALL, one) for one in metrics)])
    return sorted(rows, key=lambda row: row[-1].value)[:MAX_CLASS_ROWS]


def _mistakes(record: RunRecord, found: Facts) -> Section:
    count = record.settings.get("report", {}).get("mistakes", 0)
    files = record.settings.get("data", {}).get("files")
    shown = [{**one, "name": row_name(one, files)} for one in found.mistakes[:count]]
    return Section("mistakes", "Worst mistakes", {"shown": shown, "allowed": count})


def _classical(found: Facts) -> Section:
    charts = [plots.models(found.comparison)] if found.comparison else []
    return Section("classical", "Beside classical models", {"comparison": found.comparison}, charts)


def _serving(found: Facts) -> Section:
    return Section("serving", "Serving check", {"measured": found.serving, "answer": found.answer})


def _cost(record: RunRecord, found: Facts) -> Section:
    total = sum(stage.seconds for stage in record.stages) or 1.0
    told = {"energy": energy_wh(record), "watts": WATTS_PER_CORE, "total": total}
    return Section("cost", "Cost", told)
