"""What rows look like as a whole, small enough to keep: the data that a run accepts is the next run's reference.

It holds what TFDV's statistics do not tell: brightness of images, shares of classes, and the mean input of each class.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.spec import DatasetSpec, ImageFeature, LabelFeature, NumberFeature, Row

BRIGHTNESS_BINS = 32
MAX_SIDE = 32  # pixels of an image that count for its class's mean, each way
STANDARD_ERRORS = 3.0

Arrays = Mapping[str, np.ndarray]


class Profile:
    """Adds up rows.

    Attributes:
        arrays: `rows` `(1,)`; for a label `<name>.shares` `(classes,)`, for an optional feature `<name>.present`
            `(1,)`, for an image `<name>.brightness` `(bins,)`, all counts; and of the inputs as vectors
            `inputs.count` and `inputs.sum` `(classes, inputs)` and `inputs.squares` `(inputs,)`.
    """

    def __init__(self, spec: DatasetSpec):
        self._spec = spec
        self._label = next((name for name, kind in spec.features.items() if isinstance(kind, LabelFeature)), None)
        classes = len(spec.features[self._label].classes) if self._label else 1
        size = len(_inputs({}, spec))
        self.arrays: dict[str, np.ndarray] = {
            "rows": np.zeros(1),
            "inputs.count": np.zeros((classes, size)),
            "inputs.sum": np.zeros((classes, size)),
            "inputs.squares": np.zeros(size),
        }
        for name, feature in spec.features.items():
            if isinstance(feature, LabelFeature):
                self.arrays[f"{name}.shares"] = np.zeros(len(feature.classes))
            elif isinstance(feature, ImageFeature):
                self.arrays[f"{name}.brightness"] = np.zeros(BRIGHTNESS_BINS)
            elif feature.optional:
                self.arrays[f"{name}.present"] = np.zeros(1)

    def watch(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yields the rows as they are, and adds them."""
        for row in rows:
            yield row
            self.add(row)  # after the row was taken: whoever writes it refuses what is not as the spec says

    def add(self, row: Row) -> None:
        """Adds one row."""
        arrays = self.arrays
        arrays["rows"] += 1
        for name, feature in self._spec.features.items():
            if isinstance(feature, LabelFeature):
                arrays[f"{name}.shares"][row[name]] += 1
            elif isinstance(feature, ImageFeature):
                bins = np.asarray(row[name]).ravel() // (256 // BRIGHTNESS_BINS)
                arrays[f"{name}.brightness"] += np.bincount(bins, minlength=BRIGHTNESS_BINS)
            elif feature.optional:
                arrays[f"{name}.present"] += name in row
        inputs, label = _inputs(row, self._spec), row[self._label] if self._label else 0
        there = ~np.isnan(inputs)
        inputs = np.where(there, inputs, 0.0)
        arrays["inputs.count"][label] += there
        arrays["inputs.sum"][label] += inputs
        arrays["inputs.squares"] += inputs**2

    def save(self, path: Path) -> None:
        """Writes the arrays as an .npz file."""
        np.savez(path, **self.arrays)


