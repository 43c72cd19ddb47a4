"""Drawings of a classifier's evaluation, for TensorBoard and for the page of a run."""

import functools
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from data.scripts import cut

# Fonts of other scripts than those of matplotlib's own font, as the usual systems have them.
OTHER_SCRIPTS = (
    "Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Droid Sans Fallback", "PingFang SC", "Hiragino Sans",
    "Noto Sans Arabic", "Noto Sans Devanagari", "Noto Sans Thai", "FreeSans", "Arial Unicode MS", "Unifont",
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def most_confused(counts: np.ndarray, most: int) -> np.ndarray:
    """Returns the classes with the most mistakes, as true or as predicted class, int64, in order.

    Args:
        counts: int64 `(classes, classes)`, row = true class, column = predicted class.
        most: Greatest number of classes.
    """
    mistakes = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
    return np.sort(np.argsort(-mistakes, kind="stable")[:most])


def confusion_matrix(counts: np.ndarray, classes: Sequence[str], shown: np.ndarray | None = None) -> "Figure":
    """Returns the drawing of a confusion matrix; each row is shaded by the share of its true class.

    Args:
        counts: int64 `(classes, classes)`, row = true class, column = predicted class.
        classes: Names, in the order of the rows.
        shown: Which classes are drawn, int64, in order; None for all.
    """
    from matplotlib.figure import Figure

    shown = np.arange(len(classes)) if shown is None else shown
    shown_counts, names = counts[np.ix_(shown, shown)], [short(classes[index]) for index in shown]
    shares = shown_counts / np.maximum(counts.sum(axis=1)[shown][:, None], 1)
    # TensorBoard shows pictures about 300 pixels wide: small enough to stay legible there.
    size = 1.5 + 0.3 * len(names)
    figure = Figure(figsize=(size, size), dpi=90, layout="constrained")
    axes = figure.add_subplot()
    # Squares, not an image: in an SVG they stay sharp.
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="none")
    axes.set(aspect="equal", xlabel="predicted", ylabel="true")
    axes.set_xticks(np.arange(len(names)) + 0.5, names, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=8)
    axes.invert_yaxis()
    for true, predicted in np.argwhere(shown_counts):
        axes.text(
            predicted + 0.5,
            true + 0.5,
            f"{shown_counts[true, predicted]:,}",
            ha="center",
            va="center",
            fontsize=7,
            color="#ffffff" if shares[true, predicted] > 0.5 else "#10202f",
        )
    return figure


def pixels(figure: "Figure") -> np.ndarray:
    """Returns a drawing as RGB, uint8 `(height, width, 3)`."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    with matplotlib.rc_context({"font.sans-serif": _fonts()}), warnings.catch_warnings():
        # A machine without a font for a script draws boxes; the page of a run leaves fonts to the browser.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


@functools.cache
def _fonts() -> list[str]:
    """Returns matplotlib's fonts and, after them, this machine's fonts of other scripts."""
    import matplotlib
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return [*matplotlib.rcParams["font.sans-serif"], *(name for name in OTHER_SCRIPTS if name in installed)]


def short(text: str, length: int = 18) -> str:
    """Returns a name that fits an axis; matplotlib takes a dollar sign for mathematics."""
    text = " ".join(str(text).split())
    return (text if len(text) <= length else cut(text, length - 1) + "…").replace("$", r"\$")
