"""Colors of texts for a person: on a terminal only, and neither with NO_COLOR (no-color.org) nor on a dumb terminal."""

import os
import sys
from typing import TextIO

import click

GOOD, BAD, WARNING, BUSY, MINOR = "green", "red", "yellow", "cyan", "bright_black"  # as click and rich call them
STATE_COLORS = {
    "running": BUSY,
    "published": GOOD,
    "unpublished": WARNING,
    "stopped": WARNING,
    "failed": BAD,
    "killed": BAD,
    "done": GOOD,
    "cached": MINOR,
}
"""State of a run or of a stage -> its color."""


def is_live(stream: TextIO) -> bool:
    """Returns whether a stream is a terminal that can rewrite a line."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def has_color(stream: TextIO) -> bool:
    """Returns whether what is written to a stream has colors."""
    return is_live(stream) and not os.environ.get("NO_COLOR")


def colored(text: str, color: str = "", *, bold: bool = False, stream: TextIO | None = None) -> str:
    """Returns a text in a color if the stream that it is written to, by default the standard output, has colors."""
    if not (color or bold) or not has_color(stream or sys.stdout):
        return text
    return click.style(text, fg=color or None, bold=bold or None)


def colored_state(state: str, width: int = 0) -> str:
    """Returns the state of a run or of a stage in its color, filled with spaces to a width in characters."""
    return colored(state, STATE_COLORS.get(state, "")) + " " * (width - len(state))
