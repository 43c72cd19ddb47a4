"""The data gate: TFDV validates every split by the schema; the training split is compared with earlier data."""

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
from data.checks import profile
from data.checks.reference import DataSummary, Reference
from data.config import DriftCheck
from data.errors import DataError
from data.kinds.registry import kind_of
from data.spec import SPLITS, DatasetSpec, LabelFeature
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
    """Stops the run if a split has an anomaly, or if the training split has drifted from that of the live version.

    `accepted` is the file with the summary of the data that was accepted last, which that of this data replaces;
    `profiles` is the folder of the profiles of published versions, `destination` that of the versions.
    """
    dataset_spec, check = DatasetSpec.model_validate_json(spec), DriftCheck.model_validate_json(drift)
    expected = schema_of_statistics(load_schema_text(str(SCHEMA.path(schema.uri))), dataset_spec)
    split_anomalies, split_statistics = {}, {}
    for split in SPLITS:
        split_statistics[split] = load_stats_binary(str(STATISTICS.path(statistics.uri, split)))
        split_anomalies[split] = validate(split_statistics[split], expected)
        file = ANOMALIES.path(anomalies.uri, split)
        file.parent.mkdir(parents=True)
        file.write_bytes(split_anomalies[split].SerializeToString())
    anomalies.split_names = statistics.split_names
    check_anomalies(split_anomalies, dataset_spec.name)
    data = DataSummary(split_statistics["train"], profile.load(PROFILE.path(statistics.uri)), run)
    earlier = references(Path(profiles), Path(accepted), Path(destination)) if check.policy != "off" else []
    sentences = check_drift(earlier, data, dataset_spec, check)
    data.write(Path(accepted))
    progress.report(summary="; ".join(sentences) or "no anomalies")


def schema_of_statistics(schema: schema_pb2.Schema, spec: DatasetSpec) -> schema_pb2.Schema:
    """Returns the schema of the columns that the statistics describe; see `data.kinds.contract.Kind.described`.

    What is described by other columns, such as an image, has been checked by ingest.
    """
    suffixes = {name: kind_of(feature).described_as for name, feature in spec.features.items()}
    checked = [feature for feature in schema.feature if "" in suffixes.get(feature.name, ("",))]
    del schema.feature[:]
    schema.feature.extend(checked)
    for name, of_name in suffixes.items():
        for suffix in filter(None, of_name):
            schema.feature.add(name=f"{name}{suffix}", type=schema_pb2.FLOAT)
    return schema


def validate(
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    schema: schema_pb2.Schema,
    previous: statistics_pb2.DatasetFeatureStatisticsList | None = None,
) -> anomalies_pb2.Anomalies:
    """Returns TFDV's anomalies, including drift from `previous`.

    Validates FEATURES_AT_ONCE features at a time, since TFDV's time grows with the square of their number: 1.7 s for
    2,000 at once, 12 ms for a hundred.
    """
    schema_names = [feature.name for feature in schema.feature]
    names = list(dict.fromkeys([*schema_names, *(feature.path.step[0] for feature in statistics.datasets[0].features)]))
    if len(names) <= FEATURES_AT_ONCE or schema.sparse_feature or schema.weighted_feature:  # these combine features
        return validate_statistics(statistics, schema, previous_statistics=previous)
    anomalies = anomalies_pb2.Anomalies()
    for begin in range(0, len(names), FEATURES_AT_ONCE):
        selected = set(names[begin : begin + FEATURES_AT_ONCE])
        part = validate_statistics(
            _select_statistics(statistics, selected),
            _select_schema(schema, selected),
            previous_statistics=previous and _select_statistics(previous, selected),
        )
        anomalies.anomaly_info.MergeFrom(part.anomaly_info)
        anomalies.drift_skew_info.extend(part.drift_skew_info)
    for field in ("anomaly_info", "drift_skew_info"):
        part.ClearField(field)
    part.baseline.CopyFrom(schema)
    anomalies.MergeFrom(part)  # what concerns the whole split, such as that it has no rows
    return anomalies


