"""Seconds and memory of the intervals of a paired comparison, by the number of rows."""

from collections.abc import Callable

import numpy as np

from data.spec import DatasetSpec, LabelFeature
from models.evaluation.comparison import paired_interval
from models.measuring import measured
from models.tasks.tabular_classification.config import CONFIG

ROWS = (100_000, 400_000, 1_000_000)
ROWS_PER_GROUP = 20


def table(say: Callable[[str], None]) -> str:
    """Measures and returns the table in Markdown."""
    label = LabelFeature(classes=("no", "yes"))
    metrics = CONFIG().compared(DatasetSpec(name="made up", title="", licence="", features={"y": label}))
    lines = [
        f"| rows | {', '.join(metrics)}: s | by group: s | MiB beyond the predictions | predictions: MiB |",
        "| --- " * 5 + "|",
    ]
    for rows in ROWS:
        targets, ours, theirs = made_up(rows)
        groups = np.arange(rows, dtype=np.int32) // ROWS_PER_GROUP
        seconds, peaks = [], []
        for grouping in (None, groups):
            _, elapsed, peak = measured(
                lambda grouping=grouping, arrays=(targets, ours, theirs): [
                    paired_interval(metric, *arrays, groups=grouping) for metric in metrics.values()
                ]
            )
            seconds.append(elapsed)
            peaks.append(peak)
        stored = (targets.nbytes + ours.nbytes + theirs.nbytes) / 2**20
        lines.append(f"| {rows:,} | {seconds[0]:.2f} | {seconds[1]:.2f} | {max(peaks):.0f} | {stored:.0f} |")
        say(lines[-1])
    return "\n".join(lines)


def made_up(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns int64 targets, a tenth of them 1, and two models' float32 probabilities `(rows, 2)`."""
    generator = np.random.default_rng(0)
    targets = (generator.random(rows) < 0.1).astype(np.int64)
    margins = 2 * targets - 2 + generator.normal(0, 1, (2, rows))
    shares = (1 / (1 + np.exp(-margins))).astype(np.float32)
    ours, theirs = (np.stack([1 - share, share], axis=1) for share in shares)
    return targets, ours, theirs
