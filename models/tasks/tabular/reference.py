"""Reference models for tables: those that a practitioner tries first."""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from data.spec import BooleanFeature, CategoryFeature, DatasetSpec, DateFeature, NumberFeature
from models.tasks.reference import Candidate, affordable, constants, num_classes

BOOSTING = "hist_gradient_boosting"
MAX_LEVELS = 254  # greatest number of values of a category in gradient boosting
# Boosting grows a tree for each class and iteration: 2,400 rows in 150 classes took 4 s an iteration, and a forest of
# 100 trees for all classes together 1.5 s and was more accurate.
MAX_BOOSTED_CLASSES = 30
BOOSTED_WORK = 100_000_000  # rows times trees
LINEAR_WORK = 5_000_000  # rows times classes
FOREST_WORK = 5_000_000  # rows times classes
FOREST_LEAVES = 200_000  # of a tree, times classes: 100 trees hold 320 MB


def candidates(spec: DatasetSpec) -> dict[str, Candidate]:
    """Returns constants, a linear model, and gradient boosted trees or, for many classes, a random forest."""
    classes = num_classes(spec)
    return _of_numbers(spec) if classes == 1 else _of_classes(spec, classes)


def _of_numbers(spec: DatasetSpec) -> dict[str, Candidate]:
    # The mean has the least squared error, the median the least absolute one.
    means = {name: Candidate(DummyRegressor(strategy=name), "none", trivial=True) for name in ("mean", "median")}
    return {**means, "ridge": _linear(spec, Ridge()), BOOSTING: _boosting(spec, HistGradientBoostingRegressor, 1)}


def _of_classes(spec: DatasetSpec, classes: int) -> dict[str, Candidate]:
    iterations = affordable(10_000, classes, least=100, most=1_000)
    linear = _linear(spec, LogisticRegression(max_iter=iterations), affordable(LINEAR_WORK, classes))
    has_many_classes = classes > MAX_BOOSTED_CLASSES
    trees = _forest(spec, classes) if has_many_classes else _boosting(spec, HistGradientBoostingClassifier, classes)
    return {
        **constants(spec, linear.max_rows),
        "logistic_regression": linear,
        "random_forest" if has_many_classes else BOOSTING: trees,
    }


def _linear(spec: DatasetSpec, model, max_rows: int | None = None) -> Candidate:
    features = "medians for missing numbers and a flag, standardized; categories one-hot"
    return Candidate(make_pipeline(_columns(spec, linear=True), model), features, max_rows)


def _boosting(spec: DatasetSpec, trees, classes: int) -> Candidate:
    model = trees(random_state=0, categorical_features=_ordinals(spec))
    rows = BOOSTED_WORK // (model.max_iter * (classes if classes > 2 else 1))
    return Candidate(make_pipeline(_columns(spec, linear=False), model), "categories as ordinals", rows)


def _forest(spec: DatasetSpec, classes: int) -> Candidate:
    """Returns the random forest for many classes: each tree has all classes, where boosting grows one for each."""
    leaves = affordable(FOREST_LEAVES, classes, least=256)
    model = RandomForestClassifier(min_samples_leaf=2, max_leaf_nodes=leaves, random_state=0)
    return Candidate(
        make_pipeline(_columns(spec, linear=False), model), "categories as ordinals", affordable(FOREST_WORK, classes)
    )


def _columns(spec: DatasetSpec, *, linear: bool):
    """Returns the transformer from a frame of stored rows to a matrix, numbers first."""
    numbers, dates = list(spec.of(NumberFeature, BooleanFeature)), list(spec.of(DateFeature))
    categories = list(spec.of(CategoryFeature))
    if linear:
        of_numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
        of_categories = make_pipeline(_Codes(), OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5))
        of_dates = make_pipeline(FunctionTransformer(_date_parts), of_numbers)
    else:
        of_numbers = FunctionTransformer(_floats)
        of_categories = make_pipeline(
            _Codes(),
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=MAX_LEVELS),
        )
        of_dates = FunctionTransformer(_date_parts)
    parts = [("numbers", of_numbers, numbers), ("dates", of_dates, dates), ("categories", of_categories, categories)]
    return ColumnTransformer([part for part in parts if part[2]])


def _ordinals(spec: DatasetSpec) -> list[int]:
    """Returns the column indices of the categories in the matrix of the trees."""
    begin = len(spec.of(NumberFeature, BooleanFeature)) + 4 * len(spec.of(DateFeature))
    return list(range(begin, begin + len(spec.of(CategoryFeature))))


def _floats(frame: pd.DataFrame) -> np.ndarray:
    return frame.to_numpy(float)


class _Codes(TransformerMixin, BaseEstimator):
    """Replaces texts by whole numbers in the order of the texts, -1 for one not seen: encoders are slow on objects.

    OrdinalEncoder and OneHotEncoder took 8 of 17 CPU seconds for 500,000 rows with 4 categories.
    """

    def fit(self, frame: pd.DataFrame, _=None) -> "_Codes":
        self.values_ = [_distinct(pd.Categorical(frame[name])) for name in frame]
        return self

    def transform(self, frame: pd.DataFrame) -> np.ndarray:
        """Returns int32 `(rows, columns)`."""
        columns = []
        for name, values in zip(frame, self.values_, strict=True):
            cells = pd.Categorical(frame[name])
            # None counts as the empty text: its code, -1, selects the last entry.
            of_categories = values.get_indexer([*cells.categories, b""]).astype(np.int32)
            columns.append(of_categories[cells.codes])
        return np.stack(columns, axis=1)


def _distinct(cells: pd.Categorical) -> pd.Index:
    """Returns the distinct texts of a column, sorted; with the empty text where values are missing."""
    texts = set(cells.remove_unused_categories().categories)
    return pd.Index(sorted(texts | {b""} if (cells.codes < 0).any() else texts), dtype=object)


def _date_parts(frame: pd.DataFrame) -> np.ndarray:
    """Returns float64 `(rows, 4 * columns)`: of each date days since 1970, hour, weekday, month."""
    parts = []
    for name in frame:
        timestamps = pd.to_datetime(pd.to_numeric(frame[name]), unit="s")
        days = timestamps.astype("int64").where(timestamps.notna()) / 86_400e9
        parts += [days, timestamps.dt.hour, timestamps.dt.weekday, timestamps.dt.month]
    return np.stack(parts, axis=1).astype(float)
