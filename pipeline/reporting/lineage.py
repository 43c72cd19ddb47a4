"""The lineage graph of a run: which stage consumes artifacts of which."""

from collections import Counter
from dataclasses import dataclass, field

from pipeline.history.record import RunRecord, StageRecord

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 118, 34, 34, 16, 6  # of a box and around it, in pixels


@dataclass(frozen=True)
class Box:
    """The box of a stage.

    Attributes:
        name: Name of the stage.
        state: State of the stage; empty if unknown.
        x: Left edge, in pixels from the left of the picture.
        y: Upper edge, in pixels from the top of the picture.
    """

    name: str
    state: str
    x: int
    y: int


@dataclass(frozen=True)
class Picture:
    """The layout of a lineage graph.

    Attributes:
        width: Width in pixels.
        height: Height in pixels.
        boxes: A box for each stage.
        lines: SVG path data and label of a line for each artifact that a stage consumes.
        rows: Stage, consumed artifacts and produced artifacts, as text.
    """

    width: int
    height: int
    boxes: list[Box]
    lines: list[tuple[str, str]]
    rows: list[list[str]] = field(default_factory=list)


def picture(stages: list[StageRecord], record: RunRecord) -> Picture | None:
    """Returns the lineage graph; each stage is to the right of all stages whose artifacts it consumes.

    Args:
        stages: Stages of the run as recorded in ML Metadata, in the order they ran; see `executions.lineage`.
        record: Record of the run, which has the stages' states.

    Returns:
        The graph; None without stages.
    """
    if not stages:
        return None
    producers = {artifact: stage.name for stage in stages for artifact in stage.produced}
    names = {artifact: name for stage in stages for artifact, name in stage.produced.items()}
    corners = _corners(stages, producers)
    states = {stage.name: stage.state for stage in record.stages}
    boxes = [Box(stage.name, states.get(stage.name, ""), *corners[stage.name]) for stage in stages]
    lines = []
    for stage in stages:
        for artifact in sorted(stage.consumed):
            if producers.get(artifact) in corners:
                label = f"{names[artifact]} of {producers[artifact]} to {stage.name}"
                lines.append((_path(corners[producers[artifact]], corners[stage.name]), label))
    table = [
        [
            stage.name,
            ", ".join(f"{names.get(artifact, name)} #{artifact}" for artifact, name in sorted(stage.consumed.items())),
            ", ".join(f"{name} #{artifact}" for artifact, name in sorted(stage.produced.items())),
        ]
        for stage in stages
    ]
    width = max(box.x for box in boxes) + WIDTH + MARGIN
    height = max(box.y for box in boxes) + HEIGHT + MARGIN
    return Picture(width, height, boxes, lines, table)


def _corners(stages: list[StageRecord], producers: dict[int, str]) -> dict[str, tuple[int, int]]:
    """Returns stage -> left and upper edge of its box; `producers` is artifact -> the stage that produced it."""
    columns: dict[str, int] = {}
    for stage in stages:  # in the order they ran: producers come before consumers
        input_columns = [
            columns[producers[artifact]] for artifact in stage.consumed if producers.get(artifact) in columns
        ]
        columns[stage.name] = max(input_columns, default=-1) + 1
    num_boxes: Counter[int] = Counter()
    corners = {}
    for name, column in columns.items():
        corners[name] = (MARGIN + column * (WIDTH + GAP_X), MARGIN + num_boxes[column] * (HEIGHT + GAP_Y))
        num_boxes[column] += 1
    return corners


def _path(start: tuple[int, int], end: tuple[int, int]) -> str:
    """Returns the SVG path data of a curve from the right edge of a box to the left edge of another."""
    x, y = start[0] + WIDTH, start[1] + HEIGHT // 2
    end_x, end_y = end[0], end[1] + HEIGHT // 2
    half_gap = GAP_X // 2
    return f"M{x} {y}C{x + half_gap} {y} {end_x - half_gap} {end_y} {end_x} {end_y}"
