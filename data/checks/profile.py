"""A small summary of a data set. The profile of the data that a run accepts is the reference of the next run.

It holds values that TFDV's statistics lack: the shares of classes and the mean input of each class.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tensorflow_metadata.proto.v0 import statistics_pb2
from threadpoolctl import ThreadpoolController

from data.kinds.registry import kind_of
from data.spec import DatasetSpec, LabelFeature

STANDARD_ERRORS = 3.0
BY_CLASS = ("inputs.count", "inputs.sum", "inputs.squares")  # not `inputs.present`, of a column of that name

Arrays = Mapping[str, np.ndarray]


class Profile:
    """An accumulator of rows.

    Attributes:
        arrays: `rows` `(1,)`; for a label `<name>.shares` `(classes,)`, for an optional feature `<name>.present`
            `(1,)`, all counts; and of the inputs, numbers and pixels as one vector, `inputs.count`, `inputs.sum` and
            `inputs.squares` `(classes, inputs)`. `<name>.classes` and `inputs.names`, text, name the positions:
            later data may have other classes and columns.
    """

    def __init__(self, spec: DatasetSpec):
        self._spec = spec
        self._label = next((name for name, kind in spec.features.items() if isinstance(kind, LabelFeature)), None)
        self.arrays: dict[str, np.ndarray] = {"rows": np.zeros(1), "inputs.names": np.array(_input_names(spec))}
        for name, feature in spec.features.items():
            if isinstance(feature, LabelFeature):
                self.arrays[f"{name}.shares"] = np.zeros(len(feature.classes))
                self.arrays[f"{name}.classes"] = np.array(feature.classes)
            elif feature.optional:
                self.arrays[f"{name}.present"] = np.zeros(1)

    def add(self, columns: Mapping[str, np.ndarray]) -> None:
        """Adds a batch of rows.

        Args:
            columns: Feature name -> what `data.kinds.contract.Kind.array` returns.
        """
        arrays, rows = self.arrays, len(next(iter(columns.values())))
        arrays["rows"] += rows
        for name, feature in self._spec.features.items():
            if isinstance(feature, LabelFeature):
                arrays[f"{name}.shares"] += np.bincount(columns[name], minlength=len(feature.classes))
            elif f"{name}.present" in arrays:
                values = columns[name]
                arrays[f"{name}.present"] += (values if values.dtype == bool else ~np.isnan(values)).sum()
        labels = columns[self._label] if self._label else np.zeros(rows, int)
        classes = len(self._spec.features[self._label].classes) if self._label else 1
        inputs = _inputs(columns, self._spec)
        members = (labels == np.arange(classes)[:, None]).astype(inputs.dtype)  # (classes, rows)
        is_present = np.isfinite(inputs)
        counts = members.sum(axis=1, keepdims=True) + np.zeros(inputs.shape[1], inputs.dtype)
        # One thread: several add up in another order, and on a busy machine wait for each other ten times as long as
        # they compute.
        with _threadpools().limit(limits=1, user_api="blas"):
            if not is_present.all():
                counts, inputs = members @ is_present, np.where(is_present, inputs, 0.0)
            sums = {"count": counts, "sum": members @ inputs, "squares": members @ inputs**2}
        for statistic, added in sums.items():
            arrays[f"inputs.{statistic}"] = arrays.get(f"inputs.{statistic}", 0.0) + added.astype(np.float64)

    def merge(self, other: "Profile") -> None:
        """Adds the rows of another profile of the same features."""
        for name, array in other.arrays.items():
            if array.dtype.kind == "f":  # the others are names
                self.arrays[name] = self.arrays[name] + array if name in self.arrays else array

    def result(self) -> dict[str, np.ndarray]:
        """Returns the arrays."""
        return self.arrays

    def save(self, path: Path) -> None:
        """Writes the arrays as an .npz file."""
        np.savez(path, **self.arrays)


@functools.cache
def _threadpools() -> ThreadpoolController:
    return ThreadpoolController()


def load(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays that `Profile.save` wrote; a file with pickled objects is refused."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return dict(stored)


def _input_names(spec: DatasetSpec) -> list[str]:
    """Returns the names of the inputs, those of images with their size."""
    names = []
    for name, feature in spec.features.items():
        kind = kind_of(feature)
        if kind.drift_inputs:
            _, *size = kind.identity(feature)
            names.append(f"{name} {'x'.join(map(str, size))}" if size else name)
    return names


def _inputs(columns: Mapping[str, np.ndarray], spec: DatasetSpec) -> np.ndarray:
    """Returns numbers and pixels as float `(rows, inputs)`; NaN for a missing value."""
    parts = [np.empty((len(next(iter(columns.values()))), 0), np.float32)]
    for name, feature in spec.features.items():
        drift_inputs = kind_of(feature).drift_inputs
        if drift_inputs:
            parts.append(drift_inputs(columns[name], feature))
    # Squares of large numbers, which are float64, need it; those of pixels do not.
    return np.concatenate(parts, axis=1, dtype=np.result_type(*parts))


@dataclass(frozen=True)
class Drift:
    """One difference of data from the reference.

    Attributes:
        feature: Name of the feature.
        sentence: The difference, for a message.
    """

    feature: str
    sentence: str


def drifts(before: Arrays, after: Arrays, spec: DatasetSpec, max_distance: float) -> list[Drift]:
    """Returns the features by which two profiles differ by more than `max_distance`.

    Features that only one of the profiles has are left out.
    """
    differences = []
    rows_before, rows_after = float(before["rows"][0]), float(after["rows"][0])
    # The sampling error of a share, largest at one half.
    error = STANDARD_ERRORS * np.sqrt(0.25 / rows_before + 0.25 / rows_after)
    for name, feature in spec.features.items():
        for statistic in ("shares", "present"):
            old_counts, new_counts = before.get(f"{name}.{statistic}"), after.get(f"{name}.{statistic}")
            if old_counts is None or new_counts is None:
                continue
            if isinstance(feature, LabelFeature):
                old_counts = _in_order(old_counts, before.get(f"{name}.classes"), feature.classes)
            if old_counts.shape != new_counts.shape:
                continue
            shares = old_counts / rows_before, new_counts / rows_after
            index = int(np.argmax(np.abs(shares[1] - shares[0])))
            if abs(shares[1][index] - shares[0][index]) > max(max_distance, error):
                subject = (
                    f"class {feature.classes[index]}" if isinstance(feature, LabelFeature) else "rows with a value"
                )
                differences.append(
                    Drift(name, f"share of {subject} was {shares[0][index]:.1%}, is {shares[1][index]:.1%}")
                )
    return differences + _swapped(before, after, spec)


def _in_order(array: np.ndarray, saved_classes: np.ndarray | None, classes: tuple[str, ...]) -> np.ndarray:
    """Returns counts of classes in the order of `classes`, 0 for a new class; unchanged where no names were saved.

    Args:
        array: `(classes, ...)` as it was saved.
        saved_classes: Names of the classes that it was saved for; None in a file of an older release.
        classes: The classes now.
    """
    if saved_classes is None:
        return array
    positions = {name: index for index, name in enumerate(saved_classes.tolist())}
    empty = np.zeros_like(array[0])
    return np.stack([array[positions[name]] if name in positions else empty for name in classes])


def _swapped(before: Arrays, after: Arrays, spec: DatasetSpec) -> list[Drift]:
    """Returns classes whose rows resemble another class of the reference: labels were swapped or shifted.

    The mean input of a class is compared with the means of all classes in the reference. A class is reported when the
    squared distance to another class is less than half of that to the same class, and the latter exceeds the sampling
    error: the variance of a mean of n rows is in proportion to 1/n.
    """
    labels = [(name, feature) for name, feature in spec.features.items() if isinstance(feature, LabelFeature)]
    if not labels:
        return []
    name, label = labels[0]
    names = [profile.get("inputs.names") for profile in (before, after)]
    if names[0] is not None and (names[1] is None or names[0].tolist() != names[1].tolist()):
        return []  # means of other columns cannot be compared
    saved_classes = before.get(f"{name}.classes")
    before = {
        key: _in_order(array, saved_classes, label.classes) if key in BY_CLASS else array
        for key, array in before.items()
    }
    if before["inputs.sum"].shape != after["inputs.sum"].shape:
        return []
    count = np.maximum(before["inputs.count"], 1), np.maximum(after["inputs.count"], 1)
    means = before["inputs.sum"] / count[0], after["inputs.sum"] / count[1]  # (classes, inputs)
    total = np.maximum(before["inputs.count"].sum(0), 1)
    variance = before["inputs.squares"].sum(0) / total - (before["inputs.sum"].sum(0) / total) ** 2
    is_varying = variance > 1e-12
    if not is_varying.any():
        return []
    scaled = [mean[:, is_varying] / np.sqrt(variance[is_varying]) for mean in means]
    squares = ((scaled[1][:, None] - scaled[0][None]) ** 2).sum(-1)  # (classes now, classes before)
    sampling_error = (1 / count[0][:, is_varying] + 1 / count[1][:, is_varying]).sum(-1)  # (classes,)
    pairs = []
    for index in np.flatnonzero((before["inputs.count"].max(1) > 1) & (after["inputs.count"].max(1) > 1)):
        own_distance, nearest = squares[index, index], int(np.argmin(squares[index]))
        if (
            nearest != index
            and squares[index, nearest] < own_distance / 2
            and own_distance > STANDARD_ERRORS**2 * sampling_error[index]
        ):
            pairs.append(f"{label.classes[index]} like {label.classes[nearest]}")
    return [Drift(name, f"classes look swapped: rows of {', '.join(pairs[:5])}")] if pairs else []


def quantiles(
    features: Iterable[statistics_pb2.FeatureNameStatistics],
) -> dict[str, tuple[statistics_pb2.Histogram, float]]:
    """Returns name of a numeric feature -> TFDV's quantiles histogram and the number of its values."""
    by_feature = {}
    for feature in features:
        num_values = feature.num_stats.common_stats.num_non_missing
        histograms = [
            histogram
            for histogram in feature.num_stats.histograms
            if histogram.type == statistics_pb2.Histogram.QUANTILES
        ]
        if histograms and num_values:
            by_feature[feature.path.step[0]] = histograms[0], num_values
    return by_feature


