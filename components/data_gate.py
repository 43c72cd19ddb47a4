"""The data gate: TFDV holds every split's statistics against the schema, and against what the last run accepted."""

import zipfile
from pathlib import Path

import numpy as np
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import ExampleAnomalies, ExampleStatistics, Schema

from components.artifact_files import ANOMALIES, PROFILE, SCHEMA, STATISTICS
from components.statistics import IMAGE_NUMBERS
from data import atomic
from data.checks import profile
from data.config import DriftCheck
from data.errors import ConfigError, DataError
from data.spec import SPLITS, DatasetSpec, ImageFeature, LabelFeature
from models import progress

MAX_LINES = 10
_STATISTICS = "statistics"  # in the file of accepted data, beside the profile's arrays


@component
def DataGate(
    statistics: InputArtifact[ExampleStatistics],
    schema: InputArtifact[Schema],
    anomalies: OutputArtifact[ExampleAnomalies],
    spec: Parameter[str],
    drift: Parameter[str],
    accepted: Parameter[str],
    run: Parameter[str],
):
    """Stops the run when a split has an anomaly or the training split drifted; else it is the next run's reference.

    `accepted` is the file of the data that was accepted last.
    """
    facts, check = DatasetSpec.model_validate_json(spec), DriftCheck.model_validate_json(drift)
    expected = without_images(tfdv.load_schema_text(str(SCHEMA.path(schema.uri))), facts)
    found, of_split = {}, {}
    for split in SPLITS:
        of_split[split] = tfdv.load_stats_binary(str(STATISTICS.path(statistics.uri, split)))
        found[split] = tfdv.validate_statistics(of_split[split], expected)
        file = ANOMALIES.path(anomalies.uri, split)
        file.parent.mkdir(parents=True)
        file.write_bytes(found[split].SerializeToString())
    anomalies.split_names = statistics.split_names
    check_anomalies(found, facts.name)
    arrays, reference = profile.load(PROFILE.path(statistics.uri)), Path(accepted)
    drifts = [] if check.policy == "off" else find_drift(of_split["train"], arrays, reference, facts, check)
    if drifts and check.policy == "stop":
        raise DataError(drift_message(drifts, facts.name))
    accept(of_split["train"], arrays, reference)
    drifted = "; ".join(f"drift: {one.feature}: {one.sentence}" for one in drifts)
    progress.report(summary=drifted or "no anomalies")


def without_images(schema: schema_pb2.Schema, spec: DatasetSpec) -> schema_pb2.Schema:
    """Returns the schema of the statistics, with two numbers in the place of an image, which ingest has checked."""
    images = {name for name, feature in spec.features.items() if isinstance(feature, ImageFeature)}
    kept = [feature for feature in schema.feature if feature.name not in images]
    del schema.feature[:]
    schema.feature.extend(kept)
    for name in images:
        for kind in IMAGE_NUMBERS:
            schema.feature.add(name=f"{name}.{kind}", type=schema_pb2.FLOAT)
    return schema


def check_anomalies(found: dict[str, anomalies_pb2.Anomalies], dataset: str) -> None:
    """Raises DataError with a table of at most ten lines when any split has an anomaly."""
    lines = []
    for split, anomalies in found.items():
        if anomalies.dataset_anomaly_info.description:
            lines.append(f"  {split:<11}all features  {anomalies.dataset_anomaly_info.description}")
        for name, info in sorted(anomalies.anomaly_info.items()):
            lines.append(f"  {split:<11}{name}  {info.short_description}: {info.description}")
    if not lines:
        return
    head = f"Data set {dataset} does not match its schema, nothing was trained; mend the data or the schema:"
    raise DataError(_table(head, lines))


def find_drift(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    arrays: profile.Arrays,
    reference: Path,
    spec: DatasetSpec,
    check: DriftCheck,
) -> list[profile.Drift]:
    """Returns in what the training split is far from the data accepted last; nothing when there was none.

    Args:
        statistics: TFDV's statistics of the training split.
        arrays: Its profile.
        reference: The file of the data that was accepted last.
        spec: The features.
        check: How far is far.

    Raises:
        DataError: The file cannot be read.
    """
    if not reference.exists():
        return []
    before, earlier = _read_accepted(reference)
    old, new = (_numbers(one, spec) for one in (earlier, statistics))
    drifts = []
    for name in sorted(old.keys() & new.keys()):
        (old_histogram, old_count), (new_histogram, new_count) = old[name], new[name]
        distance = profile.kolmogorov_smirnov(old_histogram, new_histogram)
        if distance > max(check.max_distance, profile.chance(old_count, new_count)):
            medians = f"median {_median(old_histogram)} before, {_median(new_histogram)} now"
            sentence = f"values are {distance:.2f} away (Kolmogorov-Smirnov, at most {check.max_distance:g}; {medians})"
            drifts.append(profile.Drift(name, sentence))
    return drifts + profile.drifts(before, arrays, spec, check.max_distance)


def _read_accepted(reference: Path) -> tuple[profile.Arrays, statistics_pb2.DatasetFeatureStatisticsList]:
    try:
        before = profile.load(reference)
        return before, statistics_pb2.DatasetFeatureStatisticsList.FromString(before[_STATISTICS].tobytes())
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{reference} is damaged ({error}); remove it, and this data becomes the new reference."
        ) from error


def training_statistics(reference: Path) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns TFDV's statistics of the data that was accepted last.

    Raises:
        ConfigError: None was accepted yet.
        DataError: The file is damaged.
    """
    if not reference.exists():
        raise ConfigError(f"No run of {reference.parent.name} has accepted data yet; there is nothing to compare with.")
    return _read_accepted(reference)[1]


def _numbers(statistics: statistics_pb2.DatasetFeatureStatisticsList, spec: DatasetSpec) -> dict[str, tuple]:
    """Returns the quantiles of each number, also of those that tell of an image, and how many values it has."""
    found = profile.quantiles(statistics.datasets[0].features)
    return {name: one for name, one in found.items() if not isinstance(spec.features.get(name), LabelFeature)}


def _median(quantiles: statistics_pb2.Histogram) -> str:
    value = quantiles.buckets[len(quantiles.buckets) // 2].low_value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def drift_message(drifts: list[profile.Drift], dataset: str) -> str:
    """Returns what to say of drifted data, at most ten lines."""
    head = (
        f"Data set {dataset} is far from the data accepted last, nothing was trained; mend it, or accept it once with "
        "--set data.checks.drift.policy=warn:"
    )
    return _table(head, [f"  {drift.feature}: {drift.sentence}" for drift in drifts])


def accept(statistics: statistics_pb2.DatasetFeatureStatisticsList, arrays: profile.Arrays, reference: Path) -> None:
    """Makes this data the next run's reference; the file appears whole or not at all."""
    with atomic.replacing(reference) as staging:
        np.savez(staging, **arrays, **{_STATISTICS: np.frombuffer(statistics.SerializeToString(), np.uint8)})


def _table(head: str, lines: list[str]) -> str:
    """Returns a head and the lines below it, MAX_LINES together; says how many were left out."""
    limit = MAX_LINES - 1
    shown = lines if len(lines) <= limit else [*lines[: limit - 1], f"  and {len(lines) - limit + 1} more"]
    return "\n".join([head, *shown])
