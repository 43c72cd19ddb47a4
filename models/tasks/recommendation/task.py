"""Recommendation."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from data.examples import encode
from data.spec import DatasetSpec, Row, TargetFeature
from models.task import FileQuery, Task, Tensors
from models.tasks.optional import dense, sparse
from models.tasks.recommendation import network
from models.tasks.recommendation.config import RecommendationConfig
from models.tasks.recommendation.network import CANDIDATE, NEVER, RATING, RECENT, SCORES, USER, TwoTower

USERS, NUMBERS, TITLES = "users", "numbers", "titles"  # vocabularies
LAYER = "two_tower"


def preprocessing_fn(raw: Tensors, config: RecommendationConfig, spec: DatasetSpec) -> Tensors:
    """Returns user, recent items and item as indices, 0 for unknown, see `network`; the rating, float32 `(batch,)`."""
    rating_key, _ = spec.only(TargetFeature)
    user, title = dense(raw[config.user_key], ""), dense(raw[config.item_key], "")
    users = tft.vocabulary(user, top_k=config.max_users, vocab_filename=USERS)
    number = tf.strings.regex_replace(title, ".*#", "")  # the text after the last #, or all of it
    numbers = tft.vocabulary(number, top_k=config.max_items, vocab_filename=NUMBERS)
    titles = tft.vocabulary(title, top_k=config.max_items, vocab_filename=TITLES)
    candidate = tft.apply_vocabulary(number, numbers) + 1
    features = {
        USER: tft.apply_vocabulary(user, users) + 1,
        CANDIDATE: candidate,
        SCORES: candidate,
        RATING: raw[rating_key],
        TITLES: tft.apply_vocabulary(title, titles),  # so that the graph keeps the vocabulary
    }
    if config.recent_key:
        texts = tf.strings.split(dense(raw[config.recent_key], ""), "|")[:, : config.max_recent]
        recent_items = tft.apply_vocabulary(texts.to_tensor("", shape=(None, config.max_recent)), numbers) + 1
        features[RECENT] = recent_items
    else:
        features[RECENT] = tf.zeros((tf.shape(user)[0], config.max_recent), tf.int64)
    return features


def build_model(config: RecommendationConfig, spec: DatasetSpec) -> keras.Model:
    """Returns the two towers."""
    shapes = {USER: (), RECENT: (config.max_recent,), CANDIDATE: ()}
    inputs = {name: keras.Input(shape, dtype="int64", name=name) for name, shape in shapes.items()}
    return keras.Model(inputs, TwoTower(config, name=LAYER)(inputs), name="recommendation")


def prepare(model: keras.Model, batches, config: RecommendationConfig, spec: DatasetSpec) -> None:
    """Sets popularity, mean rating and the index of users' items."""
    network.prepare(model.get_layer(LAYER), batches)


def loss(config: RecommendationConfig, spec: DatasetSpec) -> dict:
    """Returns cross-entropy of the row's item, without unknown ones, and the squared error of the rating."""
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    return {SCORES: crossentropy, RATING: keras.losses.MeanSquaredError()}


def metrics(config: RecommendationConfig, spec: DatasetSpec) -> dict:
    """Returns the recall among all items, including those a user had before, and the error of ratings."""
    recall = keras.metrics.SparseTopKCategoricalAccuracy(config.top_k, name=f"recall_at_{config.top_k}")
    return {SCORES: [recall], RATING: [keras.metrics.RootMeanSquaredError(name="rmse")]}


