"""Homes whose data changes after a version was published."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from components import predictions
from components.example_gen import split_files, write_splits
from components.live_model.comparable import LiveModel
from components.live_model.shared_rows import DataSource, prepare_shared_rows
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


def made_rows(count: int = 60, kinds: tuple[str, ...] = ("cat", "dog")) -> list[dict]:
    """Rows whose weight tells their kind, and is another in each."""
    return [{"size": i, "weight": i % len(kinds) + i / 1000, "kind": kinds[i % len(kinds)]} for i in range(count)]


def write_model(spec: DatasetSpec, folder: Path) -> Path:
    """Writes a SavedModel that takes a data set's inputs, each as it is stored, and goes by the weight alone."""
    kinds = {"float": tf.float32, "int": tf.int64, "bytes": tf.string}
    wanted = {
        name: tf.io.FixedLenFeature((), kinds[feature.stored], -1.0 if feature.optional else None)
        for name, feature in spec.features.items()
        if not feature.target
    }
    classes = len(spec.only(type(spec.features[spec.targets()[0]]))[1].classes)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def serving_default(inputs):
        parsed = tf.io.parse_example(inputs, wanted)
        if "image" in parsed:
            feature = spec.features["image"]
            pixels = tf.reshape(
                tf.io.decode_raw(parsed["image"], tf.uint8), (-1, feature.height * feature.width * feature.channels)
            )
            likeliest = tf.cast(tf.reduce_mean(tf.cast(pixels, tf.float32), axis=1) > 100, tf.int64)
        else:
            likeliest = tf.cast(parsed["weight"], tf.int64)
        return {"scores": 0.8 * tf.one_hot(likeliest, classes) + 0.2 / classes}

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
        """Returns settings and data set."""
        config = DataConfig.model_validate(settings)
        return config, loading.load(config, "animals", self.folder)

    def publish(self, settings: dict, task: str = "tabular_classification") -> LiveModel:
        """Publishes a model that takes what these settings name."""
        config, dataset = self.load(settings)
        facts = {"task": task, "spec": dataset.spec.model_dump(mode="json"), "split": dataset.rule()}
        facts["data"] = {"missing_values": list(config.missing_values)}
        facts["evaluation"] = {"data_digest": "", "definition": {}, "slices": {}}
        publish(write_model(dataset.spec, self.folder / "model"), self.folder / "serving", facts)
        live = LiveModel.of(self.folder / "serving")
        assert live
        return live

    def ask(self, live: LiveModel, settings: dict, moved: Callable[[], Path] | None = None):
        """Returns what both are asked, the rows of the test split as they are stored, and the candidate's facts.

        `moved` is called when they are stored; it returns where the data is looked for from then on.
        """
        config, dataset = self.load(settings)
        examples = self.folder / "examples"
        checks = RowChecks(config.row_checks, dataset.spec)
        write_splits(loading.open_batches(dataset, config), dataset.spec, examples, checks)
        digest = dataset.digest()
        source = DataSource(config, "animals", moved() if moved else self.folder, digest)
        scratch = self.folder / "scratch"
        found = prepare_shared_rows(
            live, source, examples_uri=str(examples), spec=dataset.spec, task=self.task, scratch=scratch
        )
        files = sorted(str(path) for path in (examples / "Split-test").glob("*"))
        return found, codec.read_rows(files, dataset.spec, 1000), dataset.spec

    def answers(self, found) -> np.ndarray:
        """Returns the classes that the live version finds likeliest, as indices of the candidate's."""
        files = split_files(found.live_examples, "test")
        batches = predictions.predict_batches(found.saved_model, files, self.task)
        return np.concatenate([scores for _, scores, _ in batches]).argmax(axis=1)


def changed(features: dict | None = None, **settings) -> dict:
    return {**BEFORE, **settings, "features": features or BEFORE["features"]}
