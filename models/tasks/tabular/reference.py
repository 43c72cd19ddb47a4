"""Classical models for tables: what a practitioner tries first."""

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from data.spec import BooleanFeature, CategoryFeature, DatasetSpec, DateFeature, NumberFeature
from models.tasks.reference import Candidate, constants

MAX_LEVELS = 254  # what gradient boosting takes of a category


def candidates(spec: DatasetSpec) -> dict[str, Candidate]:
    """Returns constant answers, the linear model and gradient boosted trees."""
    regression = not any(feature.kind == "label" for feature in spec.features.values())
    linear = Ridge() if regression else LogisticRegression(max_iter=1000)
    trees = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    # The mean has the least squared error, the median the least absolute one.
    means = {name: Candidate(DummyRegressor(strategy=name), "none", trivial=True) for name in ("mean", "median")}
    return {
        **(means if regression else constants(spec)),
        "ridge" if regression else "logistic_regression": Candidate(
            make_pipeline(_columns(spec, linear=True), linear),
            "medians for missing numbers and a flag, standardized; categories one-hot",
        ),
        "hist_gradient_boosting": Candidate(
            make_pipeline(_columns(spec, linear=False), trees(random_state=0, categorical_features=_ordinals(spec))),
            "categories as ordinals",
        ),
    }


def _columns(spec: DatasetSpec, *, linear: bool):
    """Returns the transformer from a frame of stored rows to a matrix, numbers first."""
    numbers, dates = list(spec.of(NumberFeature, BooleanFeature)), list(spec.of(DateFeature))
    categories = list(spec.of(CategoryFeature))
    if linear:
        of_numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
        of_categories = make_pipeline(
            FunctionTransformer(_texts), OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5)
        )
        of_dates = make_pipeline(FunctionTransformer(_moments), of_numbers)
    else:
        of_numbers = FunctionTransformer(_floats)
        of_categories = make_pipeline(
            FunctionTransformer(_texts),
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=MAX_LEVELS),
        )
        of_dates = FunctionTransformer(_moments)
    parts = [("numbers", of_numbers, numbers), ("dates", of_dates, dates), ("categories", of_categories, categories)]
    return ColumnTransformer([part for part in parts if part[2]])


def _ordinals(spec: DatasetSpec) -> list[int]:
    """Returns where the categories lie in the matrix of the trees."""
    begin = len(spec.of(NumberFeature, BooleanFeature)) + 4 * len(spec.of(DateFeature))
    return list(range(begin, begin + len(spec.of(CategoryFeature))))


def _floats(frame: pd.DataFrame) -> np.ndarray:
    return frame.to_numpy(float)


def _texts(frame: pd.DataFrame) -> np.ndarray:
    """Returns the cells as objects: in an array of fixed width each would take as many bytes as the longest."""
    return frame.astype(object).where(frame.notna(), b"").to_numpy(object)


def _moments(frame: pd.DataFrame) -> np.ndarray:
    """Returns of each moment the day since 1970, the hour, the weekday and the month."""
    parts = []
    for name in frame:
        moment = pd.to_datetime(pd.to_numeric(frame[name]), unit="s")
        days = moment.astype("int64").where(moment.notna()) / 86_400e9
        parts += [days, moment.dt.hour, moment.dt.weekday, moment.dt.month]
    return np.stack(parts, axis=1).astype(float)
