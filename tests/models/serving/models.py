"""SavedModels that are made in a second, with all kinds of signatures."""

from pathlib import Path

import numpy as np
import tensorflow as tf


class Tiny(tf.Module):
    """A model whose predictions can be worked out by hand.

    Args:
        bias: What `serving_default` adds to its input.
    """

    def __init__(self, bias: float = 0.5):
        super().__init__(name="tiny")
        self.bias = tf.Variable(bias, name="bias")

    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, name="x")])
    def plus(self, x):
        return {"y": x + self.bias}

    @tf.function(
        input_signature=[tf.TensorSpec((None,), tf.float32, name="a"), tf.TensorSpec((None,), tf.int32, name="b")]
    )
    def two(self, a, b):
        return {"sum": a + tf.cast(b, tf.float32), "whole": b}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
    def strings(self, text):
        return {"upper": tf.strings.upper(text), "raw_bytes": text}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="text")])
    def judge(self, text):
        """Returns the score 0.75 for `good` for every text."""
        rows = [tf.size(text), 1]
        return {"classes": tf.tile([["bad", "good"]], rows), "scores": tf.tile([[0.25, 0.75]], rows)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def classify(self, inputs):
        score = tf.io.parse_example(inputs, {"v": tf.io.FixedLenFeature((), tf.float32)})["v"]
        classes = tf.tile(tf.constant([["no", "yes"]]), [tf.size(score), 1])
        return {"classes": classes, "scores": tf.stack([1 - score, score], axis=1)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def regress(self, inputs):
        return {"outputs": 2 * tf.io.parse_example(inputs, {"v": tf.io.FixedLenFeature((), tf.float32)})["v"]}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, name="x")])
    def total(self, x):
        return {"total": tf.reduce_sum(x)}


class Spinning(tf.Module):
    """A model that runs for as many steps as its input says."""

    @tf.function(input_signature=[tf.TensorSpec((), tf.int32, name="steps")])
    def spin(self, steps):
        return {"n": tf.while_loop(lambda i: i < steps, lambda i: (i + 1,), [0])[0]}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def classify(self, inputs):
        steps = tf.io.parse_example(inputs, {"v": tf.io.FixedLenFeature((), tf.float32)})["v"]
        num_steps = self.spin(tf.cast(tf.reduce_max(steps), tf.int32))["n"]
        return {"scores": tf.fill([tf.size(steps), 1], tf.cast(num_steps, tf.float32))}


def save_spinning(folder: Path) -> Path:
    """Writes the SavedModel to `folder` and returns it."""
    model = Spinning(name="spinning")
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.spin, "classify": model.classify})
    return folder


class Compiled(tf.Module):
    """A model that requires XLA."""

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, name="x")], jit_compile=True)
    def double(self, x):
        return {"y": 2 * x}


def save_compiled(folder: Path) -> Path:
    """Writes the SavedModel to `folder` and returns it."""
    model = Compiled(name="compiled")
    tf.saved_model.save(model, str(folder), signatures={"serving_default": model.double})
    return folder


def save(folder: Path, bias: float = 0.5) -> Path:
    """Writes the SavedModel to `folder` and returns it."""
    model = Tiny(bias)
    signatures = {
        "serving_default": model.plus,
        "two": model.two,
        "strings": model.strings,
        "judge": model.judge,
        "classify": model.classify,
        "regress": model.regress,
        "total": model.total,
    }
    tf.saved_model.save(model, str(folder), signatures=signatures)
    return folder


def request(name: str, signature: str = "", **inputs):
    """Returns a PredictRequest; arrays by alias."""
    from tensorflow_serving.apis import predict_pb2

    message = predict_pb2.PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = name, signature
    for alias, value in inputs.items():
        message.inputs[alias].CopyFrom(tf.make_tensor_proto(np.asarray(value)))
    return message


def example(**features: float) -> tf.train.Example:
    """Returns an Example of float features."""
    return tf.train.Example(
        features=tf.train.Features(
            feature={key: tf.train.Feature(float_list=tf.train.FloatList(value=[v])) for key, v in features.items()}
        )
    )
