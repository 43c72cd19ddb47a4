"""Trains the classical models that the network is held against, on the same split, from the same records."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from pandas.api.types import union_categoricals
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.artifact import Artifact
from tfx.types.standard_artifacts import Examples
from threadpoolctl import threadpool_limits

from components.artifact_files import CLASSICAL
from components.example_gen import read_summary, split_files
from data import examples as codec
from data.spec import CategoryFeature, DatasetSpec, Feature, LabelFeature
from data.texts import significant, to_json
from models import progress, registry
from models.evaluation.metrics import Metric
from models.measuring import measured
from models.tasks.reference import Candidate, predict


class ClassicalModels(Artifact):
    """What classical models predicted on the test split, what they reached and what they took."""

    TYPE_NAME = "ClassicalModels"


@component
def Classical(
    examples: InputArtifact[Examples],
    models: OutputArtifact[ClassicalModels],
    task: Parameter[str],
    config: Parameter[str],
    spec: Parameter[str],
    seed: Parameter[int],
    fingerprint: Parameter[str],
):
    """Trains a task's classical models; writes their predictions of the test split and what they took."""
    facts, provider = DatasetSpec.model_validate_json(spec), registry.task(task)
    settings = provider.config.model_validate_json(config)
    candidates, compared = provider.classical(settings, facts), settings.compared(facts)
    kept = drawn(candidates.values(), read_summary(examples.uri)["train"]["rows"], seed)
    frames = {"train": read_frame(examples.uri, "train", facts, kept), "test": read_frame(examples.uri, "test", facts)}
    found = {}
    for name, candidate in candidates.items():
        progress.report(summary=name)
        found[name], predictions = fit(candidate, frames, facts, compared, seed)
        np.save(Path(models.uri) / f"{name}.npy", predictions)
    CLASSICAL.path(models.uri).write_text(to_json(found, indent=1))
    usual = next(iter(compared))
    values = ", ".join(f"{name} {significant(told['metrics'][usual])}" for name, told in found.items())
    progress.report(summary=f"{usual}: {values}")


def fit(
    candidate: Candidate, frames: dict[str, pd.DataFrame], spec: DatasetSpec, compared: dict[str, Metric], seed: int
) -> tuple[dict[str, Any], np.ndarray]:
    """Returns what a model took and reached, and its predictions of the test split.

    Args:
        candidate: The model.
        frames: Split -> its rows.
        spec: What is in them.
        compared: What is measured, by name.
        seed: Of the rows it learns from, where they are not all.
    """
    (target,) = spec.targets()
    label = spec.features[target]
    num_classes = len(label.classes) if isinstance(label, LabelFeature) else None
    train = frames["train"]
    if candidate.max_rows and candidate.max_rows < len(train):
        train = train.sample(candidate.max_rows, random_state=seed)
    test, inputs = frames["test"], frames["test"].drop(columns=target)
    # On matrices this small BLAS waits for its own threads: logistic regression takes 1.1 s by two, 0.4 by one.
    with threadpool_limits(1, user_api="blas"):
        _, seconds, mib = measured(lambda: candidate.estimator.fit(train.drop(columns=target), train[target]))
        predictions, took, _ = measured(lambda: predict(candidate.estimator, inputs, num_classes))
    told = {
        "metrics": values_of(compared, test[target].to_numpy(), predictions),
        "rows": len(train),
        "train_seconds": seconds,
        "microseconds_per_row": took / len(test) * 1e6,
        "peak_mib": mib,
        "features": candidate.features,
        "trivial": candidate.trivial,
    }
    return told, predictions


def values_of(compared: dict[str, Metric], targets: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Returns each metric's value on all rows."""
    return {name: metric.value(targets, predictions) for name, metric in compared.items()}


def drawn(candidates: Iterable[Candidate], rows: int, seed: int) -> np.ndarray | None:
    """Returns which rows of the training split are read, int64, in order; None for all.

    No more than the candidate that learns from most: memory does not grow with the data where all have a limit.
    """
    most = max(candidate.max_rows or rows for candidate in candidates)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False)) if most < rows else None


def read_frame(examples_uri: str, split: str, spec: DatasetSpec, kept: np.ndarray | None = None) -> pd.DataFrame:
    """Returns a split as it is stored, a column a feature: bytes, int64 or float; None or NaN where there is none.

    Categories are a pandas.Categorical of bytes, empty where there is none: no Python object is made for each cell.

    Args:
        examples_uri: Folder of the examples.
        split: Which.
        spec: What is in it.
        kept: Which rows, in order; None for all.
    """
    kinds = {"bytes": (tf.string, b""), "float": (tf.float32, np.nan), "int": (tf.int64, tf.int64.min)}
    wanted = {
        name: tf.io.FixedLenFeature((), *kinds[feature.stored])
        if feature.optional
        else tf.io.FixedLenFeature((), kinds[feature.stored][0])
        for name, feature in spec.features.items()
    }
    batches = codec.read_batches(split_files(examples_uri, split), kept)
    parts = [tf.io.parse_example(batch, wanted) for batch in batches]
    frame = pd.DataFrame(
        {name: _column([part[name] for part in parts], feature) for name, feature in spec.features.items()}
    )
    for name, feature in spec.features.items():
        if feature.optional and feature.stored == "int":
            frame[name] = frame[name].where(frame[name] != tf.int64.min)
    return frame


def _column(parts: list[tf.Tensor], feature: Feature) -> np.ndarray | pd.Categorical:
    """Returns the values of a feature in all batches."""
    if not isinstance(feature, CategoryFeature):
        return np.concatenate([part.numpy() for part in parts])
    found = [tf.unique(part) for part in parts]
    return union_categoricals([pd.Categorical.from_codes(one.idx.numpy(), one.y.numpy()) for one in found])
