"""Two towers: a vector for a user and the items they had before, a vector for each item."""

from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from models.tasks.recommendation.config import RecommendationConfig

USER, RECENT, CANDIDATE = "user", "recent", "candidate"  # inputs: int64 `(batch,)`, `(batch, max_recent)`, `(batch,)`
SCORES, RATING = "item_scores", "rating"  # outputs and labels
NEVER = -1e9  # score of an index without an item


@dataclass
class Index:
    """The users' items in the training split, for requests that name a user only.

    Attributes:
        recent: int64 `(users, max_recent)`, the most recent items of each user, the last first.
        seen: int64 `(pairs,)`, all items of each user, user by user.
        begins: int64 `(users + 1,)`, offset of each user's first item in `seen`.
    """

    recent: np.ndarray
    seen: np.ndarray
    begins: np.ndarray


class TwoTower(keras.layers.Layer):
    """Returns `item_scores`, float32 `(batch, items)`, logits of a user's next item, and `rating`, `(batch, 1)`.

    Index 0 is an unknown user or item, and padding in `recent`. Scores are the product of the towers (Covington
    et al., "Deep Neural Networks for YouTube Recommendations", RecSys 2016) plus the logarithm of an item's
    popularity. A rating is the sum of the mean, a user's and an item's bias, and a product of vectors (Koren et al.,
    "Matrix Factorization Techniques for Recommender Systems", Computer 42, 2009).

    Attributes:
        popularity: Number of training rows of each item; set before training.
        mean_rating: Mean rating of the training split; set before training.
        index: For `recommend`; set before training.
    """

    def __init__(self, config: RecommendationConfig, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.config = config
        self.index: Index | None = None
        users, items, dim = config.max_users + 1, config.max_items + 1, config.embedding_dim
        small, zeros = keras.initializers.RandomNormal(stddev=0.05), "zeros"
        self.recent_dropout = keras.layers.Dropout(config.recent_dropout)
        self.user_dropout = keras.layers.Dropout(config.dropout)
        self.popularity = self.add_weight(shape=(items,), initializer=zeros, trainable=False, name="popularity")
        self.mean_rating = self.add_weight(shape=(), initializer=zeros, trainable=False, name="mean_rating")
        self.users = self.add_weight(shape=(users, dim), initializer=zeros, name="users")
        self.had = self.add_weight(shape=(items, dim), initializer=small, name="had")
        self.items = self.add_weight(shape=(items, dim), initializer=small, name="items")
        # One weight for each position in `recent`, as a logarithm; "paths" is its name in models trained before.
        self.recency = self.add_weight(shape=(config.max_recent,), initializer=zeros, name="paths")
        self.item_bias = self.add_weight(shape=(items,), initializer=zeros, name="item_bias")
        self.user_rating = self.add_weight(shape=(users,), initializer=zeros, name="user_rating")
        self.item_rating = self.add_weight(shape=(items,), initializer=zeros, name="item_rating")
        self.user_taste = self.add_weight(shape=(users, dim), initializer=zeros, name="user_taste")
        self.item_taste = self.add_weight(shape=(items, dim), initializer=small, name="item_taste")

    def call(self, inputs, training=None):
        """Returns scores of all items and the rating of the candidate."""
        user, candidate = inputs[USER], inputs[CANDIDATE]
        scores = self.score(user, inputs[RECENT], training)
        product = ops.sum(ops.take(self.user_taste, user, axis=0) * ops.take(self.item_taste, candidate, axis=0), -1)
        rating = self.mean_rating + ops.take(self.user_rating, user) + ops.take(self.item_rating, candidate) + product
        return {SCORES: scores, RATING: rating[:, None]}

    def score(self, user, recent, training=None):
        """Returns the logits of all items, `(batch, items)`; NEVER for those that nobody had."""
        weights = ops.cast(recent > 0, "float32") * ops.exp(self.recency)
        weights = self.recent_dropout(weights, training=training)[..., None]  # (batch, max_recent, 1)
        total = ops.sqrt(1.0 + ops.sum(weights, axis=1))
        recent_vector = ops.sum(ops.take(self.had, recent, axis=0) * weights, axis=1) / total  # (batch, dim)
        user_vector = self.user_dropout(recent_vector + ops.take(self.users, user, axis=0), training=training)
        logits = ops.matmul(user_vector, ops.transpose(self.items)) + self.item_bias + ops.log1p(self.popularity)
        return ops.where(self.popularity > 0, logits, NEVER)

    def compute_output_shape(self, input_shape):
        """Returns the shapes of both outputs."""
        batch = input_shape[USER][0]
        return {SCORES: (batch, self.config.max_items + 1), RATING: (batch, 1)}


def prepare(layer: TwoTower, batches) -> None:
    """Sets popularity, mean rating and index of a layer, in one pass over the training split.

    Args:
        layer: The layer.
        batches: `(features, labels)` of the training split in the order of the files, a user's rows in order of time.
    """
    config = layer.config
    recent = np.zeros((config.max_users + 1, config.max_recent), np.int64)
    popularity, pairs, ratings = np.zeros(config.max_items + 1), [], []
    for features, labels in batches:
        users, recent_items, items = (features[name].numpy() for name in (USER, RECENT, CANDIDATE))
        popularity += np.bincount(items, minlength=config.max_items + 1)
        pairs.append(np.stack([users, items]))
        ratings.append(labels[RATING].numpy())
        new_recent = np.concatenate([items[:, None], recent_items[:, :-1]], axis=1)
        recent[users] = new_recent  # of equal indices the last one is assigned, which is the latest
    recent[0] = popularity[0] = 0
    users, items = np.unique(np.concatenate(pairs, axis=1), axis=1)  # sorted by user
    items = items[users > 0]
    users = users[users > 0]  # unknown users share an index
    begins = np.searchsorted(users, np.arange(config.max_users + 2))
    layer.popularity.assign(popularity)
    layer.mean_rating.assign(np.concatenate(ratings).mean())
    layer.index = Index(recent, items, begins)
