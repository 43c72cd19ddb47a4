"""Plots of a classifier, drawn as arrays for TensorBoard."""

import numpy as np


def confusion_matrix(counts: np.ndarray, classes: tuple[str, ...]) -> np.ndarray:
    """Returns a picture of a confusion matrix.

    Args:
        counts: int64 `(classes, classes)`, row = true class, column = predicted class.
        classes: Names, in the order of the rows.

    Returns:
        RGB uint8 `(height, width, 3)`; each row is shaded by the share of its true class.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # TensorBoard shows pictures about 300 pixels wide: small enough to stay legible there.
    size = 1.5 + 0.3 * len(classes)
    figure = Figure(figsize=(size, size), dpi=90, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(classes)), classes, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(classes)), classes, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for true, predicted in np.argwhere(counts):
        shade = "white" if shares[true, predicted] > 0.5 else "black"
        axes.text(predicted, true, f"{counts[true, predicted]:,}", ha="center", va="center", color=shade, fontsize=7)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
