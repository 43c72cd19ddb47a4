"""A comparison of runs as text for the terminal, and as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from data.scripts import isolated, listed
from pipeline.core.colors import BAD, GOOD, STATE_COLORS, colored
from pipeline.reporting.compare import Comparison, Delta
from pipeline.reporting.formatting import settings_row

MAX_NAMES = 3  # slices named of those that only the first run has, or only later ones


class _Cell(NamedTuple):
    """A cell of the table, with its color."""

    text: str
    color: str = ""


def lines(comparison: Comparison) -> list[str]:
    """Returns the comparison as lines of text, with a column for each run; better and worse metrics have colors."""
    rows = [
        _row("", [run.run for run in comparison.runs]),
        _row("pipeline", [run.pipeline for run in comparison.runs]),
        [_Cell("state"), *(_Cell(run.state, STATE_COLORS.get(run.state, "")) for run in comparison.runs)],
    ]
    for title, part in (
        ("settings", comparison.settings),
        ("data", comparison.data),
        ("environment", comparison.environment),
    ):
        rows.append(_row(title if part else f"{title}: the same"))
        rows += [_row(f"  {name}", settings_row(values)) for name, values in part.items()]
    paired = ", ".join(name for name, row in comparison.metrics.items() if any(delta.paired for delta in row))
    test_rows = f"over the same test rows, row by row: {paired}" if paired else "over the test rows of each"
    rows.append(_row(f"metrics (difference, its 95 % interval; {test_rows})"))
    rows += [_delta_row(name, row, comparison.lower_is_better.get(name)) for name, row in comparison.metrics.items()]
    if heading := slices_heading(comparison):
        rows.append(_row(heading))
        lower_is_better = comparison.lower_is_better.get(comparison.slice_metric)
        rows += [_delta_row(name, row, lower_is_better) for name, row in comparison.slices.items()]
    rows.append(_row("cost"))
    rows += [_row(f"  {name}", texts) for name, texts in comparison.cost_texts.items()]
    return _table(rows, len(comparison.runs) + 1) + [f"note: {note}" for note in comparison.notes]


def _row(name: str, texts: Iterable[str] = ()) -> list[_Cell]:
    # Isolated, since names of classes and slices come from the data.
    return [_Cell(isolated(text)) for text in (name, *texts)]


def _delta_row(name: str, deltas: Iterable[Delta], lower_is_better: bool | None) -> list[_Cell]:
    """Returns the row of a metric or slice; values that are significantly better or worse have a color."""
    cells = _row(f"  {name}")
    for delta in deltas:
        color = ""
        if lower_is_better is not None and delta.difference is not None and delta.is_significant:
            color = GOOD if (delta.difference < 0) == lower_is_better else BAD
        cells.append(_Cell(delta.text(), color))
    return cells


def _table(rows: Sequence[Sequence[_Cell]], num_columns: int) -> list[str]:
    """Returns the lines of a table whose columns are as wide as their widest cells."""
    # A heading is alone in its row and may be wider than the first column.
    widths = [max(len(row[index].text) for row in rows if len(row) > max(index, 1)) for index in range(num_columns)]
    return [
        "  ".join(
            colored(cell.text, cell.color) + " " * (width - len(cell.text))
            for cell, width in zip(row, widths, strict=False)
        ).rstrip()
        for row in rows
    ]


def slices_heading(comparison: Comparison) -> str:
    """Returns the heading of the slices, with numbers of changed, unchanged, gone and new ones; empty without any."""
    parts = []
    if comparison.slice_metric:
        parts.append(f"slices whose {comparison.slice_metric} changed" if comparison.slices else "slices: none changed")
        parts += [f"{comparison.steady_slices} did not"] * bool(comparison.slices)
        parts += [f"{comparison.unknown_slices} have no interval"] * bool(comparison.unknown_slices)
    for names, change in ((comparison.gone_slices, "gone"), (comparison.new_slices, "new")):
        if names:
            parts.append(f"{'' if parts else 'slices: '}{len(names)} {change} ({listed(names, MAX_NAMES)})")
    return "; ".join(parts)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Returns the comparison as JSON values."""
    return {
        "runs": [run.run for run in comparison.runs],
        "settings": comparison.settings,
        "data": comparison.data,
        "environment": comparison.environment,
        "metrics": {name: [asdict(delta) for delta in row] for name, row in comparison.metrics.items()},
        "slice_metric": comparison.slice_metric,
        "slices": {name: [asdict(delta) for delta in row] for name, row in comparison.slices.items()},
        "steady_slices": comparison.steady_slices,
        "unknown_slices": comparison.unknown_slices,
        "gone_slices": comparison.gone_slices,
        "new_slices": comparison.new_slices,
        "cost": comparison.cost,
        "notes": comparison.notes,
    }