def _select_statistics(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, names: set[str]
) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns a copy of the statistics with the named features only."""
    (dataset,) = statistics.datasets
    selection = statistics_pb2.DatasetFeatureStatisticsList()
    selected_dataset = selection.datasets.add(name=dataset.name, num_examples=dataset.num_examples)
    selected_dataset.features.extend(feature for feature in dataset.features if feature.path.step[0] in names)
    return selection


def _select_schema(schema: schema_pb2.Schema, names: set[str]) -> schema_pb2.Schema:
    """Returns a copy of the schema with the named features only."""
    selection = schema_pb2.Schema()
    selection.CopyFrom(schema)
    del selection.feature[:]
    selection.feature.extend(feature for feature in schema.feature if feature.name in names)
    return selection


def check_anomalies(split_anomalies: dict[str, anomalies_pb2.Anomalies], dataset: str) -> None:
    """Raises DataError with a table of at most ten lines if any split has an anomaly.

    Args:
        split_anomalies: Split -> its anomalies.
        dataset: Name of the data set.
    """
    lines = []
    for split, anomalies in split_anomalies.items():
        if anomalies.dataset_anomaly_info.description:
            lines.append(f"  {split:<11}all features  {anomalies.dataset_anomaly_info.description}")
        for name, info in sorted(anomalies.anomaly_info.items()):
            lines.append(f"  {split:<11}{name}  {info.short_description}: {info.description}")
    if not lines:
        return
    head = f"Data set {dataset} does not match its schema, nothing was trained; mend the data or the schema:"
    raise DataError(_table(head, lines))


def check_drift(earlier: Sequence[Reference], data: DataSummary, spec: DatasetSpec, check: DriftCheck) -> list[str]:
    """Returns a sentence for each reference that the training split has drifted from, and the first one's note, if any.

    Args:
        earlier: The references; with the policy `stop`, drift from the first stops the run.
        data: The training split.
        spec: The data set's features.
        check: The greatest distance that is no drift, and the policy.

    Raises:
        DataError: It has drifted from the first reference, or the file of one is damaged.
    """
    sentences, runs = [reference.note for reference in earlier[:1] if reference.note], set()
    for index, reference in enumerate(earlier):
        try:
            summary = reference.read()
        except DataError as error:
            if index == 0:
                raise
            sentences.append(str(error))  # drift from this one is only reported
            continue
        if summary.run and summary.run in runs:  # the last accepted data is that of the live version
            continue
        runs.add(summary.run)
        drifts = find_drift(summary, data, spec, check)
        name = f"{reference.name} (run {summary.run})" if summary.run else reference.name
        if drifts and index == 0 and check.policy == "stop":
            raise DataError(drift_message(drifts, spec.name, reference=name, note=reference.note))
        if drifts:
            sentences.append(
                f"drift from {name}: {'; '.join(f'{drift.feature}: {drift.sentence}' for drift in drifts)}"
            )
    return sentences


def find_drift(before: DataSummary, data: DataSummary, spec: DatasetSpec, check: DriftCheck) -> list[profile.Drift]:
    """Returns the features by which the training split is farther from earlier data than `check` allows."""
    old, new = (_number_quantiles(summary.statistics, spec) for summary in (before, data))
    drifts = []
    for name in sorted(old.keys() & new.keys()):
        (old_histogram, old_count), (new_histogram, new_count) = old[name], new[name]
        distance = profile.kolmogorov_smirnov(old_histogram, new_histogram)
        if distance > max(check.max_distance, profile.critical_distance(old_count, new_count)):
            medians = f"median {_median(old_histogram)} before, {_median(new_histogram)} now"
            sentence = f"values are {distance:.2f} away (Kolmogorov-Smirnov, at most {check.max_distance:g}; {medians})"
            drifts.append(profile.Drift(name, sentence))
    return drifts + profile.drifts(before.arrays, data.arrays, spec, check.max_distance)


def _number_quantiles(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, spec: DatasetSpec
) -> dict[str, tuple[statistics_pb2.Histogram, float]]:
    """Returns name -> quantiles and number of values of each numeric feature, those of images included."""
    quantiles = profile.quantiles(statistics.datasets[0].features)
    return {
        name: histogram_and_count
        for name, histogram_and_count in quantiles.items()
        if not isinstance(spec.features.get(name), LabelFeature)
    }


def _median(quantiles: statistics_pb2.Histogram) -> str:
    value = quantiles.buckets[len(quantiles.buckets) // 2].low_value
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def drift_message(drifts: list[profile.Drift], dataset: str, *, reference: str, note: str = "") -> str:
    """Returns the error message about drifted data, at most ten lines."""
    head = (
        f"Data set {dataset} has drifted from {reference}{f' ({note})' if note else ''}, nothing was trained; mend it, "
        "or accept it once with --set data.checks.drift.policy=warn:"
    )
    return _table(head, [f"  {drift.feature}: {drift.sentence}" for drift in drifts])


def _table(head: str, lines: list[str]) -> str:
    """Returns a head and lines below it, MAX_LINES in all; the last says how many were left out."""
    limit = MAX_LINES - 1
    shown = lines if len(lines) <= limit else [*lines[: limit - 1], f"  and {len(lines) - limit + 1} more"]
    return "\n".join([head, *shown])
