import numpy as np
import pandas as pd
import pytest

from models.evaluation.metrics import RATING_RMSE, ndcg_at, recall_at
from models.tasks.recommendation import reference


def test_recall_and_ndcg_by_hand():
    # Ranks 0, 2 and 10: the last is not among the first ten. 1 / log2(2) and 1 / log2(4).
    predictions = np.array([[0, 4.0], [2, 3.0], [10, 5.0]])
    metrics = (recall_at(10), ndcg_at(10), RATING_RMSE)
    values = {metric.name: metric.value(np.array([4.0, 4.0, 5.0]), predictions) for metric in metrics}

    assert values["recall_at_10"] == pytest.approx(2 / 3)
    assert values["ndcg_at_10"] == pytest.approx(1.5 / 3)
    assert values["rating_rmse"] == pytest.approx((1 / 3) ** 0.5)


def test_popularity_ranks_an_item_among_the_users_new_items():
    frame = pd.DataFrame({"user": [b"a", b"a", b"b", b"b", b"c"], "item": [b"x", b"y", b"x", b"z", b"x"]})
    ranker = reference.candidates("user", "item")["popularity"].estimator.fit(frame, pd.Series([4.0, 2, 4, 2, 4]))

    new_rows = pd.DataFrame({"user": [b"a", b"c", b"new", b"a"], "item": [b"z", b"z", b"x", b"unheard of"]})
    ranks, ratings = ranker.predict(new_rows).T

    # a had x and y: z is first. c had x: y and z tie. Nobody new had anything: x is first. Unheard of comes last.
    assert ranks.tolist() == [0, 0, 0, np.inf]
    assert ratings[2] > ratings[0]


def test_a_seen_item_is_ranked_by_its_score_among_the_users_new_items():
    # x was had three times, z twice, y and w once. a had x and y: they are ranked beside z and w.
    frame = pd.DataFrame({"user": list("aabbccd"), "item": list("xyxzxzw")})
    ranker = reference.candidates("user", "item")["popularity"].estimator.fit(frame, pd.Series([3.0] * 7))

    ranks, _ = ranker.predict(pd.DataFrame({"user": list("aaaa"), "item": list("xzyw")})).T

    assert ranks.tolist() == [0, 0, 1, 1]


@pytest.mark.slow
def test_the_index_has_all_and_the_recent_items_of_each_user():
    import keras
    import tensorflow as tf

    from models.tasks.recommendation.config import RecommendationConfig
    from models.tasks.recommendation.network import CANDIDATE, RATING, RECENT, USER, TwoTower, prepare

    layer = TwoTower(RecommendationConfig(max_users=2, max_items=4, max_recent=2))
    features = {
        USER: tf.constant([1, 1, 2, 0], tf.int64),
        RECENT: tf.constant([[0, 0], [3, 0], [0, 0], [0, 0]], tf.int64),
        CANDIDATE: tf.constant([3, 4, 3, 1], tf.int64),
    }

    prepare(layer, [(features, {RATING: tf.constant([1.0, 2.0, 3.0, 4.0])})])

    assert keras.ops.convert_to_numpy(layer.popularity).tolist() == [0, 1, 0, 2, 1]
    assert float(layer.mean_rating) == 2.5
    assert layer.index.recent.tolist() == [[0, 0], [4, 3], [3, 0]]
    seen, begins = layer.index.seen, layer.index.begins
    assert [seen[begins[user] : begins[user + 1]].tolist() for user in range(3)] == [[], [3, 4], [3]]
