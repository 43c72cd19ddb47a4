"""Trains the reference models that the network is compared with, on the same rows."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
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
from data.spec import WEIGHT, CategoryFeature, DatasetSpec, Feature, LabelFeature
from data.texts import significant, to_json
from models import progress, registry
from models.evaluation.metrics import Metric
from models.measuring import measured
from models.tasks.reference import Candidate, predict

NO_WEIGHTS = "; learned without the weights of the rows, which it does not take"


class ClassicalModels(Artifact):
    """Predictions of reference models for the test split, with their metrics, seconds and memory."""

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
    """Trains a task's reference models; writes their predictions for the test split, metrics, seconds and memory."""
    dataset_spec, provider = DatasetSpec.model_validate_json(spec), registry.task(task)
    settings = provider.config.model_validate_json(config)
    candidates, metrics = provider.classical(settings, dataset_spec), settings.compared(dataset_spec)
    weights = {split: read_weights(examples.uri, split, dataset_spec) for split in ("train", "test")}
    train_rows = sample_rows(
        candidates.values(), read_summary(examples.uri)["train"]["rows"], seed, weights=weights["train"]
    )
    frames = {
        "train": read_frame(examples.uri, "train", dataset_spec, train_rows),
        "test": read_frame(examples.uri, "test", dataset_spec),
    }
    if weights["train"] is not None and train_rows is not None:
        weights["train"] = weights["train"][train_rows]
    results = {}
    for name, candidate in candidates.items():
        progress.report(summary=name)
        results[name], predictions = fit(candidate, frames, dataset_spec, metrics, seed, weights)
        np.save(Path(models.uri) / f"{name}.npy", predictions)
    CLASSICAL.path(models.uri).write_text(to_json(results, indent=1))
    main_metric = next(iter(metrics))
    values = ", ".join(f"{name} {significant(result['metrics'][main_metric])}" for name, result in results.items())
    progress.report(summary=f"{main_metric}: {values}")


def fit(
    candidate: Candidate,
    frames: dict[str, pd.DataFrame],
    spec: DatasetSpec,
    metrics: dict[str, Metric],
    seed: int,
    weights: Mapping[str, np.ndarray | None] = MappingProxyType({}),
) -> tuple[dict[str, Any], np.ndarray]:
    """Trains a model; returns its metrics, seconds and MiB as JSON values, and its predictions for the test split.

    Args:
        candidate: The model.
        frames: Split -> its rows, a column a feature.
        spec: The data set's features.
        metrics: Name -> metric.
        seed: Of the choice of training rows, where the model learns from some only.
        weights: Split -> how much each row counts, float64 `(rows,)`; None for equal weights.

    Returns:
        The values by name, and float `(rows,)` numbers or `(rows, classes)` probabilities.
    """
    (target,) = spec.targets()
    label = spec.features[target]
    num_classes = len(label.classes) if isinstance(label, LabelFeature) else None
    train, train_weights = frames["train"], weights.get("train")
    if candidate.max_rows and candidate.max_rows < len(train):
        train = train.sample(candidate.max_rows, random_state=seed)
    test, inputs = frames["test"], frames["test"].drop(columns=target)
    weight_settings, note = {}, ""
    if train_weights is not None:
        weight_settings = _weight_settings(candidate.estimator, train_weights[train.index])
        note = "" if weight_settings is not None else NO_WEIGHTS
    # On matrices this small BLAS waits for its own threads: logistic regression takes 1.1 s by two, 0.4 by one.
    with threadpool_limits(1, user_api="blas"):
        _, fit_seconds, mib = measured(
            lambda: candidate.estimator.fit(train.drop(columns=target), train[target], **(weight_settings or {}))
        )
        predictions, predict_seconds, _ = measured(lambda: predict(candidate.estimator, inputs, num_classes))
    result = {
        "metrics": metric_values(metrics, test[target].to_numpy(), predictions, weights.get("test")),
        "rows": len(train),
        "train_seconds": fit_seconds,
        "microseconds_per_row": predict_seconds / len(test) * 1e6,
        "peak_mib": mib,
        "features": candidate.features + note,
        "trivial": candidate.trivial,
    }
    return result, predictions


