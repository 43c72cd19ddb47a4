"""The lineage of a run as a picture: which stage took what from which."""

from dataclasses import dataclass, field
from typing import Any

from pipeline.history.record import RunRecord
from pipeline.reporting.facts import Node

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 118, 34, 34, 16, 6


@dataclass(frozen=True)
class Box:
    """A stage in the picture; places are pixels from the upper left.

    Attributes:
        name: The stage.
        state: What became of it.
        x: Left edge.
        y: Upper edge.
    """

    name: str
    state: str
    x: int
    y: int


@dataclass(frozen=True)
class Picture:
    """Where stages and the lines between them are.

    Attributes:
        width: Pixels.
        height: Pixels.
        boxes: The stages.
        lines: Of each artifact that is handed on: a path in SVG's words, and what it is.
        rows: Stage, what it took, what it made.
    """

    width: int
    height: int
    boxes: list[Box]
    lines: list[tuple[str, str]]
    rows: list[list[str]] = field(default_factory=list)


def picture(nodes: list[Node], record: RunRecord) -> Picture | None:
    """Returns the picture; each stage stands to the right of all whose artifacts it takes."""
    if not nodes:
        return None
    maker = {artifact: node.name for node in nodes for artifact in node.outputs}
    names: dict[int, str] = {artifact: name for node in nodes for artifact, name in node.outputs.items()}
    column: dict[str, int] = {}
    for node in nodes:  # in the order in which they ran: those that made something come first
        before = [column[maker[one]] for one in node.inputs if maker.get(one) in column]
        column[node.name] = max(before, default=-1) + 1
    rows: dict[int, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for node in nodes:
        row = rows.get(column[node.name], 0)
        rows[column[node.name]] = row + 1
        places[node.name] = (MARGIN + column[node.name] * (WIDTH + GAP_X), MARGIN + row * (HEIGHT + GAP_Y))
    states = {stage.name: stage.state for stage in record.stages}
    boxes = [Box(node.name, states.get(node.name, ""), *places[node.name]) for node in nodes]
    lines = []
    for node in nodes:
        for artifact in sorted(node.inputs):
            if maker.get(artifact) in places:
                told = f"{names[artifact]} of {maker[artifact]} to {node.name}"
                lines.append((_path(places[maker[artifact]], places[node.name]), told))
    table: list[list[Any]] = [
        [
            node.name,
            ", ".join(f"{names.get(one, name)} #{one}" for one, name in sorted(node.inputs.items())),
            ", ".join(f"{name} #{one}" for one, name in sorted(node.outputs.items())),
        ]
        for node in nodes
    ]
    width = 2 * MARGIN + (max(column.values()) + 1) * (WIDTH + GAP_X) - GAP_X
    height = 2 * MARGIN + max(rows.values()) * (HEIGHT + GAP_Y) - GAP_Y
    return Picture(width, height, boxes, lines, table)


def _path(start: tuple[int, int], end: tuple[int, int]) -> str:
    """Returns a curve from the right edge of one box to the left edge of another."""
    x, y = start[0] + WIDTH, start[1] + HEIGHT // 2
    to_x, to_y = end[0], end[1] + HEIGHT // 2
    bend = GAP_X // 2
    return f"M{x} {y}C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}"