def critical_distance(before: float, after: float) -> float:
    """Returns the critical distance of the two-sample Kolmogorov-Smirnov test at the 1 % level.

    Smirnov, "Table for estimating the goodness of fit of empirical distributions", 1948.

    Args:
        before: Number of values in the first sample.
        after: Number of values in the second sample.
    """
    return float(1.63 * np.sqrt(1 / before + 1 / after))


def kolmogorov_smirnov(before: statistics_pb2.Histogram, after: statistics_pb2.Histogram) -> float:
    """Returns the greatest difference of two cumulative distributions, from 0 to 1, computed from quantiles.

    Not TFDV's own drift measure: its ten bins of equal width put two samples of 2,000 from one log-normal distribution
    up to 0.12 apart, this 0.04 (five seeds).
    """
    points = [
        value
        for histogram in (before, after)
        for bucket in histogram.buckets
        for value in (bucket.low_value, bucket.high_value)
    ]
    points = np.unique(points)
    return float(np.abs(_cumulative(before, points) - _cumulative(after, points)).max())


def _cumulative(quantiles: statistics_pb2.Histogram, points: np.ndarray) -> np.ndarray:
    """Returns the share of the values at most equal to each point, float64 `(points,)`."""
    rows = [(bucket.low_value, bucket.high_value, bucket.sample_count) for bucket in quantiles.buckets]
    low, high, count = np.array(rows).T  # (buckets,) each
    points = points[:, None]  # against all buckets: (points, buckets)
    width = np.where(high > low, high - low, 1.0)
    share = np.where(high > low, np.clip((points - low) / width, 0, 1), points >= low)
    return share @ count / count.sum()
