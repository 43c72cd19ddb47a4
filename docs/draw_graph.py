"""Draws docs/graph.svg from tests/golden/digits.graph.txt: `.venv/bin/python docs/draw_graph.py`."""

import re
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from pipeline.core.stages import STAGES

ROOT = Path(__file__).resolve().parent.parent
# Stage -> (column, row) of its box.
BOXES = {
    "ingest": (0, 0),
    "statistics": (1, 0),
    "schema": (1, 1),
    "data_gate": (2, 0.5),
    "transform": (3, 0.5),
    "train": (4, 0.5),
    "classical": (5, 0.5),
    "evaluate": (6, 0.5),
    "model_gate": (7, 0.5),
    "baseline": (8, 0.5),
    "serving_check": (9, 0.5),
    "publish": (10, 0.5),
}
GATES = {stage.id for stage in STAGES if stage.is_gate}


def edges() -> list[tuple[str, str]]:
    """Returns pairs (stage, stage that runs after it), without pairs that follow from others."""
    lines = (ROOT / "tests" / "golden" / "digits.graph.txt").read_text().splitlines()
    upstream = {}
    for line in lines:
        if match := re.fullmatch(r"(\w+) \(\w+\) after (.*)", line):
            upstream[match[1]] = set() if match[2] == "nothing" else set(match[2].split(", "))

    def ancestors(stage):
        return set().union(*({parent} | ancestors(parent) for parent in upstream[stage]))

    return [
        (parent, stage)
        for stage, parents in upstream.items()
        for parent in parents
        if not any(parent in ancestors(other) for other in parents - {parent})
    ]


def draw(path: Path) -> None:
    """Writes the picture."""
    figure = Figure(figsize=(14, 2))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-0.55, 10.55)
    axes.set_ylim(-0.5, 1.5)
    axes.axis("off")
    for parent, stage in edges():
        (x0, y0), (x1, y1) = BOXES[parent], BOXES[stage]
        arrow = {"arrowstyle": "-|>", "color": "#555", "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (x1 - 0.41, 1 - y1), (x0 + 0.41, 1 - y0), arrowprops=arrow)
    for stage, (x, y) in BOXES.items():
        colour = "#f6d5a8" if stage in GATES else "#cfe3f5"
        style = "round,pad=0.02,rounding_size=0.06"
        axes.add_patch(FancyBboxPatch((x - 0.38, 1 - y - 0.17), 0.76, 0.34, boxstyle=style, facecolor=colour, lw=0))
        axes.text(x, 1 - y, stage, ha="center", va="center", fontsize=9)
    axes.text(10.4, -0.4, "orange: a gate that can stop the run", ha="right", fontsize=9, color="#555")
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(__file__).parent / "graph.svg")
