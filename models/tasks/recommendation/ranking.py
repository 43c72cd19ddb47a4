"""Metrics of ranked items and predicted ratings, as plain functions and for TFMA.

An example is one thing that a user did; a model answers with the rank of its item, from 0, among the items that the
user did not have before, and with a rating.
"""

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

RANK, RATING = 0, 1  # columns of what `serving_default` answers


def recall(ranks: np.ndarray, top_k: int) -> np.ndarray:
    """Returns for each example 1 when its item is among the first `top_k`, else 0."""
    return (ranks < top_k).astype(float)


def ndcg(ranks: np.ndarray, top_k: int) -> np.ndarray:
    """Returns for each example its discounted gain, 1 / log2(rank + 2) among the first `top_k`, else 0.

    With one relevant item the ideal gain is 1 (Jarvelin and Kekalainen, ACM TOIS 20, 2002).
    """
    return recall(ranks, top_k) / np.log2(ranks + 2)


class _Mean(beam.CombineFn):
    """The mean of a function of label and answer, and its square root where asked for."""

    def __init__(self, key: metric_types.MetricKey, eval_config, function, root: bool):
        self._key, self._eval_config, self._function, self._root = key, eval_config, function, root

    def create_accumulator(self) -> np.ndarray:
        return np.zeros(2)

    def add_input(self, accumulator: np.ndarray, element) -> np.ndarray:
        pairs = metric_util.to_label_prediction_example_weight(
            element, eval_config=self._eval_config, model_name=self._key.model_name, flatten=False
        )
        for label, answer, _ in pairs:
            accumulator += float(self._function(label, answer)), 1.0
        return accumulator

    def merge_accumulators(self, accumulators) -> np.ndarray:
        return np.sum(list(accumulators), axis=0)

    def extract_output(self, accumulator: np.ndarray) -> dict:
        mean = accumulator[0] / accumulator[1] if accumulator[1] else float("nan")
        return {self._key: float(np.sqrt(mean)) if self._root else float(mean)}


def _computations(name: str, function, root: bool = False, eval_config=None, model_name: str = "", **_):
    key = metric_types.MetricKey(name=name, model_name=model_name)
    combiner = _Mean(key, eval_config, function, root)
    return [metric_types.MetricComputation(keys=[key], preprocessors=None, combiner=combiner)]


class Recall(metric_types.Metric):
    """TFMA metric: share of examples whose item is among the first `top_k`."""

    def __init__(self, top_k: int, name: str):
        make = metric_util.merge_per_key_computations(_computations)
        super().__init__(make, function=lambda _, answer: recall(answer[RANK], top_k), top_k=top_k, name=name)


class Ndcg(metric_types.Metric):
    """TFMA metric: mean discounted gain of the first `top_k`."""

    def __init__(self, top_k: int, name: str):
        make = metric_util.merge_per_key_computations(_computations)
        super().__init__(make, function=lambda _, answer: ndcg(answer[RANK], top_k), top_k=top_k, name=name)


class RatingRmse(metric_types.Metric):
    """TFMA metric: root mean squared error of ratings."""

    def __init__(self, name: str = "rating_rmse"):
        make = metric_util.merge_per_key_computations(_computations)
        super().__init__(
            make, function=lambda label, answer: (label.item() - answer[RATING]) ** 2, root=True, name=name
        )


for _metric in (Recall, Ndcg, RatingRmse):
    metric_types.register_metric(_metric)
