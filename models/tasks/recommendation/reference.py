"""Reference models for recommendation: popularity, and matrix factorization."""

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.decomposition import TruncatedSVD

from models.tasks.reference import Candidate

FACTORS = 32  # of 8, 16, 32 and 64 the best on MovieLens
SHRINKAGE = 5.0  # number of ratings at the mean that is added to every item and user


def candidates(user_key: str, item_key: str) -> dict[str, Candidate]:
    """Returns popularity with mean ratings, and matrix factorization of the interactions."""
    return {
        "popularity": Candidate(
            _Ranker(user_key, item_key, 0), "how often each item was had; item means", trivial=True
        ),
        "matrix_factorization": Candidate(
            _Ranker(user_key, item_key, FACTORS), "none; ratings are means of item and user"
        ),
    }


class _Ranker(BaseEstimator):
    """Predicts the rank of a row's item among the items new to its user, and a rating, `(rows, 2)`.

    As the network does: an item that is not new to its user keeps its score, and is ranked among the new ones; an item
    that nobody had comes last.
    """

    def __init__(self, user_key: str, item_key: str, factors: int):
        self.user_key, self.item_key, self.factors = user_key, item_key, factors

    def fit(self, frame: pd.DataFrame, ratings: pd.Series) -> "_Ranker":
        users, items = frame[self.user_key], frame[self.item_key]
        self.users_ = pd.Index(users.unique())
        self.items_ = pd.Index(items.unique())
        rows, columns = self.users_.get_indexer(users), self.items_.get_indexer(items)
        self.had_ = csr_matrix((np.ones(len(frame)), (rows, columns)), (len(self.users_), len(self.items_)))
        self.popularity_ = np.asarray(self.had_.sum(axis=0))[0]
        if self.factors:
            factors = min(self.factors, *(size - 1 for size in self.had_.shape))
            self.factors_ = TruncatedSVD(factors, random_state=0).fit(self.had_)
        self.mean_ = float(ratings.mean())
        self.item_means_ = (ratings - self.mean_).groupby(columns).sum() / (np.bincount(columns) + SHRINKAGE)
        residuals = ratings - self.mean_ - self.item_means_.to_numpy()[columns]
        self.user_means_ = residuals.groupby(rows).sum() / (np.bincount(rows) + SHRINKAGE)
        return self

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        users = self.users_.get_indexer(frame[self.user_key])
        items = self.items_.get_indexer(frame[self.item_key])
        ranks = np.full(len(frame), np.inf)
        known_items = np.flatnonzero(items >= 0)
        for user, rows in pd.Series(known_items).groupby(users[known_items]):
            scores = self._scores(user)
            item_scores = scores[items[rows]]
            if user >= 0:
                scores[self.had_[user].indices] = -np.inf
            ranks[rows] = (scores > item_scores[:, None]).sum(axis=1)
        ratings = self.mean_ + np.where(items >= 0, self.item_means_.to_numpy()[items], 0.0)
        if self.factors:
            ratings = ratings + np.where(users >= 0, self.user_means_.to_numpy()[users], 0.0)
        return np.stack([ranks, ratings], axis=1)

    def _scores(self, user: int) -> np.ndarray:
        if not self.factors or user < 0:
            return self.popularity_.copy()
        return (self.factors_.transform(self.had_[user]) @ self.factors_.components_)[0]
