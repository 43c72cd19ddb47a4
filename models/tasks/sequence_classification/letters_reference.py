"""Reference models for sequences: counts of k-mers and a linear model."""

import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler

from data.spec import DatasetSpec, TextFeature
from models.tasks.reference import Candidate, affordable, constants, num_classes

LENGTHS = (3, 4)  # of the k-mers; on yeast's genes 5 and 6 were no better
MAX_WEIGHTS = 8_000_000  # k-mers times classes


def candidates(spec: DatasetSpec) -> dict[str, Candidate]:
    """Returns the most frequent class, and logistic regression on counts of k-mers of either length."""
    name, _ = spec.only(TextFeature)
    classes = num_classes(spec)
    rows, iterations = affordable(2_000_000, classes), affordable(30_000, classes, least=100, most=300)
    models = constants(spec, rows)
    for length in LENGTHS:
        estimator = make_pipeline(
            FunctionTransformer(_texts, kw_args={"name": name}),
            CountVectorizer(analyzer="char", ngram_range=(length, length), max_features=MAX_WEIGHTS // classes),
            MaxAbsScaler(),
            LogisticRegression(max_iter=iterations),
        )
        models[f"kmer_{length}_logistic_regression"] = Candidate(estimator, f"counts of all {length}-mers", rows)
    return models


def _texts(frame: pd.DataFrame, name: str) -> list[str]:
    return [cell.decode("utf-8", errors="replace") for cell in frame[name]]
