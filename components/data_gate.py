"""The data gate: TFDV holds every split against the schema, and the training split against earlier data."""

from collections.abc import Sequence
from pathlib import Path

from tensorflow_data_validation.api.validation_api import validate_statistics
from tensorflow_data_validation.utils.schema_util import load_schema_text
from tensorflow_data_validation.utils.stats_util import load_stats_binary
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import ExampleAnomalies, ExampleStatistics, Schema

from components.artifact_files import ANOMALIES, PROFILE, SCHEMA, STATISTICS
from components.statistics import IMAGE_NUMBERS
from data.checks import profile
from data.checks.reference import DataSummary, Reference
from data.config import DriftCheck
from data.errors import DataError
from data.spec import SPLITS, DatasetSpec, ImageFeature, LabelFeature
from models import progress
from models.serving.rollout.references import references

MAX_LINES = 10
FEATURES_AT_ONCE = 100


@component
def DataGate(
    statistics: InputArtifact[ExampleStatistics],
    schema: InputArtifact[Schema],
    anomalies: OutputArtifact[ExampleAnomalies],
    spec: Parameter[str],
    drift: Parameter[str],
    accepted: Parameter[str],
    profiles: Parameter[str],
    destination: Parameter[str],
    run: Parameter[str],
):
    """Stops the run when a split has an anomaly, or the training split has drifted from that of the live version.

    `accepted` is the file of the data that was accepted last, which this data replaces; `profiles` the folder of the
    profiles of published versions, `destination` that of the versions.
    """
    facts, check = DatasetSpec.model_validate_json(spec), DriftCheck.model_validate_json(drift)
    expected = without_images(load_schema_text(str(SCHEMA.path(schema.uri))), facts)
    found, of_split = {}, {}
    for split in SPLITS:
        of_split[split] = load_stats_binary(str(STATISTICS.path(statistics.uri, split)))
        found[split] = validate(of_split[split], expected)
        file = ANOMALIES.path(anomalies.uri, split)
        file.parent.mkdir(parents=True)
        file.write_bytes(found[split].SerializeToString())
    anomalies.split_names = statistics.split_names
    check_anomalies(found, facts.name)
    data = DataSummary(of_split["train"], profile.load(PROFILE.path(statistics.uri)), run)
    kept = references(Path(profiles), Path(accepted), Path(destination)) if check.policy != "off" else []
    sentences = check_drift(kept, data, facts, check)
    data.write(Path(accepted))
    progress.report(summary="; ".join(sentences) or "no anomalies")


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


def validate(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    previous: statistics_pb2.DatasetFeatureStatisticsList | None = None,
) -> anomalies_pb2.Anomalies:
    """Returns TFDV's anomalies, those of drift from `previous` among them.

    Looks at FEATURES_AT_ONCE features at a time, since TFDV's time grows with the square of the
    features: 1.7 s for 2,000, of which a hundred take 12 ms.
    """
    known = [feature.name for feature in schema.feature]
    names = list(dict.fromkeys([*known, *(feature.path.step[0] for feature in statistics.datasets[0].features)]))
    if len(names) <= FEATURES_AT_ONCE or schema.sparse_feature or schema.weighted_feature:  # made of several features
        return validate_statistics(statistics, schema, previous_statistics=previous)
    found = anomalies_pb2.Anomalies()
    for begin in range(0, len(names), FEATURES_AT_ONCE):
        some = set(names[begin : begin + FEATURES_AT_ONCE])
        part = validate_statistics(
            _of_features(statistics, some),
            _of_schema(schema, some),
            previous_statistics=previous and _of_features(previous, some),
        )
        found.anomaly_info.MergeFrom(part.anomaly_info)
        found.drift_skew_info.extend(part.drift_skew_info)
    for field in ("anomaly_info", "drift_skew_info"):
        part.ClearField(field)
    part.baseline.CopyFrom(schema)
    found.MergeFrom(part)  # what is said of all features, such as that there are no rows
    return found