def signatures(served, config: RecommendationConfig, spec: DatasetSpec) -> dict:
    """Returns `serving_default` (serialized tf.train.Example) and `recommend` (names of users).

    `serving_default` returns `outputs`, float32 `(batch, 2)`: the rank of the example's item, from 0, among the items
    new to its user, and the predicted rating. `recommend` returns `titles`, string, and `scores`, float32, both
    `(batch, top_k)`; unknown users get the most popular items.
    """
    layer = served.model.get_layer(LAYER)
    seen = tf.RaggedTensor.from_row_splits(layer.index.seen, layer.index.begins)
    recent, titles = tf.constant(layer.index.recent), tf.constant(_titles(served.vocabulary, config))

    def without_seen(scores: tf.Tensor, user: tf.Tensor) -> tf.Tensor:
        seen_items = tf.gather(seen, user)
        indices = tf.stack([seen_items.value_rowids(), seen_items.flat_values], axis=1)
        return tf.tensor_scatter_nd_update(scores, indices, tf.fill((tf.shape(indices)[0],), NEVER))

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")], autograph=False)
    def serving_default(inputs):
        features = served.features(served.parse(inputs))
        outputs = served.predict(features)
        user, candidate = features[USER], features[CANDIDATE]
        item_scores = tf.gather(outputs[SCORES], candidate, batch_dims=1)[:, None]
        better = tf.reduce_sum(tf.cast(without_seen(outputs[SCORES], user) > item_scores, tf.float32), axis=1)
        rank = tf.where(candidate > 0, better, tf.cast(tf.size(titles), tf.float32))
        return {"outputs": tf.stack([rank, outputs[RATING][:, 0]], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="user_id")], autograph=False)
    def recommend(user_id):
        users = sparse(user_id) if spec.features[config.user_key].optional else user_id
        user = served.features({config.user_key: users})[USER]
        scores = layer.score(user, tf.gather(recent, user), training=False)
        popular = tf.where(layer.popularity > 0, tf.math.log1p(layer.popularity), NEVER)
        scores = without_seen(tf.where((user > 0)[:, None], scores, popular), user)
        best = tf.math.top_k(scores, config.top_k)
        # A user who had nearly all items gets fewer than `top_k`, followed by empty titles.
        best_titles = tf.where(best.values > NEVER / 2, tf.gather(titles, best.indices), "")
        return {"titles": best_titles, "scores": best.values}

    return {"serving_default": serving_default, "recommend": recommend}


def embeddings(model, transform_folder: str, config: RecommendationConfig, spec: DatasetSpec) -> tuple:
    """Returns titles and vectors of the items of the training split."""
    (layer,) = (layer for layer in model.layers if isinstance(layer, TwoTower))
    indices = np.flatnonzero(np.asarray(layer.popularity) > 0)
    titles = _titles(tft.TFTransformOutput(transform_folder).vocabulary_by_name, config)
    return [titles[index].decode() for index in indices], np.asarray(layer.items)[indices]


def _titles(vocabulary, config: RecommendationConfig) -> list[bytes]:
    """Returns the title of each index, empty for an unknown item; `vocabulary` returns a vocabulary by its name."""
    by_number = {title.rsplit(b"#", 1)[-1]: title for title in vocabulary(TITLES)}
    known = [b"", *(by_number.get(number, number) for number in vocabulary(NUMBERS))]
    return known + [b""] * (config.max_items + 1 - len(known))


def queries(row: Row, config: RecommendationConfig, spec: DatasetSpec) -> dict:
    """Returns one row as an example, and its user's name."""
    example = encode(row, spec, targets=False)
    return {"serving_default": {"inputs": example}, "recommend": {"user_id": row.get(config.user_key, b"")}}


def inputs(config: RecommendationConfig, spec: DatasetSpec) -> dict:
    """Returns signature -> input -> feature that it takes."""
    return {"recommend": {"user_id": config.user_key}}


def describe_answer(answer: dict, row: Row, spec: DatasetSpec) -> str:
    """Returns the predicted and the true rating and the item's rank as text."""
    rating_key, _ = spec.only(TargetFeature)
    rank, rating = answer["outputs"]
    return f"a rating of {rating:.1f} (is {row[rating_key]:.1f}), its item ranked {rank + 1:,.0f}"


def example_error(targets: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Returns the rank of the row's item, from 0, float64 `(rows,)`."""
    return predictions[:, 0].astype(np.float64)


def classical(config: RecommendationConfig, spec: DatasetSpec) -> dict:
    """Returns the reference models."""
    from models.tasks.recommendation import reference as models

    return models.candidates(config.user_key, config.item_key)


TASK = Task(
    name="recommendation",
    config=RecommendationConfig,
    preprocessing_fn=preprocessing_fn,
    build_model=build_model,
    prepare=prepare,
    loss=loss,
    metrics=metrics,
    signatures=signatures,
    embeddings=embeddings,
    queries=queries,
    inputs=inputs,
    describe_answer=describe_answer,
    prediction_key="outputs",
    example_error=example_error,
    classical=classical,
    file_query=lambda config, spec: FileQuery(signature="recommend", input_key="user_id", kind="name", top_k=10),
    label_keys=(SCORES, RATING),
    serving_only=(TITLES,),
)
