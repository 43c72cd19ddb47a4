"""What a published model recommends."""

import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def recommended(tmp_path_factory):
    """A trained job, and what its model recommends to somebody known, to somebody new and to nobody."""
    import tensorflow as tf

    from models.training.trainer import train
    from tests.models.tiny import job

    made = job(tmp_path_factory.mktemp("recommendation"), "recommendation", epochs=2)
    train(made)
    recommend = tf.saved_model.load(made.model_folder).signatures["recommend"]
    answer = recommend(user_id=tf.constant(["u1", "a stranger", ""]))
    return made, [[title.decode() for title in row] for row in answer["titles"].numpy()], answer["scores"].numpy()


def test_somebody_new_gets_what_is_popular(recommended):
    from tests.models.tiny import NUM_ROWS, rows_of

    _, titles, scores = recommended
    counts: dict[str, int] = {}
    for row in rows_of("recommendation", NUM_ROWS["train"], 0):
        counts[row["item"]] = counts.get(row["item"], 0) + 1

    assert [counts[title] for title in titles[1]] == sorted(counts.values(), reverse=True)[:3]
    assert titles[1] == titles[2]
    np.testing.assert_allclose(scores[1], np.log1p([counts[title] for title in titles[1]]), rtol=1e-5)


def test_what_a_user_had_before_is_ranked_among_what_they_did_not_have_by_network_and_reference_alike(recommended):
    import pandas as pd
    import tensorflow as tf

    from data.examples import encode
    from tests.models.tiny import NUM_ROWS, rows_of

    made, _, _ = recommended
    rows = rows_of("recommendation", NUM_ROWS["train"], 0)
    films = sorted({row["item"] for row in rows})
    asked = [{"inputs": "u1", "item": film, "kind": "light", "user": 3.0} for film in films]
    had = np.isin(films, [row["item"] for row in rows if row["inputs"] == "u1"])
    served = tf.saved_model.load(made.model_folder).signatures["serving_default"]
    network = served(tf.constant([encode(row, made.spec, targets=False) for row in asked]))["outputs"].numpy()[:, 0]
    frames = [pd.DataFrame(one)[["inputs", "item", "user"]].map(str) for one in (rows, asked)]
    ratings = frames[0].pop("user").astype(float)

    for name, candidate in made.task.classical(made.config, made.spec).items():
        reference = candidate.estimator.fit(frames[0], ratings).predict(frames[1])[:, 0]
        for ranks in (network, reference):
            assert (ranks <= (~had).sum()).all(), name
        # Not all that was had is behind all that was not.
        assert reference[had].min() < (~had).sum(), name
    assert network[had].min() < (~had).sum()


def test_nobody_is_recommended_what_they_had(recommended):
    from tests.models.tiny import NUM_ROWS, rows_of

    _, titles, scores = recommended
    had = {row["item"] for row in rows_of("recommendation", NUM_ROWS["train"], 0) if row["inputs"] == "u1"}

    offered = [title for title in titles[0] if title]
    assert [bool(title) for title in titles[0]] == (scores[0] > -1e8).tolist()
    assert not had & set(offered)
    assert len(had) + len(offered) >= 8 or len(offered) == 3  # there are eight films
