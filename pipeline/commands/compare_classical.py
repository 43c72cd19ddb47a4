"""How network and classical models get better with more labelled data: whole runs on shares of the training split."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from data.texts import to_json
from pipeline.core.config import NamedConfig
from pipeline.core.paths import PipelinePaths

COMPARISON = "compare-classical"


def label_curves(
    named: NamedConfig, home: Path, shares: Sequence[float], run: Callable[[NamedConfig, Path], dict[str, Any] | str]
) -> list[dict[str, Any]]:
    """Returns for each share of the training split what network and classical models came to.

    Args:
        named: The pipeline.
        home: Where the results go, below `runs/<pipeline>/compare-classical`.
        shares: Shares of the training split, from 0 to 1.
        run: Runs a pipeline in a home and returns its comparison, or why there is none.

    Raises:
        ConfigError: None of the runs came to a comparison.
    """
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        for share in shares:
            data = named.config.data.model_copy(update={"train_share": share})
            evaluate = named.config.evaluate.model_copy(update={"thresholds": {}})
            baseline = named.config.baseline.model_copy(update={"require": "report", "metric": _metric(named)})
            changed = {"data": data, "evaluate": evaluate, "baseline": baseline}
            result = run(replace(named, config=named.config.model_copy(update=changed)), Path(scratch) / f"{share:g}")
            found.append({"share": share, **({"error": result} if isinstance(result, str) else result)})
    if all("error" in one for one in found):
        raise ConfigError(f"No share of the data could be trained on: {found[-1]['error']}")
    folder = PipelinePaths.of(home, named.name).runs / COMPARISON
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "curves.json").write_text(to_json(found, indent=1))
    (folder / "table.md").write_text("\n".join(table(found)) + "\n")
    plot(found, folder / "curves.png")
    return found


def _metric(named: NamedConfig) -> str:
    """Returns what is compared: without thresholds `auto` would choose another metric."""
    asked = named.config.baseline.metric
    return asked if asked != "auto" else next(iter(named.config.evaluate.thresholds), "auto")


def table(found: list[dict[str, Any]]) -> list[str]:
    """Returns the lines of a Markdown table: quality by share of the data, and what each model takes on all of it."""
    whole = [one for one in found if "error" not in one]
    metric, names = whole[-1]["metric"], list(whole[-1]["models"])
    head = [f"{one['share']:.0%} ({one['models']['network']['rows']:,})" for one in whole]
    lines = [
        f"| {metric} on the test split, by share of the training rows | {' | '.join(head)} "
        "| training s | us a row | peak MiB | features |",
        "| --- " * (len(whole) + 5) + "|",
    ]
    for name in names:
        values = [_value(one, name, metric) for one in whole]
        last = whole[-1]["models"][name]
        costs = [f"{last['train_seconds']:.1f}", f"{last['microseconds_per_row']:.0f}", f"{last['peak_mib']:.0f}"]
        shown = f"{name} (trivial)" if last.get("trivial") else name
        lines.append(f"| {shown} | {' | '.join([*values, *costs, last['features']])} |")
    lines += [f"{one['share']:.0%}: {one['error']}" for one in found if "error" in one]
    return lines


def _value(one: dict[str, Any], name: str, metric: str) -> str:
    """Returns what a model reached; empty without it, or where it was no finite number."""
    value = one["models"].get(name, {"metrics": {}})["metrics"].get(metric)
    return "" if value is None else f"{value:.4f}"


def plot(found: list[dict[str, Any]], path: Path) -> None:
    """Writes a picture of the curves; the network's is thick."""
    from matplotlib.figure import Figure

    whole = [one for one in found if "error" not in one]
    metric = whole[-1]["metric"]
    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for name in whole[-1]["models"]:
        points = [(one["models"]["network"]["rows"], one["models"][name]["metrics"][metric]) for one in whole]
        axes.plot(*zip(*points, strict=True), marker="o", label=name, linewidth=3 if name == "network" else 1.5)
    axes.set(xscale="log", xlabel="rows of the training split", ylabel=f"{metric} on the test split")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)
