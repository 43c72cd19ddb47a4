"""Learning curves of the network and the reference models: complete runs on shares of the training split."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from data.texts import significant, to_json
from pipeline.core.config import NamedConfig
from pipeline.core.paths import PipelinePaths

COMPARISON = "compare-classical"


def learning_curves(
    named: NamedConfig, home: Path, shares: Sequence[float], run: Callable[[NamedConfig, Path], dict[str, Any] | str]
) -> list[dict[str, Any]]:
    """Returns the metrics and costs of the network and the reference models for each share of the training split.

    Writes them as `curves.json`, `table.md` and `curves.png`, too.

    Args:
        named: The pipeline.
        home: Home folder; the files are written to `runs/<pipeline>/compare-classical` in it.
        shares: Shares of the training split, above 0 and up to 1.
        run: Runs a pipeline in a home and returns its comparison, or the reason why it has none.

    Returns:
        A dictionary for each share: `share`, and either the keys of the comparison or `error`.

    Raises:
        ConfigError: None of the runs has a comparison.
    """
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for share in shares:
            data = named.config.data.model_copy(update={"train_share": share})
            evaluate = named.config.evaluate.model_copy(update={"thresholds": {}})
            baseline = named.config.baseline.model_copy(update={"require": "report", "metric": _metric(named)})
            changed = {"data": data, "evaluate": evaluate, "baseline": baseline}
            comparison = run(
                replace(named, config=named.config.model_copy(update=changed)), Path(scratch) / f"{share:g}"
            )
            results.append({"share": share, **({"error": comparison} if isinstance(comparison, str) else comparison)})
    if all("error" in result for result in results):
        raise ConfigError(f"No share of the data could be trained on: {results[-1]['error']}")
    folder = PipelinePaths.of(home, named.name).runs / COMPARISON
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "curves.json").write_text(to_json(results, indent=1))
    (folder / "table.md").write_text("\n".join(table(results)) + "\n")
    plot(results, folder / "curves.png")
    return results


def _metric(named: NamedConfig) -> str:
    """Returns the metric of the comparison; as the runs have no thresholds, `auto` would choose another one in them."""
    metric = named.config.baseline.metric
    return metric if metric != "auto" else next(iter(named.config.evaluate.thresholds), "auto")


def table(results: list[dict[str, Any]]) -> list[str]:
    """Returns the lines of a Markdown table: metric by share of the rows, and the cost on the largest share."""
    finished = [result for result in results if "error" not in result]
    metric, names = finished[-1]["metric"], list(finished[-1]["models"])
    head = [f"{result['share']:.0%} ({result['models']['network']['rows']:,})" for result in finished]
    lines = [
        f"| {metric} on the test split, by share of the training rows | {' | '.join(head)} "
        "| training s | µs a row | peak MiB | features |",
        "| --- " * (len(finished) + 5) + "|",
    ]
    for name in names:
        values = [_value(result, name, metric) for result in finished]
        last = finished[-1]["models"][name]
        costs = [f"{last['train_seconds']:.1f}", f"{last['microseconds_per_row']:.0f}", f"{last['peak_mib']:.0f}"]
        shown = f"{name} (trivial)" if last.get("trivial") else name
        lines.append(f"| {shown} | {' | '.join([*values, *costs, last['features']])} |")
    lines += [f"{result['share']:.0%}: {result['error']}" for result in results if "error" in result]
    return lines


def _value(result: dict[str, Any], name: str, metric: str) -> str:
    """Returns a model's metric as text; empty if there is none, or if it is no finite number."""
    value = result["models"].get(name, {"metrics": {}})["metrics"].get(metric)
    return "" if value is None else significant(value)


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Writes a plot of the learning curves as PNG; the network's line is thick."""
    from matplotlib.figure import Figure

    finished = [result for result in results if "error" not in result]
    metric = finished[-1]["metric"]
    figure = Figure(figsize=(7, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for name in finished[-1]["models"]:
        points = [
            (result["models"]["network"]["rows"], result["models"][name]["metrics"][metric]) for result in finished
        ]
        axes.plot(*zip(*points, strict=True), marker="o", label=name, linewidth=3 if name == "network" else 1.5)
    axes.set(xscale="log", xlabel="rows of the training split", ylabel=f"{metric} on the test split")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)
