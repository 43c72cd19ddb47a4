import numpy as np
import pandas as pd
import pytest

from models.evaluation.metrics import RATING_RMSE, ndcg_at, recall_at
from models.tasks.recommendation import reference


def test_recall_and_ndcg_by_hand():
    # Ranks 0, 2 and 10: the last is not among the first ten. 1 / log2(2) and 1 / log2(4).
    answers = np.array([[0, 4.0], [2, 3.0], [10, 5.0]])
    metrics = (recall_at(10), ndcg_at(10), RATING_RMSE)
    found = {metric.name: metric.value(np.array([4.0, 4.0, 5.0]), answers) for metric in metrics}

    assert found["recall_at_10"] == pytest.approx(2 / 3)
    assert found["ndcg_at_10"] == pytest.approx(1.5 / 3)
    assert found["rating_rmse"] == pytest.approx((1 / 3) ** 0.5)


def test_popularity_ranks_what_a_user_did_not_have():
    frame = pd.DataFrame({"user": [b"a", b"a", b"b", b"b", b"c"], "item": [b"x", b"y", b"x", b"z", b"x"]})
    ranker = reference.candidates("user", "item")["popularity"].estimator.fit(frame, pd.Series([4.0, 2, 4, 2, 4]))

    asked = pd.DataFrame({"user": [b"a", b"c", b"new", b"a"], "item": [b"z", b"z", b"x", b"unheard of"]})
    ranks, ratings = ranker.predict(asked).T

    # a had x and y: z is first. c had x: y and z tie. Nobody new had anything: x is first. Unheard of comes last.
    assert ranks.tolist() == [0, 0, 0, np.inf]
    assert ratings[2] > ratings[0]


def test_what_a_user_had_before_is_ranked_by_its_score_among_what_they_did_not_have():
    # x was had three times, z twice, y and w once. a had x and y: they are ranked beside z and w.
    frame = pd.DataFrame({"user": list("aabbccd"), "item": list("xyxzxzw")})
    ranker = reference.candidates("user", "item")["popularity"].estimator.fit(frame, pd.Series([3.0] * 7))

    ranks, _ = ranker.predict(pd.DataFrame({"user": list("aaaa"), "item": list("xzyw")})).T

    assert ranks.tolist() == [0, 0, 1, 1]


@pytest.mark.slow
def test_the_index_knows_what_each_user_had_and_what_last():
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
