"""Reference models for texts: hashed n-grams of words and of characters, and a linear model."""

import functools

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
from models.tasks.reference import Candidate, affordable, constants, num_classes
from models.tasks.text_classification.config import UNSPACED

NUM_FEATURES = 2**18
# Weights of a linear model, features times classes: its solver keeps some twenty copies of 8 bytes each.
MAX_WEIGHTS = 8_000_000
WORD = rf"[{UNSPACED}]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}_]--[{UNSPACED}]]+"
# Limits for n-grams of characters, several times as many as words: rows times classes, rows, characters of a text.
CHARACTER_WORK, CHARACTER_ROWS, CHARACTERS = 200_000, 20_000, 1_000


def candidates(spec: DatasetSpec) -> dict[str, Candidate]:
    """Returns constants, naive Bayes on words, and logistic regression on words and on parts of words."""
    name, _ = spec.only(TextFeature)
    classes = num_classes(spec)
    rows, iterations = affordable(2_000_000, classes), affordable(50_000, classes, least=100, most=500)
    character_rows = affordable(CHARACTER_WORK, classes, least=2_000, most=CHARACTER_ROWS)

    def linear():
        return TfidfTransformer(sublinear_tf=True), _SeenColumns(), LogisticRegression(C=10.0, max_iter=iterations)

    def on_ngrams(analyzer: str, lengths: tuple[int, int], *rest, characters: int | None = None):
        ngrams = HashingVectorizer(
            n_features=_num_features(classes),
            analyzer=analyzer,
            ngram_range=lengths,
            alternate_sign=False,
            norm=None,
            tokenizer=_words if analyzer == "word" else None,
            token_pattern=None,
        )
        texts = FunctionTransformer(_texts, kw_args={"name": name, "characters": characters})
        return make_pipeline(texts, ngrams, *rest)

    words, pairs = "hashed words", "hashed words and pairs of words, weighted by how rare they are"
    parts = f"hashed runs of 2 to 4 characters within words of the first {CHARACTERS:,} characters, weighted likewise"
    on_characters = on_ngrams("char_wb", (2, 4), *linear(), characters=CHARACTERS)
    return {
        **constants(spec, rows),
        "naive_bayes": Candidate(on_ngrams("word", (1, 1), _SeenColumns(), MultinomialNB()), words, rows),
        "logistic_regression": Candidate(on_ngrams("word", (1, 2), *linear()), pairs, rows),
        "character_logistic_regression": Candidate(on_characters, parts, character_rows),
    }


def _num_features(classes: int) -> int:
    """Returns the number of features that n-grams are hashed to, a power of two; fewer for very many classes."""
    return min(NUM_FEATURES, 1 << (MAX_WEIGHTS // classes).bit_length() - 1)


@functools.cache
def _pattern():
    import regex  # unlike re it has classes for scripts and for combining marks

    return regex.compile(WORD, regex.VERSION1)


def _words(text: str) -> list[str]:
    """Returns the words of a text in any script, without punctuation."""
    return _pattern().findall(text)


class _SeenColumns(TransformerMixin, BaseEstimator):
    """Selects the columns that occur in training rows: models of many classes store each column for each class.

    Of 500 texts in 20 classes logistic regression on all 2**18 columns takes 25 s and 1.4 GiB.
    """

    def fit(self, matrix: csr_matrix, _targets=None) -> "_SeenColumns":
        self.columns_ = np.union1d([0], matrix.indices)  # at least one, where all texts are empty
        return self

    def transform(self, matrix: csr_matrix) -> csr_matrix:
        return matrix[:, self.columns_]


def _texts(frame: pd.DataFrame, name: str, characters: int | None) -> list[str]:
    """Returns the texts of stored bytes, cut after `characters` characters; None for no limit."""
    return ["" if cell is None else cell.decode("utf-8", errors="replace")[:characters] for cell in frame[name]]
