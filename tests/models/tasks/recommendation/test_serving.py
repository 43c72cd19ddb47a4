"""Recommendations of a published model."""

import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recommended(tmp_path_factory):
    """A trained job, and titles and scores recommended to a known user, a new user and an empty name."""
    import tensorflow as tf

    from models.training.trainer import train
    from tests.models import tiny

    job = tiny.job(tmp_path_factory.mktemp("recommendation"), "recommendation", epochs=2)
    train(job)
    recommend = tf.saved_model.load(job.model_folder).signatures["recommend"]
    recommendations = recommend(user_id=tf.constant(["u1", "a stranger", ""]))
    return (
        job,
        [[title.decode() for title in row] for row in recommendations["titles"].numpy()],
        recommendations["scores"].numpy(),
    )


def test_a_new_user_gets_the_most_popular_items(recommended):
    from tests.models.tiny import NUM_ROWS, rows_of

    _, titles, scores = recommended
    counts: dict[str, int] = {}
    for row in rows_of("recommendation", NUM_ROWS["train"], 0):
        counts[row["item"]] = counts.get(row["item"], 0) + 1

    assert [counts[title] for title in titles[1]] == sorted(counts.values(), reverse=True)[:3]
    assert titles[1] == titles[2]
    np.testing.assert_allclose(scores[1], np.log1p([counts[title] for title in titles[1]]), rtol=1e-5)


def test_network_and_reference_models_rank_a_seen_item_among_the_users_new_items(recommended):
    import pandas as pd
    import tensorflow as tf

    from data.examples import encode
    from tests.models.tiny import NUM_ROWS, rows_of

    job, _, _ = recommended
    rows = rows_of("recommendation", NUM_ROWS["train"], 0)
    films = sorted({row["item"] for row in rows})
    new_rows = [{"inputs": "u1", "item": film, "kind": "light", "user": 3.0} for film in films]
    is_seen = np.isin(films, [row["item"] for row in rows if row["inputs"] == "u1"])
    served = tf.saved_model.load(job.model_folder).signatures["serving_default"]
    network = served(tf.constant([encode(row, job.spec, targets=False) for row in new_rows]))["outputs"].numpy()[:, 0]
    frames = [pd.DataFrame(rows_)[["inputs", "item", "user"]].map(str) for rows_ in (rows, new_rows)]
    ratings = frames[0].pop("user").astype(float)

    for name, candidate in job.task.classical(job.config, job.spec).items():
        reference = candidate.estimator.fit(frames[0], ratings).predict(frames[1])[:, 0]
        for ranks in (network, reference):
            assert (ranks <= (~is_seen).sum()).all(), name
        # Some seen item is ranked before some new one.
        assert reference[is_seen].min() < (~is_seen).sum(), name
    assert network[is_seen].min() < (~is_seen).sum()


def test_seen_items_are_not_recommended(recommended):
    from tests.models.tiny import NUM_ROWS, rows_of

    _, titles, scores = recommended
    seen_items = {row["item"] for row in rows_of("recommendation", NUM_ROWS["train"], 0) if row["inputs"] == "u1"}

    recommended_titles = [title for title in titles[0] if title]
    assert [bool(title) for title in titles[0]] == (scores[0] > -1e8).tolist()
    assert not seen_items & set(recommended_titles)
    assert len(seen_items) + len(recommended_titles) >= 8 or len(recommended_titles) == 3  # there are eight films
