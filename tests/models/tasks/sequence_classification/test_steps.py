"""Steps: what the graph makes of ragged rows, and that padding changes no score."""

import numpy as np
import pytest

from data.spec import DatasetSpec, LabelFeature, SequenceFeature, TextFeature
from models.tasks.sequence_classification.config import SequenceClassificationConfig

pytestmark = pytest.mark.slow  # loads TensorFlow


def _spec(**settings) -> DatasetSpec:
    features = {"s": SequenceFeature(**settings), "y": LabelFeature(classes=("a", "b"))}
    return DatasetSpec(name="x", title="", licence="", features=features)


def _transformed(rows: list[list], feature: SequenceFeature, monkeypatch) -> dict[str, np.ndarray]:
    """Returns the steps of rows, with mean 1 and variance 4 in place of those that TFT finds in the training data."""
    import tensorflow as tf
    import tensorflow_transform as tft

    from models.tasks.sequence_classification import steps

    monkeypatch.setattr(tft, "mean", lambda values, reduce_instance_dims: tf.ones_like(values[0]))
    monkeypatch.setattr(tft, "var", lambda values, reduce_instance_dims: 4 * tf.ones_like(values[0]))
    values = tf.ragged.constant(rows, dtype=tf.float32).to_sparse()
    transformed = steps.transform(values, feature, SequenceClassificationConfig())
    return {name: value.numpy() for name, value in transformed.items()}


@pytest.mark.parametrize(("too_long", "kept"), [("first", [0, 1, 2]), ("last", [2, 3, 4]), ("refuse", [0, 1, 2])])
def test_rows_are_standardized_cut_and_padded_with_0(too_long, kept, monkeypatch):
    feature = SequenceFeature(max_length=3, too_long=too_long)

    transformed = _transformed([[1.0, 3, 5, 7, 9], [3.0], []], feature, monkeypatch)

    assert transformed["steps"][..., 0].tolist() == [kept, [1, 0, 0], [0, 0, 0]]
    assert transformed["num_steps"].tolist() == [3, 1, 0]


def test_several_numbers_a_step_stay_together(monkeypatch):
    feature = SequenceFeature(width=2, max_length=2, too_long="last")

    transformed = _transformed([[1.0, 3, 5, 7, 9, 11]], feature, monkeypatch)

    assert transformed["steps"].tolist() == [[[2, 3], [4, 5]]]
    assert transformed["num_steps"].tolist() == [2]


@pytest.mark.parametrize(
    ("network", "kind"),
    [("convolution", {"width": 2}), ("gru", {"width": 2}), ("transformer", {"width": 2}), ("gru", {"of": "category"})],
)
def test_padding_and_what_stands_in_it_change_no_score(network, kind):
    import keras

    from models.tasks.sequence_classification.task import build_model

    generator = np.random.default_rng(0)
    is_category = "of" in kind
    config = SequenceClassificationConfig(network=network, num_layers=2, units=8, vocabulary_size=9, num_heads=2)
    keras.utils.set_random_seed(1)
    long = build_model(config, _spec(max_length=12, **kind))
    short = build_model(config, _spec(max_length=5, **kind))
    for variable, other in zip(short.variables, long.variables, strict=True):
        variable.assign(other[: variable.shape[0]] if variable.shape else other)  # positions of the first steps
    shape = (3, 12) if is_category else (3, 12, 2)
    steps = generator.integers(0, 11, shape) if is_category else generator.normal(size=shape)
    num_steps = np.array([5, 2, 0])

    padding = np.arange(12) >= num_steps[:, None]
    changed = np.where(padding if is_category else padding[..., None], 3, steps)

    scores = long({"steps": steps, "num_steps": num_steps}).numpy()
    of_changed = long({"steps": changed, "num_steps": num_steps}).numpy()
    of_short = short({"steps": changed[:, :5], "num_steps": num_steps}).numpy()

    assert np.isfinite(scores).all()
    assert np.ptp(scores[:, 0]) > 1e-4  # the rows differ
    np.testing.assert_allclose(of_changed, scores, rtol=1e-5)
    np.testing.assert_allclose(of_short, scores, rtol=1e-5)


def test_a_rectangular_request_is_read_up_to_its_padding():
    import tensorflow as tf

    from models.tasks.sequence_classification import steps

    received = []

    def predict(raw):
        received.append(raw["s"])
        return {"values": tf.sparse.to_dense(raw["s"], default_value=-1.0)}

    numbers = steps.column_signature(predict, _spec(width=2))
    rows = [[[1, 2], [3, 4]], [[5, 6], [np.nan, np.nan]], [[np.nan] * 2] * 2]

    assert numbers(s=tf.constant(rows, tf.float32))["values"].numpy().tolist() == [
        [1, 2, 3, 4], [5, 6, -1, -1], [-1] * 4,
    ]  # fmt: skip
    assert all(isinstance(value, tf.SparseTensor) for value in received)


def test_statistics_of_a_row_are_those_of_numpy():
    import pandas as pd

    from models.tasks.sequence_classification.steps_reference import Counts, Statistics

    numbers = pd.DataFrame({"s": [np.array([1.0, 10, 3, 20, 5, 30]), np.array([])]})
    first, empty = Statistics("s", 2).transform(numbers)
    assert first[:15].tolist() == [3, 3, 20, np.std([1, 3, 5]), np.std([10, 20, 30]), 1, 10, 5, 30, 1, 10, 5, 30, 2, 10]
    assert first[-6:-4].tolist() == [3, 20]  # medians
    assert not empty.any()
    categories = pd.DataFrame({"s": [np.array([b"x", b"y", b"x"], object), np.array([], object)]})
    assert Counts("s").fit(categories).transform(categories).tolist() == [[3, 2, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("features", "settings", "words"),
    [
        ({"s": SequenceFeature()}, {"period": 1}, r"model\.period: it is a setting of letters, found steps as input"),
        ({"s": TextFeature()}, {"network": "gru"}, r"model\.network: it is a setting of steps, found letters as input"),
        ({"s": SequenceFeature(), "t": TextFeature()}, {}, "expected a sequence and a label, found s, t, y"),
        ({"s": TextFeature()}, {"input": "steps"}, "sequence"),
    ],
)
def test_settings_that_do_not_fit_the_input_are_refused(features, settings, words):
    spec = DatasetSpec(
        name="x", title="", licence="", features={**features, "y": LabelFeature(classes=("a", "b"))}
    )  # fmt: skip

    with pytest.raises(ValueError, match=words):
        SequenceClassificationConfig(**settings).check_features(spec)
