"""Homes whose data changes after a version was published."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from components import predictions
from components.example_gen import split_files, write_splits
from components.live_model.comparable import LiveModel
from components.live_model.shared_rows import DataSource, SharedRows, prepare_shared_rows
from data import examples as codec
from data import loading
from data.checks.rows import RowChecks
from data.config import DataConfig
from data.spec import DatasetSpec
from models import registry
from models.serving.rollout.versions import publish

COLUMNS = ["size", "weight", "kind"]
LABEL = {"kind": "label", "classes": ["cat", "dog"]}
BEFORE = {
    "files": "rows.csv",
    "features": {"size": "number", "weight": "number", "kind": LABEL},
    "splits": {"validation": 0.2, "test": 0.3},
}


def synthetic_rows(count: int = 60, kinds: tuple[str, ...] = ("cat", "dog")) -> list[dict]:
    """Returns rows with distinct weights, whose whole part is the index of the kind."""
    return [{"size": i, "weight": i % len(kinds) + i / 1000, "kind": kinds[i % len(kinds)]} for i in range(count)]


def write_model(spec: DatasetSpec, folder: Path) -> Path:
    """Writes a SavedModel that takes the stored inputs of a data set; its class is the weight, or the brightness."""
    dtypes = {"float": tf.float32, "int": tf.int64, "bytes": tf.string}
    parsers = {
        name: tf.io.FixedLenFeature((), dtypes[feature.stored], -1.0 if feature.optional else None)
        for name, feature in spec.features.items()
        if not feature.target
    }
    num_classes = len(spec.only(type(spec.features[spec.targets()[0]]))[1].classes)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def serving_default(inputs):
        parsed = tf.io.parse_example(inputs, parsers)
        if "image" in parsed:
            feature = spec.features["image"]
            pixels = tf.reshape(
                tf.io.decode_raw(parsed["image"], tf.uint8), (-1, feature.height * feature.width * feature.channels)
            )
            class_index = tf.cast(tf.reduce_mean(tf.cast(pixels, tf.float32), axis=1) > 100, tf.int64)
        else:
            class_index = tf.cast(parsed["weight"], tf.int64)
        return {"scores": 0.8 * tf.one_hot(class_index, num_classes) + 0.2 / num_classes}

    module = tf.Module()
    module.serving_default = serving_default
    tf.saved_model.save(module, str(folder), signatures={"serving_default": serving_default})
    return folder


class Home:
    """A folder with a data file, a live version, and a candidate's examples."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.task = registry.task("tabular_classification")

    def load(self, settings: dict):
        """Returns the parsed settings and the data set."""
        config = DataConfig.model_validate(settings)
        return config, loading.load(config, "animals", self.folder)

    def publish(self, settings: dict, task: str = "tabular_classification") -> LiveModel:
        """Publishes a model with the features of these settings as its inputs."""
        config, dataset = self.load(settings)
        manifest = {"task": task, "spec": dataset.spec.model_dump(mode="json"), "split": dataset.rule()}
        manifest["data"] = {"missing_values": list(config.missing_values)}
        manifest["evaluation"] = {"data_digest": "", "definition": {}, "slices": {}}
        publish(write_model(dataset.spec, self.folder / "model"), self.folder / "serving", manifest)
        live = LiveModel.of(self.folder / "serving")
        assert live
        return live

    def shared_rows(self, live: LiveModel, settings: dict, move_data: Callable[[], Path] | None = None):
        """Returns the shared rows, the stored rows of the test split, and the candidate's spec.

        `move_data` is called after the rows are stored; it returns the folder in which the data is read from then on.
        """
        config, dataset = self.load(settings)
        examples = self.folder / "examples"
        checks = RowChecks(config.row_checks, dataset.spec)
        write_splits(loading.open_batches(dataset, config), dataset.spec, examples, checks)
        digest = dataset.digest()
        source = DataSource(config, "animals", move_data() if move_data else self.folder, digest)
        scratch = self.folder / "scratch"
        shared_rows = prepare_shared_rows(
            live, source, examples_uri=str(examples), spec=dataset.spec, task=self.task, scratch=scratch
        )
        files = sorted(str(path) for path in (examples / "Split-test").glob("*"))
        return shared_rows, codec.read_rows(files, dataset.spec, 1000), dataset.spec

    def predicted_classes(self, shared_rows: SharedRows) -> np.ndarray:
        """Returns the classes that the live version predicts, as indices of the candidate's classes."""
        files = split_files(shared_rows.live_examples, "test")
        batches = predictions.predict_batches(shared_rows.saved_model, files, self.task)
        return np.concatenate([scores for _, scores, _ in batches]).argmax(axis=1)


def changed(features: dict | None = None, **settings) -> dict:
    """Returns the settings `BEFORE` with other features, or other settings."""
    return {**BEFORE, **settings, "features": features or BEFORE["features"]}