def load(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays that `Profile.save` wrote; anything pickled is refused."""
    with np.load(path, allow_pickle=False) as stored:
        return dict(stored)


def _inputs(row: Row, spec: DatasetSpec) -> np.ndarray:
    """Returns numbers and pixels as one float64 vector; NaN where there is none."""
    parts = [np.empty(0)]
    for name, feature in spec.features.items():
        if isinstance(feature, NumberFeature):
            parts.append(np.array([row.get(name, np.nan)], float))
        elif isinstance(feature, ImageFeature):
            step = -(-max(feature.height, feature.width) // MAX_SIDE)
            size = (feature.height, feature.width, feature.channels)
            parts.append(np.asarray(row.get(name, np.full(size, np.nan)), float)[::step, ::step].ravel())
    return np.concatenate(parts)


@dataclass(frozen=True)
class Drift:
    """One way in which data is far from what was accepted before.

    Attributes:
        feature: The feature.
        sentence: What changed.
    """

    feature: str
    sentence: str


def drifts(before: Arrays, after: Arrays, spec: DatasetSpec, max_distance: float) -> list[Drift]:
    """Returns where two profiles are farther apart than `max_distance`; what only one of them has is left out."""
    found = []
    rows_before, rows_after = float(before["rows"][0]), float(after["rows"][0])
    # A share of few rows is uncertain by itself.
    error = STANDARD_ERRORS * np.sqrt(0.25 / rows_before + 0.25 / rows_after)
    for name, feature in spec.features.items():
        for kind in ("shares", "present", "brightness"):
            old, new = before.get(f"{name}.{kind}"), after.get(f"{name}.{kind}")
            if old is None or new is None or old.shape != new.shape:
                continue
            if kind == "brightness":
                distance = jensen_shannon(old, new)
                if distance > max_distance:
                    sentence = (
                        f"brightness is {distance:.2f} away (Jensen-Shannon divergence, at most {max_distance:g})"
                    )
                    found.append(Drift(name, sentence))
                continue
            shares = old / rows_before, new / rows_after
            index = int(np.argmax(np.abs(shares[1] - shares[0])))
            if abs(shares[1][index] - shares[0][index]) > max(max_distance, error):
                what = f"class {feature.classes[index]}" if isinstance(feature, LabelFeature) else "rows with a value"
                found.append(Drift(name, f"share of {what} was {shares[0][index]:.1%}, is {shares[1][index]:.1%}"))
    return found + _swapped(before, after, spec)


def jensen_shannon(before: np.ndarray, after: np.ndarray) -> float:
    """Returns the Jensen-Shannon divergence of two histograms, in bits, from 0 to 1 (Lin, 1991)."""
    p, q = before / before.sum(), after / after.sum()
    middle = (p + q) / 2

    def divergence(one: np.ndarray) -> float:
        there = one > 0
        return float((one[there] * np.log2(one[there] / middle[there])).sum())

    return (divergence(p) + divergence(q)) / 2


def _swapped(before: Arrays, after: Arrays, spec: DatasetSpec) -> list[Drift]:
    """Returns classes whose rows look like another class of the reference: labels were swapped or shifted.

    The mean input of a class is held against those of all classes before. It counts when it is nearer to another, by
    half of the squared distance at least, and farther from its own than chance explains: means of n rows vary by 1/n.
    """
    labels = [(name, kind) for name, kind in spec.features.items() if isinstance(kind, LabelFeature)]
    if not labels or before["inputs.sum"].shape != after["inputs.sum"].shape:
        return []
    name, label = labels[0]
    count = np.maximum(before["inputs.count"], 1), np.maximum(after["inputs.count"], 1)
    means = before["inputs.sum"] / count[0], after["inputs.sum"] / count[1]  # (classes, inputs)
    total = np.maximum(before["inputs.count"].sum(0), 1)
    variance = before["inputs.squares"] / total - (before["inputs.sum"].sum(0) / total) ** 2
    used = variance > 1e-12
    if not used.any():
        return []
    scaled = [mean[:, used] / np.sqrt(variance[used]) for mean in means]
    squares = ((scaled[1][:, None] - scaled[0][None]) ** 2).sum(-1)  # (classes now, classes before)
    chance = (1 / count[0][:, used] + 1 / count[1][:, used]).sum(-1)  # (classes,)
    words = []
    for index in np.flatnonzero((before["inputs.count"].max(1) > 1) & (after["inputs.count"].max(1) > 1)):
        own, nearest = squares[index, index], int(np.argmin(squares[index]))
        if nearest != index and squares[index, nearest] < own / 2 and own > STANDARD_ERRORS**2 * chance[index]:
            words.append(f"{label.classes[index]} like {label.classes[nearest]}")
    return [Drift(name, f"classes look swapped: rows of {', '.join(words[:5])}")] if words else []
