"""Reference models: classical and trivial models that a network is compared with. Loads no TensorFlow."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data.spec import DatasetSpec, LabelFeature

if TYPE_CHECKING:  # a run imports scikit-learn when it trains these models, not before its first stage
    from sklearn.base import BaseEstimator


@dataclass(frozen=True)
class Candidate:
    """A reference model.

    Attributes:
        estimator: Takes a pandas.DataFrame with a column for each feature, as rows are stored: bytes or numbers, NaN or
            None where a value is missing; categories are a pandas.Categorical of bytes.
        features: Short description of its feature engineering.
        max_rows: Greatest number of training rows that it is fitted on; None for all.
        trivial: Whether it uses no input, such as a constant or the most frequent class. A network that does not beat
            it is of no use.
    """

    estimator: "BaseEstimator"
    features: str
    max_rows: int | None = None
    trivial: bool = False


def num_classes(spec: DatasetSpec) -> int:
    """Returns the number of classes of the label; 1 for a task that predicts a number."""
    return max((len(label.classes) for label in spec.of(LabelFeature).values()), default=1)


def affordable(work: int, classes: int, *, least: int = 5_000, most: int | None = None) -> int:
    """Returns the number of rows, or iterations, for a model whose time is proportional to them times the classes.

    A limit of time would give another model on another machine.

    Args:
        work: Budget: rows, or iterations, times classes.
        classes: Number of classes.
        least: Lower bound, for many classes.
        most: Upper bound, for few classes; None for no limit.
    """
    return min(max(work // classes, least), most or sys.maxsize)


def constants(spec: DatasetSpec, max_rows: int | None = None) -> dict[str, Candidate]:
    """Returns the trivial models of a label: the most frequent class and, of two classes, the second for every row.

    The latter is the baseline of the F1 score, which is of the second class: the first class for every row has 0.
    """
    from sklearn.dummy import DummyClassifier

    (label,) = spec.of(LabelFeature).values()
    models = {"majority": DummyClassifier(strategy="prior")}
    if len(label.classes) == 2:
        models["always_second_class"] = DummyClassifier(strategy="constant", constant=1)
    return {name: Candidate(model, "none", max_rows, trivial=True) for name, model in models.items()}


def predict(estimator: Any, frame, num_classes: int | None) -> np.ndarray:
    """Returns probabilities float32 `(rows, classes)`, also of classes not seen in training; else the predictions."""
    if num_classes is None:
        return np.asarray(estimator.predict(frame), np.float32)
    if not hasattr(estimator, "predict_proba"):
        scores = np.zeros((len(frame), num_classes), np.float32)
        scores[np.arange(len(frame)), estimator.predict(frame)] = 1.0
        return scores
    scores = np.zeros((len(frame), num_classes), np.float32)
    scores[:, estimator.classes_] = estimator.predict_proba(frame)
    return scores
