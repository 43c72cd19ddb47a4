"""A comparison of runs as lines of a terminal, and as JSON."""

from dataclasses import asdict
from typing import Any

from data.scripts import isolated, listed
from pipeline.reporting.compare import Comparison
from pipeline.reporting.formatting import settings_row

MAX_NAMES = 3  # of slices that are gone or new


def lines(found: Comparison) -> list[str]:
    """Returns the comparison as text, a column for each run."""
    rows: list[list[str]] = [["", *(run.run for run in found.runs)]]
    rows.append(["pipeline", *(run.pipeline for run in found.runs)])
    rows.append(["state", *(run.state for run in found.runs)])
    for title, part in (("settings", found.settings), ("data", found.data), ("environment", found.environment)):
        rows.append([title if part else f"{title}: the same"])
        rows += [[f"  {name}", *settings_row(values)] for name, values in part.items()]
    paired = ", ".join(name for name, row in found.metrics.items() if any(delta.paired for delta in row))
    over = f"over the same test rows, row by row: {paired}" if paired else "over the test rows of each"
    rows.append([f"metrics (difference, its 95 % interval; {over})"])
    rows += [[f"  {name}", *(delta.words() for delta in row)] for name, row in found.metrics.items()]
    if slices := slices_in_words(found):
        rows.append([slices])
        rows += [[f"  {name}", *(delta.words() for delta in row)] for name, row in found.slices.items()]
    rows.append(["cost"])
    rows += [[f"  {name}", *words] for name, words in found.costs_in_words.items()]
    rows = [list(map(isolated, row)) for row in rows]  # names of classes and slices are the data's
    columns = range(len(found.runs) + 1)
    # Heads of parts stand alone in their rows and may be longer than the first column.
    widths = [max(len(row[index]) for row in rows if len(row) > max(index, 1)) for index in columns]
    told = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]
    return told + [f"note: {note}" for note in found.notes]


def slices_in_words(found: Comparison) -> str:
    """Returns how many slices moved, did not, are gone and are new, as a line; empty without slices."""
    counts = []
    if found.slice_metric:
        counts.append(f"slices whose {found.slice_metric} moved" if found.slices else "slices: none moved")
        counts += [f"{found.steady_slices} did not"] * bool(found.slices)
        counts += [f"{found.unknown_slices} have no interval"] * bool(found.unknown_slices)
    for names, word in ((found.gone_slices, "gone"), (found.new_slices, "new")):
        if names:
            counts.append(f"{'' if counts else 'slices: '}{len(names)} {word} ({listed(names, MAX_NAMES)})")
    return "; ".join(counts)


def as_json(found: Comparison) -> dict[str, Any]:
    """Returns the comparison as JSON values."""
    return {
        "runs": [run.run for run in found.runs],
        "settings": found.settings,
        "data": found.data,
        "environment": found.environment,
        "metrics": {name: [asdict(delta) for delta in row] for name, row in found.metrics.items()},
        "slice_metric": found.slice_metric,
        "slices": {name: [asdict(delta) for delta in row] for name, row in found.slices.items()},
        "steady_slices": found.steady_slices,
        "unknown_slices": found.unknown_slices,
        "gone_slices": found.gone_slices,
        "new_slices": found.new_slices,
        "cost": found.cost,
        "notes": found.notes,
    }
