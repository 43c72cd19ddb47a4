"""A comparison of runs as text for the terminal, and as JSON."""

from dataclasses import asdict
from typing import Any

from data.scripts import isolated, listed
from pipeline.reporting.compare import Comparison
from pipeline.reporting.formatting import settings_row

MAX_NAMES = 3  # slices named of those that only the first run has, or only later ones


def lines(comparison: Comparison) -> list[str]:
    """Returns the comparison as lines of text, with a column for each run."""
    rows: list[list[str]] = [["", *(run.run for run in comparison.runs)]]
    rows.append(["pipeline", *(run.pipeline for run in comparison.runs)])
    rows.append(["state", *(run.state for run in comparison.runs)])
    for title, part in (
        ("settings", comparison.settings),
        ("data", comparison.data),
        ("environment", comparison.environment),
    ):
        rows.append([title if part else f"{title}: the same"])
        rows += [[f"  {name}", *settings_row(values)] for name, values in part.items()]
    paired = ", ".join(name for name, row in comparison.metrics.items() if any(delta.paired for delta in row))
    test_rows = f"over the same test rows, row by row: {paired}" if paired else "over the test rows of each"
    rows.append([f"metrics (difference, its 95 % interval; {test_rows})"])
    rows += [[f"  {name}", *(delta.text() for delta in row)] for name, row in comparison.metrics.items()]
    if heading := slices_heading(comparison):
        rows.append([heading])
        rows += [[f"  {name}", *(delta.text() for delta in row)] for name, row in comparison.slices.items()]
    rows.append(["cost"])
    rows += [[f"  {name}", *texts] for name, texts in comparison.cost_texts.items()]
    rows = [list(map(isolated, row)) for row in rows]  # names of classes and slices come from the data
    columns = range(len(comparison.runs) + 1)
    # A heading is alone in its row and may be wider than the first column.
    widths = [max(len(row[index]) for row in rows if len(row) > max(index, 1)) for index in columns]
    table_lines = [
        "  ".join(value.ljust(width) for value, width in zip(row, widths, strict=False)).rstrip() for row in rows
    ]
    return table_lines + [f"note: {note}" for note in comparison.notes]


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
