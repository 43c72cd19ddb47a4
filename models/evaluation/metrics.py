"""Metrics of stored predictions, each declared once: name, direction, range, columns and estimate.

A metric first reduces predictions to a few columns, a number or two for each row, so that a million rows need little
memory and no order of adding changes a bit of the result; values, standard errors and slices follow from the columns.
"""

import functools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from models.evaluation import EXAMPLE_COUNT, confidence, estimates, names
from models.evaluation.confidence import EstimateSummary, Interval
from models.evaluation.estimates import Estimate, Transform

Columns = tuple[np.ndarray, ...]
EPSILON = 1e-7  # Keras's: probabilities are clipped to [1e-7, 1 - 1e-7] before their logarithm is taken


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        name: Name in the evaluation, in thresholds and on pages.
        columns: `(targets, predictions) -> arrays (rows,)`, the values that it needs of each row.
        estimate: `(*columns, weights) -> Estimate`, of all rows; `weights` is float `(rows,)` or None.
        transform: The increasing function, such as a root, that makes the metric of the estimate; None for identity.
        lower_is_better: Whether less is better.
        least: Least value that the estimate can have.
        greatest: Greatest value that it can have.
        is_share: Whether the estimate is a share of rows.
        is_compared: Whether models are compared by it.
        tfma: Class name and settings of TFMA's metric of the same definition; None where there is none.
        of_second_class: Whether it is a metric of the second of two classes, to which TFMA has to be restricted.
    """

    name: str
    columns: Callable[[np.ndarray, np.ndarray], Columns]
    estimate: Callable[..., Estimate] = estimates.ratio
    transform: Transform | None = None
    lower_is_better: bool = False
    least: float = 0.0
    greatest: float = 1.0
    is_share: bool = False
    is_compared: bool = True
    tfma: tuple[str, dict[str, Any]] | None = None
    of_second_class: bool = False

    def function(self, targets: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None = None) -> Estimate:
        """Returns its estimate on all rows.

        Args:
            targets: True classes or numbers, `(rows,)`.
            predictions: Predictions, `(rows,)` or `(rows, values)`.
            weights: float `(rows,)`, how much each row counts; None for equal weights.
        """
        estimate = self.estimate(*self.columns(targets, predictions), weights=weights)
        return self.transform.of(estimate) if self.transform else estimate

    @property
    def is_ratio(self) -> bool:
        """Whether its estimate is the ratio of the sums of its first two columns."""
        return self.estimate is estimates.ratio

    def value(self, targets: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None = None) -> float:
        """Returns its value on all rows, as `function`."""
        return self.function(targets, predictions, weights).value

    def measured(self, summary: EstimateSummary) -> tuple[float, Interval | None]:
        """Returns its value, and the ends of its 95 % interval where they are known, from the summary of `estimate`."""
        ends = confidence.interval(summary, least=self.least, greatest=self.greatest, is_share=self.is_share)
        if self.transform is None:
            return summary.value, ends
        function = self.transform.function
        return function(summary.value), (function(ends[0]), function(ends[1])) if ends else None

    @property
    def range(self) -> tuple[float, float]:
        """Its least and greatest value."""
        function = self.transform.function if self.transform else float
        return function(self.least), function(self.greatest)


def _terms(term: Callable[..., np.ndarray], targets: np.ndarray, predictions: np.ndarray) -> Columns:
    return term(targets, predictions), np.ones(len(targets), bool)


def mean_of(name: str, term: Callable[..., np.ndarray], **attributes: Any) -> Metric:
    """Returns the metric that is the weighted mean of `term(targets, predictions)`, `(rows,)`, or its root.

    `term` can be pickled, since Beam's workers hand metrics on; `attributes` are others of Metric.
    """
    return Metric(name, functools.partial(_terms, term), **attributes)


# --- Classification: targets int `(rows,)`, predictions float probabilities `(rows, classes)` -----------------------


def _hits(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return scores.argmax(axis=1) == targets


def cross_entropy(targets: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns the cross-entropy of each row, float64 `(rows,)`, as Keras computes it: clipped, and then scaled to 1."""
    clipped = np.clip(scores.astype(np.float64), EPSILON, 1 - EPSILON)
    of_true = np.take_along_axis(clipped, targets[:, None].astype(np.int64), axis=1)[:, 0]
    return np.log(clipped.sum(axis=1)) - np.log(of_true)


ACCURACY = mean_of("accuracy", _hits, is_share=True, tfma=("SparseCategoricalAccuracy", {"name": "accuracy"}))
LOSS = mean_of(
    "loss",
    cross_entropy,
    lower_is_better=True,
    greatest=math.inf,
    is_compared=False,
    tfma=("SparseCategoricalCrossentropy", {"name": "loss"}),
)


def _confidences(targets: np.ndarray, scores: np.ndarray) -> Columns:
    return scores.max(axis=1), _hits(targets, scores)


CALIBRATION = Metric(
    "expected_calibration_error",
    _confidences,
    estimates.calibration_error,
    lower_is_better=True,
    is_compared=False,
)


