"""Reference models for sequences of steps: statistics of each row, with a linear model and with boosting."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler

from data.spec import DatasetSpec, SequenceFeature
from models.tasks.reference import Candidate, affordable, constants, num_classes

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
MAX_CATEGORIES = 1000  # the most frequent ones, counted in each row
BOOSTED_WORK = 100_000_000  # rows times trees
LINEAR_WORK = 5_000_000  # rows times classes


def candidates(spec: DatasetSpec) -> dict[str, Candidate]:
    """Returns constants, and logistic regression and gradient boosted trees on statistics of each row."""
    name, feature = spec.only(SequenceFeature)
    classes = num_classes(spec)
    rows = affordable(LINEAR_WORK, classes)
    linear = LogisticRegression(max_iter=affordable(10_000, classes, least=100, most=1_000))
    trees = HistGradientBoostingClassifier(random_state=0)
    boosted_rows = BOOSTED_WORK // (trees.max_iter * (classes if classes > 2 else 1))
    models = constants(spec, rows)
    if feature.of == "category":
        what = "length, and counts of categories"
        models["logistic_regression"] = Candidate(
            make_pipeline(Counts(name), MaxAbsScaler(), linear), f"{what}, scaled", rows
        )
        models["hist_gradient_boosting"] = Candidate(make_pipeline(Counts(name), trees), what, boosted_rows)
        return models
    what = "length, and of each channel mean, deviation, extremes, first, last, slope, quantiles"
    models["logistic_regression"] = Candidate(
        make_pipeline(Statistics(name, feature.width), StandardScaler(), linear), f"{what}, standardized", rows
    )
    models["hist_gradient_boosting"] = Candidate(
        make_pipeline(Statistics(name, feature.width), trees), what, boosted_rows
    )
    return models


class Statistics(TransformerMixin, BaseEstimator):
    """Turns a column of numbers, several a step, into statistics of each row.

    Args:
        name: The column.
        width: Numbers of a step.
    """

    def __init__(self, name: str, width: int):
        self.name, self.width = name, width

    def fit(self, frame: pd.DataFrame, _=None) -> "Statistics":
        return self

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Returns float64 `(rows, 1 + 13 * width)`; all 0 for a row without a step."""
        return np.array([self._of_row(np.asarray(row, float).reshape(-1, self.width)) for row in frame[self.name]])

    def _of_row(self, steps: np.ndarray) -> np.ndarray:
        if not len(steps):
            return np.zeros(1 + 13 * self.width)
        time = np.arange(len(steps)) - (len(steps) - 1) / 2
        slope = time @ steps / max(time @ time, 1.0)
        ends = [steps.mean(0), steps.std(0), steps.min(0), steps.max(0), steps[0], steps[-1], slope]
        shape = [np.abs(np.diff(steps, axis=0)).mean(0) if len(steps) > 1 else np.zeros(self.width)]
        return np.concatenate([[len(steps)], *ends, *shape, *np.quantile(steps, QUANTILES, axis=0)])


class Counts(TransformerMixin, BaseEstimator):
    """Turns a column of categories into the number of steps of each row and the counts of the frequent categories.

    Args:
        name: The column.
    """

    def __init__(self, name: str):
        self.name = name

    def fit(self, frame: pd.DataFrame, _=None) -> "Counts":
        self.counter_ = CountVectorizer(analyzer=list, max_features=MAX_CATEGORIES).fit(frame[self.name])
        return self

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Returns float64 `(rows, 1 + categories)`."""
        lengths = np.array([[len(row)] for row in frame[self.name]], float)
        return np.hstack([lengths, self.counter_.transform(frame[self.name]).toarray()])
