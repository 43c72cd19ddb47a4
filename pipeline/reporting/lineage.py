"""The lineage of a run as a picture: which stage took what from which."""

from collections import Counter
from dataclasses import dataclass, field

from pipeline.history.record import RunRecord, StageRecord

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


def picture(stages: list[StageRecord], record: RunRecord) -> Picture | None:
    """Returns the picture; each stage stands to the right of all whose artifacts it consumes.

    Args:
        stages: Those of the run as ML Metadata knows them, in the order they ran; see `executions.lineage`.
        record: The run, for the stages' states.
    """
    if not stages:
        return None
    maker = {artifact: stage.name for stage in stages for artifact in stage.produced}
    names = {artifact: name for stage in stages for artifact, name in stage.produced.items()}
    corners = _corners(stages, maker)
    states = {stage.name: stage.state for stage in record.stages}
    boxes = [Box(stage.name, states.get(stage.name, ""), *corners[stage.name]) for stage in stages]
    lines = []
    for stage in stages:
        for artifact in sorted(stage.consumed):
            if maker.get(artifact) in corners:
                told = f"{names[artifact]} of {maker[artifact]} to {stage.name}"
                lines.append((_path(corners[maker[artifact]], corners[stage.name]), told))
    table = [
        [
            stage.name,
            ", ".join(f"{names.get(one, name)} #{one}" for one, name in sorted(stage.consumed.items())),
            ", ".join(f"{name} #{one}" for one, name in sorted(stage.produced.items())),
        ]
        for stage in stages
    ]
    width = max(box.x for box in boxes) + WIDTH + MARGIN
    height = max(box.y for box in boxes) + HEIGHT + MARGIN
    return Picture(width, height, boxes, lines, table)


def _corners(stages: list[StageRecord], maker: dict[int, str]) -> dict[str, tuple[int, int]]:
    """Returns stage -> left and upper edge of its box; `maker` is artifact -> the stage that produced it."""
    column: dict[str, int] = {}
    for stage in stages:  # in the order in which they ran: those that produced something come first
        before = [column[maker[one]] for one in stage.consumed if maker.get(one) in column]
        column[stage.name] = max(before, default=-1) + 1
    rows: Counter[int] = Counter()
    corners = {}
    for name, index in column.items():
        corners[name] = (MARGIN + index * (WIDTH + GAP_X), MARGIN + rows[index] * (HEIGHT + GAP_Y))
        rows[index] += 1
    return corners


def _path(start: tuple[int, int], end: tuple[int, int]) -> str:
    """Returns a curve from the right edge of one box to the left edge of another."""
    x, y = start[0] + WIDTH, start[1] + HEIGHT // 2
    to_x, to_y = end[0], end[1] + HEIGHT // 2
    bend = GAP_X // 2
    return f"M{x} {y}C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}"
