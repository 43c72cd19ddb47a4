"""Drift of the sampled requests, or of the newest span, from the data that the live model was trained on."""

import tempfile
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data_gate import schema_of_statistics, validate
from components.schema import schema_text
from components.statistics import generate
from data import examples, loading
from data.checks import profile
from data.errors import ConfigError
from data.files import atomic
from data.kinds.registry import kind_of
from data.spec import BadRow, DatasetSpec, Row
from data.texts import to_json
from models.serving.rollout.references import references
from pipeline.core.config import NamedConfig
from pipeline.core.files import private_files
from pipeline.core.paths import PipelinePaths
from pipeline.live.drift_sources import MIN_ROWS, inputs_of, requests, require_spans, rows_by_version
from pipeline.live.samples import Sample


@dataclass(frozen=True)
class Distance:
    """Distance of the distribution of one feature from that of the reference data.

    Attributes:
        feature: Name of the feature; of an image `<name>.brightness` and `<name>.contrast`.
        measure: `Kolmogorov-Smirnov` for numbers; `L-infinity`, as TFDV has it, for categories.
        value: The distance, from 0 to 1.
        limit: The greatest distance that is no drift, from 0 to 1: the one that was set, or the one to be expected by
            chance with so few rows where that is greater.
        reference: Which data is the reference, for people.
    """

    feature: str
    measure: str
    value: float
    limit: float
    reference: str = ""

    @property
    def drifted(self) -> bool:
        """Whether the distance is above the limit."""
        return self.margin < 0

    @property
    def margin(self) -> float:
        """Limit minus distance; negative where the feature has drifted."""
        return self.limit - self.value


def measure(
    named: NamedConfig, home: Path, *, kinds: Collection[str], max_distance: float, since: float = 0.0
) -> dict[str, list[Distance]]:
    """Measures drift and writes it to the pipeline's drift file.

    Args:
        named: The pipeline.
        home: Folder of `runs/` and `serving/`.
        kinds: `served` for the sampled requests, `spans` for the newest span; one that cannot be measured is left out.
        max_distance: Distance above which a feature has drifted, from 0 to 1.
        since: Only samples after this time are used, in seconds since 1970, and never those from before the live
            version was published.

    Returns:
        Kind -> the distances of its features, the most drifted first.

    Raises:
        ConfigError: None of the kinds can be measured.
        DataError: The file of the reference data is damaged, or the newest span cannot be read.
    """
    paths = PipelinePaths.of(home, named.name)
    distances, reasons = {}, []
    for kind in kinds:
        try:
            if kind == "served":
                sampled = requests(paths, since)
                distances[kind] = request_distances(paths, named.dataset.spec, sampled, max_distance)
            else:
                distances[kind] = span_distances(paths, named, max_distance)
        except ConfigError as error:
            reasons.append(str(error))
    if not distances:
        raise ConfigError(" ".join(reasons))
    write(paths, distances, named.dataset.last_digest())
    return distances


def request_distances(
    paths: PipelinePaths, spec: DatasetSpec, sampled: list[Sample], max_distance: float
) -> list[Distance]:
    """Returns the distance of each feature of sampled requests from the training data, the most drifted first.

    The reference of a request is the data of the version that answered it, where the profile of that data is kept, else
    the data of the live version. Of a feature that was sent to several versions the most drifted distance counts.

    Raises:
        ConfigError: No version has enough samples, or no data was accepted yet.
        DataError: The file of the reference data is damaged.
    """
    inputs = inputs_of(spec)
    farthest: dict[str, Distance] = {}
    for version, rows in rows_by_version(sampled, inputs).items():
        for distance in _distances(paths, inputs, rows, max_distance, version=version):
            if distance.feature not in farthest or distance.margin < farthest[distance.feature].margin:
                farthest[distance.feature] = distance
    return sorted(farthest.values(), key=lambda distance: distance.margin)


def span_distances(paths: PipelinePaths, named: NamedConfig, max_distance: float) -> list[Distance]:
    """Returns the distances of the newest span's features from the data of the live version, the most drifted first.

    Raises:
        ConfigError: The data has no spans, the newest has too few rows, or no data was accepted yet.
        DataError: The data cannot be read.
    """
    require_spans(named)
    # Kinds of columns are inferred from all spans, as for training: one span alone may lead to others.
    read_by = named.dataset.read_by(named.config.data)
    data = read_by.model_copy(update={"window": 1, "test_spans": 0})
    loaded = loading.load(data, named.name, named.base, plan={})  # rows of all splits
    inputs = inputs_of(loaded.spec)
    # As plain rows, with the pixels of a picture instead of its file.
    rows = [dict(row) for _, row in loading.open_rows(loaded, data) if not isinstance(row, BadRow)]
    if len(rows) < MIN_ROWS:
        raise ConfigError(f"The newest span has {len(rows)} rows, {MIN_ROWS} are needed.")
    return _distances(paths, inputs, rows, max_distance)