def _weight_settings(estimator: Any, weights: np.ndarray) -> dict[str, np.ndarray] | None:
    """Returns the argument of `fit` with the rows' weights, in units of their mean; None where it takes none.

    Empty where all weights are equal: some estimators compute with weights of 1 in another order than without any.
    """
    from sklearn.utils.validation import has_fit_parameter

    steps = getattr(estimator, "steps", None)
    last = steps[-1][1] if steps else estimator
    if not has_fit_parameter(last, "sample_weight"):
        return None
    if (weights == weights[0]).all():
        return {}
    return {f"{steps[-1][0]}__sample_weight" if steps else "sample_weight": weights / weights.mean()}


def metric_values(
    metrics: dict[str, Metric], targets: np.ndarray, predictions: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, float]:
    """Returns the value of each metric over all rows; `weights` as in `Metric.value`."""
    return {name: metric.value(targets, predictions, weights) for name, metric in metrics.items()}


def sample_rows(
    candidates: Iterable[Candidate], num_rows: int, seed: int, weights: np.ndarray | None = None
) -> np.ndarray | None:
    """Returns the indices of the training rows that are read, int64, ascending; None for all.

    They are as many as the greatest `max_rows` of the candidates, so that memory does not grow with the data where
    each of them has one. Rows of weight 0 are left out: an estimator may refuse a class that has no others.
    """
    counted = None if weights is None or weights.all() else np.flatnonzero(weights)
    num_rows = num_rows if counted is None else len(counted)
    sample_size = max(candidate.max_rows or num_rows for candidate in candidates)
    if sample_size >= num_rows:
        return counted
    rows = np.sort(np.random.default_rng(seed).choice(num_rows, sample_size, replace=False))
    return rows if counted is None else counted[rows]


def read_weights(examples_uri: str, split: str, spec: DatasetSpec) -> np.ndarray | None:
    """Returns how much each row of a split counts, float64 `(rows,)`; None for equal weights."""
    if spec.weight_column is None:
        return None
    parser = {WEIGHT: tf.io.FixedLenFeature((), tf.float32)}
    parts = [
        tf.io.parse_example(batch, parser)[WEIGHT] for batch in codec.read_batches(split_files(examples_uri, split))
    ]
    return np.concatenate([part.numpy() for part in parts]).astype(np.float64)


def read_frame(examples_uri: str, split: str, spec: DatasetSpec, rows: np.ndarray | None = None) -> pd.DataFrame:
    """Returns the stored values of a split, a column a feature: bytes, int64 or float; NaN for a missing number.

    A missing text is empty. A category is a pandas.Categorical of bytes, empty where it is missing: no Python object
    is made for each cell. A sequence is an array of its values, empty where it is missing.

    Args:
        examples_uri: Folder of the examples.
        split: Name of the split.
        spec: The data set's features.
        rows: Indices of the rows that are read, ascending; None for all.
    """
    types = {"bytes": (tf.string, b""), "float": (tf.float32, np.nan), "int": (tf.int64, tf.int64.min)}
    parsers: dict[str, Any] = {}
    for name, feature in spec.features.items():
        dtype, missing = types[feature.stored]
        if feature.is_list:
            parsers[name] = tf.io.RaggedFeature(dtype)
        else:
            parsers[name] = tf.io.FixedLenFeature((), dtype, *([missing] if feature.optional else []))
    batches = codec.read_batches(split_files(examples_uri, split), rows)
    parts = [tf.io.parse_example(batch, parsers) for batch in batches]
    frame = pd.DataFrame(
        {name: _column([part[name] for part in parts], feature) for name, feature in spec.features.items()}
    )
    for name, feature in spec.features.items():
        if feature.optional and feature.stored == "int":
            frame[name] = frame[name].where(frame[name] != tf.int64.min)
    return frame


def _column(parts: list[Any], feature: Feature) -> np.ndarray | pd.Categorical:
    """Returns the values of a feature in all batches, `(rows,)`."""
    if feature.is_list:
        arrays = [np.split(part.flat_values.numpy(), part.row_splits[1:-1].numpy()) for part in parts]
        return pd.Series([array for part in arrays for array in part], dtype=object).to_numpy()
    if not isinstance(feature, CategoryFeature):
        return np.concatenate([part.numpy() for part in parts])
    uniques = [tf.unique(part) for part in parts]
    return union_categoricals([pd.Categorical.from_codes(unique.idx.numpy(), unique.y.numpy()) for unique in uniques])
