"""Classical models for texts: hashed n-grams of words and a linear model."""

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from data.spec import DatasetSpec, TextFeature
from models.tasks.reference import Candidate, constants

NUM_FEATURES = 2**18


def candidates(spec: DatasetSpec) -> dict[str, Candidate]:
    """Returns the most frequent class, naive Bayes on words, and logistic regression on words and pairs of words."""
    name, _ = spec.only(TextFeature)

    def on_ngrams(longest: int, *rest):
        ngrams = HashingVectorizer(
            n_features=NUM_FEATURES,
            ngram_range=(1, longest),
            alternate_sign=False,
            norm=None,
            token_pattern=r"(?u)\b\w+\b",
        )
        *weights, model = rest
        return make_pipeline(
            FunctionTransformer(_texts, kw_args={"name": name}), ngrams, *weights, _SeenColumns(), model
        )

    return {
        **constants(spec),
        "naive_bayes": Candidate(on_ngrams(1, MultinomialNB()), "hashed words"),
        "logistic_regression": Candidate(
            on_ngrams(2, TfidfTransformer(sublinear_tf=True), LogisticRegression(C=10.0, max_iter=500)),
            "hashed words and pairs of words, weighted by how rare they are",
        ),
    }


class _SeenColumns(TransformerMixin, BaseEstimator):
    """Keeps the columns that a training row has: models of many classes hold each column for each class several times.

    Of 500 texts in 20 classes logistic regression on all 2**18 columns takes 25 s and 1.4 GiB.
    """

    def fit(self, matrix: csr_matrix, _targets=None) -> "_SeenColumns":
        self.columns_ = np.union1d([0], matrix.indices)  # one at least, where all texts are empty
        return self

    def transform(self, matrix: csr_matrix) -> csr_matrix:
        return matrix[:, self.columns_]


def _texts(frame: pd.DataFrame, name: str) -> list[str]:
    return ["" if cell is None else cell.decode("utf-8", errors="replace") for cell in frame[name]]