def as_json(distances: dict[str, list[Distance]]) -> dict[str, list[dict[str, Any]]]:
    """Returns the distances of each kind as JSON values."""
    return {
        kind: [{**asdict(distance), "drifted": distance.drifted} for distance in of_kind]
        for kind, of_kind in distances.items()
    }


def write(paths: PipelinePaths, distances: dict[str, list[Distance]], digest: str) -> None:
    """Writes the distances, the time and the digest of the data to the drift file, for pages and triggers."""
    values = {"time": time.time(), "data_digest": digest, **as_json(distances)}
    with private_files():
        atomic.write(paths.drift, to_json(values, indent=1))


def _distances(
    paths: PipelinePaths, spec: DatasetSpec, rows: list[Row], max_distance: float, *, version: int | None = None
) -> list[Distance]:
    """Returns the distance of each feature from the data of a version, else of the live one, the most drifted first.

    Raises:
        ConfigError: No data was accepted yet.
        DataError: The file of the reference data is damaged.
    """
    newest_references = references(paths.profiles, paths.accepted, paths.serving, version=version)
    if not newest_references:
        raise ConfigError(f"No run of {paths.runs.name} has accepted data yet; there is nothing to compare with.")
    reference, statistics = newest_references[0].read().statistics, _statistics(spec, rows)
    distances = [*_numeric_distances(reference, statistics, max_distance)]
    distances += _text_distances(reference, statistics, spec, max_distance)
    with_reference = [replace(distance, reference=newest_references[0].name) for distance in distances]
    return sorted(with_reference, key=lambda distance: distance.margin)


def _statistics(spec: DatasetSpec, rows: list[Row]) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns TFDV's statistics of rows, computed as a run computes those of its data."""
    with tempfile.TemporaryDirectory() as scratch:
        file = str(Path(scratch) / "rows.tfrecord")
        with tf.io.TFRecordWriter(file) as writer:
            for row in rows:
                writer.write(examples.encode(row, spec))
        statistics, _ = generate([file], spec)
    return statistics


def _numeric_distances(
    reference: statistics_pb2.DatasetFeatureStatisticsList,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    max_distance: float,
) -> list[Distance]:
    """Returns the distance of each numeric feature, from quantiles: TFDV's own measure is noisy, see the data gate."""
    before, now = (profile.quantiles(summary.datasets[0].features) for summary in (reference, statistics))
    distances = []
    for name in sorted(before.keys() & now.keys()):
        (old, old_count), (new, new_count) = before[name], now[name]
        distance = profile.kolmogorov_smirnov(old, new)
        distances.append(
            Distance(
                name, "Kolmogorov-Smirnov", distance, max(max_distance, profile.critical_distance(old_count, new_count))
            )
        )
    return distances


def _text_distances(
    reference: statistics_pb2.DatasetFeatureStatisticsList,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    spec: DatasetSpec,
    max_distance: float,
) -> list[Distance]:
    """Returns TFDV's L-infinity distance of each category and text: the greatest difference in a value's frequency."""
    schema = schema_of_statistics(text_format.Parse(schema_text(spec), schema_pb2.Schema()), spec)
    names = [
        name
        for name, feature in spec.features.items()
        if feature.stored == "bytes" and "" in kind_of(feature).described_as
    ]
    for feature in schema.feature:
        if feature.name in names:
            feature.drift_comparator.infinity_norm.threshold = max_distance
            feature.string_domain.ClearField("value")
    counts = [
        {
            feature.path.step[0]: feature.string_stats.common_stats.num_non_missing
            for feature in summary.datasets[0].features
        }
        for summary in (reference, statistics)
    ]
    if not names:
        return []
    reference_copy = statistics_pb2.DatasetFeatureStatisticsList()
    reference_copy.CopyFrom(reference)
    anomalies = validate(statistics, schema, reference_copy)
    distances = []
    for info in anomalies.drift_skew_info:
        name = info.path.step[0]
        if info.drift_measurements and all(count.get(name) for count in counts):
            limit = max(max_distance, profile.critical_distance(*(count[name] for count in counts)))
            distances.append(Distance(name, "L-infinity", info.drift_measurements[0].value, limit))
    return distances