def _of_second_class(targets: np.ndarray, scores: np.ndarray) -> Columns:
    return targets == 1, scores[:, 1]


AUC = Metric(
    "auc",
    _of_second_class,
    estimates.area_under_curve,
    tfma=("AUC", {"name": "auc"}),
    of_second_class=True,
)


def _hits_of_class(kind: str, index: int, targets: np.ndarray, scores: np.ndarray) -> Columns:
    predicted, true = scores.argmax(axis=1) == index, targets == index
    return predicted & true, {"precision": predicted, "recall": true, "f1": predicted | true}[kind]


def of_class(kind: str, index: int, name: str) -> Metric:
    """Returns `precision`, `recall` or `f1` of one class, by its index and name; NaN where it is undefined."""
    transform = estimates.F1_OF_JACCARD if kind == "f1" else None
    columns = functools.partial(_hits_of_class, kind, index)
    return Metric(names.of_class(kind, name), columns, transform=transform, is_share=True)


def _hits_of_second_class(targets: np.ndarray, scores: np.ndarray) -> Columns:
    return *_hits_of_class("f1", 1, targets, scores), targets == 1


def f1_of_second(name: str) -> Metric:
    """Returns the F1 score of the second of two classes, by its name; NaN where all rows are of one
    class.
    """
    return replace(of_class("f1", 1, name), columns=_hits_of_second_class, of_second_class=True)


@dataclass(frozen=True)
class PerClass:
    """Precision, recall and F1 of every class, of all rows; undefined ones are left out.

    Attributes:
        classes: Names of the classes.
        names: Of the metrics, each followed by `@` and the class.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...] = field(default=("precision", "recall", "f1"), init=False)


# --- Regression: targets and predictions float `(rows,)` ------------------------------------------------------------


def squared_error(targets: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns the squared error of each row, float64 `(rows,)`."""
    return np.subtract(values, targets, dtype=np.float64) ** 2


RMSE = mean_of(
    "rmse",
    squared_error,
    transform=estimates.ROOT,
    lower_is_better=True,
    greatest=math.inf,
    tfma=("RootMeanSquaredError", {"name": "rmse"}),
)


def _absolute_error(targets: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.abs(np.subtract(values, targets, dtype=np.float64))


MAE = mean_of(
    "mae",
    _absolute_error,
    lower_is_better=True,
    greatest=math.inf,
    tfma=("MeanAbsoluteError", {"name": "mae"}),
)


# --- Ranking: predictions float `(rows, 2)`, the rank of the row's item from 0, and a rating; targets ratings --------

RANK, RATING = 0, 1


def _is_among(top_k: int, _: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    return predictions[:, RANK] < top_k


def _gain(top_k: int, targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    return _is_among(top_k, targets, predictions) / np.log2(predictions[:, RANK].astype(np.float64) + 2)


def _rating_error(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    return squared_error(targets, predictions[:, RATING])


def recall_at(top_k: int) -> Metric:
    """Returns the share of rows whose item is among the first `top_k`."""
    return mean_of(f"recall_at_{top_k}", functools.partial(_is_among, top_k), is_share=True)


def ndcg_at(top_k: int) -> Metric:
    """Returns the mean discounted gain, 1 / log2(rank + 2) of an item among the first `top_k`, else 0.

    With one relevant item the ideal gain is 1 (K. Järvelin and J. Kekäläinen, ACM TOIS 20, 2002).
    """
    return mean_of(f"ndcg_at_{top_k}", functools.partial(_gain, top_k))


RATING_RMSE = mean_of("rating_rmse", _rating_error, transform=estimates.ROOT, lower_is_better=True, greatest=math.inf)


# --- Metrics of tasks -----------------------------------------------------------------------------------------------


def classification(classes: tuple[str, ...]) -> tuple[Metric | PerClass, ...]:
    """Returns the metrics of classification: of two classes the area under the ROC curve first, else accuracy."""
    of_two = (AUC, ACCURACY, f1_of_second(classes[1])) if len(classes) == 2 else (ACCURACY,)
    return (*of_two, LOSS, CALIBRATION, PerClass(classes))


def ranges(measured: Iterable[Metric | PerClass]) -> dict[str, tuple[float, float]]:
    """Returns the least and greatest value of each metric of all rows, by name; `example_count` is among them."""
    ranges_by_name = {}
    for metric in measured:
        if isinstance(metric, Metric):
            ranges_by_name[metric.name] = metric.range
        else:
            ranges_by_name |= {
                names.of_class(kind, name): (0.0, 1.0) for kind in metric.names for name in metric.classes
            }
    return ranges_by_name | ({EXAMPLE_COUNT: (0.0, math.inf)} if ranges_by_name else {})


def confusion_matrix(targets: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns how often each class was predicted, int64 `(classes, classes)`: row = true class, column = predicted.

    Args:
        targets: int `(rows,)`, true classes.
        predicted: int `(rows,)`, predicted ones.
        num_classes: How many classes there are.
    """
    cells = np.bincount(targets * num_classes + predicted, minlength=num_classes**2)
    return cells.astype(np.int64).reshape(num_classes, num_classes)
