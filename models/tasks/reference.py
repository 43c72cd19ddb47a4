"""Reference models: classical ones that a network is held against. Loads no TensorFlow."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data.spec import DatasetSpec, LabelFeature

if TYPE_CHECKING:  # a run imports scikit-learn when it trains these models, not before its first stage
    from sklearn.base import BaseEstimator


@dataclass(frozen=True)
class Candidate:
    """A classical model.

    Attributes:
        estimator: Takes a pandas.DataFrame with a column for each feature, as rows are stored: bytes, numbers, NaN or
            None where there is none; categories are a pandas.Categorical of bytes, empty where there is none.
        features: How its inputs are made, in a few words: the feature engineering that it needs.
        max_rows: Most rows of the training split that it learns from; None for all.
        trivial: Whether it looks at no input: a constant, or what is most frequent. A network has to beat it to be of
            any use.
    """

    estimator: "BaseEstimator"
    features: str
    max_rows: int | None = None
    trivial: bool = False


def num_classes(spec: DatasetSpec) -> int:
    """Returns how many classes the label has; 1 where a number is predicted."""
    return max((len(label.classes) for label in spec.of(LabelFeature).values()), default=1)


def affordable(work: int, classes: int, *, least: int = 5_000, most: int | None = None) -> int:
    """Returns how many rows, or iterations, a model can afford whose time grows with them times the classes.

    A limit by the clock would give another model on another machine.

    Args:
        work: What it can afford in all: rows, or iterations, times classes.
        classes: Number of classes.
        least: Fewest, however many classes there are.
        most: Most, however few classes there are; None for no limit.
    """
    return min(max(work // classes, least), most or sys.maxsize)


def constants(spec: DatasetSpec, max_rows: int | None = None) -> dict[str, Candidate]:
    """Returns the trivial models of a label: the most frequent class and, of two classes, the second for every row.

    That one is what an F1 score, which is of the second class, has to be held against: that of the first class is 0.
    """
    from sklearn.dummy import DummyClassifier

    (label,) = spec.of(LabelFeature).values()
    models = {"majority": DummyClassifier(strategy="prior")}
    if len(label.classes) == 2:
        models["always_second_class"] = DummyClassifier(strategy="constant", constant=1)
    return {name: Candidate(model, "none", max_rows, trivial=True) for name, model in models.items()}


def predict(estimator: Any, frame, num_classes: int | None) -> np.ndarray:
    """Returns probabilities float32 `(rows, classes)`, also of classes not seen; else what the estimator says."""
    if num_classes is None:
        return np.asarray(estimator.predict(frame), np.float32)
    if not hasattr(estimator, "predict_proba"):
        scores = np.zeros((len(frame), num_classes), np.float32)
        scores[np.arange(len(frame)), estimator.predict(frame)] = 1.0
        return scores
    scores = np.zeros((len(frame), num_classes), np.float32)
    scores[:, estimator.classes_] = estimator.predict_proba(frame)
    return scores
