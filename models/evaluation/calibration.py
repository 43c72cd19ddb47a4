"""Expected calibration error, a metric that TFMA lacks."""

import math

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types, metric_util

NUM_BINS = 15


def expected_calibration_error(confidences: np.ndarray, correct: np.ndarray, num_bins: int = NUM_BINS) -> float:
    """Returns the mean distance between confidence and accuracy over equally wide bins, weighted by their size.

    Method: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.

    Args:
        confidences: float `(examples,)` in [0, 1], the probability of the predicted class.
        correct: bool `(examples,)`, whether the predicted class was right.
        num_bins: Number of bins.

    Returns:
        A value in [0, 1]; 0 is perfectly calibrated. NaN without examples.
    """
    return _from_sums(_sums(confidences, correct, num_bins))


def _sums(confidences: np.ndarray, correct: np.ndarray, num_bins: int) -> np.ndarray:
    """Returns float64 `(3, bins)`: number of examples, sum of confidences, number correct."""
    sums = np.zeros((3, num_bins))
    for confidence, hit in zip(confidences, correct, strict=True):
        _add(sums, float(confidence), bool(hit))
    return sums


def _add(sums: np.ndarray, confidence: float, hit: bool) -> None:
    """Counts one example in; bins are open below and closed above, as in the paper."""
    num_bins = sums.shape[1]
    index = min(max(math.ceil(confidence * num_bins) - 1, 0), num_bins - 1)
    sums[0, index] += 1
    sums[1, index] += confidence
    sums[2, index] += hit


def _from_sums(sums: np.ndarray) -> float:
    count, confidence, correct = sums
    total = count.sum()
    return float(np.abs(confidence - correct).sum() / total) if total else float("nan")


class _Combiner(beam.CombineFn):
    def __init__(self, key: metric_types.MetricKey, eval_config):
        self._key = key
        self._eval_config = eval_config

    def create_accumulator(self) -> np.ndarray:
        return np.zeros((3, NUM_BINS))

    def add_input(self, accumulator: np.ndarray, element) -> np.ndarray:
        pairs = metric_util.to_label_prediction_example_weight(
            element,
            eval_config=self._eval_config,
            model_name=self._key.model_name,
            output_name=self._key.output_name,
            flatten=False,
        )
        for label, scores, _ in pairs:
            best = int(scores.argmax())
            _add(accumulator, float(scores[best]), best == int(label.item()))
        return accumulator

    def merge_accumulators(self, accumulators) -> np.ndarray:
        return np.sum(list(accumulators), axis=0)

    def extract_output(self, accumulator: np.ndarray) -> dict:
        return {self._key: _from_sums(accumulator)}


def _computations(
    name: str, eval_config=None, model_name: str = "", output_name: str = "", sub_key=None, **_
) -> list[metric_types.MetricComputation]:
    key = metric_types.MetricKey(name=name, model_name=model_name, output_name=output_name, sub_key=sub_key)
    return [metric_types.MetricComputation(keys=[key], preprocessors=None, combiner=_Combiner(key, eval_config))]


class ExpectedCalibrationError(metric_types.Metric):
    """TFMA metric of class probabilities and integer labels; see `expected_calibration_error`."""

    def __init__(self, name: str = "expected_calibration_error"):
        super().__init__(metric_util.merge_per_key_computations(_computations), name=name)


metric_types.register_metric(ExpectedCalibrationError)