def _of_features(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, names: set[str]
) -> statistics_pb2.DatasetFeatureStatisticsList:
    (every,) = statistics.datasets
    found = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = found.datasets.add(name=every.name, num_examples=every.num_examples)
    dataset.features.extend(feature for feature in every.features if feature.path.step[0] in names)
    return found


def _of_schema(schema: schema_pb2.Schema, names: set[str]) -> schema_pb2.Schema:
    found = schema_pb2.Schema()
    found.CopyFrom(schema)
    del found.feature[:]
    found.feature.extend(feature for feature in schema.feature if feature.name in names)
    return found


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


def check_drift(kept: Sequence[Reference], data: DataSummary, spec: DatasetSpec, check: DriftCheck) -> list[str]:
    """Returns a sentence for each reference that the training split has drifted from, and for one that is a substitute.

    Args:
        kept: What it is held against; drift from the first stops the run, where the policy is `stop`.
        data: The training split.
        spec: The features.
        check: How far is far, and what to do.

    Raises:
        DataError: It has drifted from the first reference, or the file of one is damaged.
    """
    sentences, runs = [reference.note for reference in kept[:1] if reference.note], set()
    for number, reference in enumerate(kept):
        try:
            before = reference.read()
        except DataError as error:
            if number == 0:
                raise
            sentences.append(str(error))  # it is only for a report
            continue
        if before.run and before.run in runs:  # the last accepted data is that of the live version
            continue
        runs.add(before.run)
        drifts = find_drift(before, data, spec, check)
        name = f"{reference.name} (run {before.run})" if before.run else reference.name
        if drifts and number == 0 and check.policy == "stop":
            raise DataError(drift_message(drifts, spec.name, reference=name, note=reference.note))
        if drifts:
            sentences.append(f"drift from {name}: {'; '.join(f'{one.feature}: {one.sentence}' for one in drifts)}")
    return sentences


def find_drift(before: DataSummary, data: DataSummary, spec: DatasetSpec, check: DriftCheck) -> list[profile.Drift]:
    """Returns in what the training split is farther from earlier data than `check` allows."""
    old, new = (_numbers(one.statistics, spec) for one in (before, data))
    drifts = []
    for name in sorted(old.keys() & new.keys()):
        (old_histogram, old_count), (new_histogram, new_count) = old[name], new[name]
        distance = profile.kolmogorov_smirnov(old_histogram, new_histogram)
        if distance > max(check.max_distance, profile.chance(old_count, new_count)):
            medians = f"median {_median(old_histogram)} before, {_median(new_histogram)} now"
            sentence = f"values are {distance:.2f} away (Kolmogorov-Smirnov, at most {check.max_distance:g}; {medians})"
            drifts.append(profile.Drift(name, sentence))
    return drifts + profile.drifts(before.arrays, data.arrays, spec, check.max_distance)


def _numbers(statistics: statistics_pb2.DatasetFeatureStatisticsList, spec: DatasetSpec) -> dict[str, tuple]:
    """Returns the quantiles of each number, also of those that tell of an image, and how many values it has."""
    found = profile.quantiles(statistics.datasets[0].features)
    return {name: one for name, one in found.items() if not isinstance(spec.features.get(name), LabelFeature)}


def _median(quantiles: statistics_pb2.Histogram) -> str:
    value = quantiles.buckets[len(quantiles.buckets) // 2].low_value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def drift_message(drifts: list[profile.Drift], dataset: str, *, reference: str, note: str = "") -> str:
    """Returns what to say of drifted data, at most ten lines."""
    head = (
        f"Data set {dataset} has drifted from {reference}{f' ({note})' if note else ''}, nothing was trained; mend it, "
        "or accept it once with --set data.checks.drift.policy=warn:"
    )
    return _table(head, [f"  {drift.feature}: {drift.sentence}" for drift in drifts])


def _table(head: str, lines: list[str]) -> str:
    """Returns a head and the lines below it, MAX_LINES together; says how many were left out."""
    limit = MAX_LINES - 1
    shown = lines if len(lines) <= limit else [*lines[: limit - 1], f"  and {len(lines) - limit + 1} more"]
    return "\n".join([head, *shown])
