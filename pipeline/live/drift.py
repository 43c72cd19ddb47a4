"""How far requests, or the newest span of the data, are from the data that the live model was trained on."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from components.data_gate import validate, without_images
from components.schema import schema_text
from components.statistics import generate
from data import examples, loading
from data.checks import profile
from data.errors import ConfigError
from data.files import atomic
from data.spec import BadRow, CategoryFeature, DatasetSpec, Row, TextFeature
from data.texts import to_json
from models.serving.rollout.references import references
from models.serving.rollout.rollouts import live_version
from pipeline.core.config import NamedConfig
from pipeline.core.files import private_files
from pipeline.core.paths import PipelinePaths
from pipeline.live import samples
from pipeline.live.samples import Sample

MIN_ROWS = 50  # of fewer nothing can be said


@dataclass(frozen=True)
class Distance:
    """How far one feature is from the training data.

    Attributes:
        feature: Its name; of an image `<name>.brightness` and `<name>.contrast`.
        measure: `Kolmogorov-Smirnov` of numbers, `L-infinity` of categories, TFDV's.
        value: From 0 to 1.
        limit: From where on it is drift: what was asked for, or what chance alone makes of so few rows.
        reference: Which data it is held against.
    """

    feature: str
    measure: str
    value: float
    limit: float
    reference: str = ""

    @property
    def drifted(self) -> bool:
        """Whether it is far."""
        return self.margin < 0

    @property
    def margin(self) -> float:
        """How much farther it may be; below 0 it is too far."""
        return self.limit - self.value


def measure(
    named: NamedConfig, home: Path, *, kinds: Collection[str], max_distance: float, since: float = 0.0
) -> dict[str, list[Distance]]:
    """Returns kind -> the distances of its features, the farthest first, and writes them down.

    Args:
        named: The pipeline.
        home: Folder of `runs/` and `serving/`.
        kinds: `served`, the sampled requests, `spans`, the newest span; one that cannot be measured is left out.
        max_distance: Distance from which on it is drift, from 0 to 1.
        since: Samples after this moment only, in seconds since 1970; those from before the live version never count.

    Raises:
        ConfigError: None of the kinds can be measured.
        DataError: The file of the reference data is damaged, or the newest span cannot be read.
    """
    paths = PipelinePaths.of(home, named.name)
    published = float(live_version(paths.serving) or 0)
    found, problems = {}, []
    for kind in kinds:
        try:
            if kind == "served":
                kept = samples.read(paths.samples, max(since, published))
                found[kind] = served(paths, named.dataset.spec, kept, max_distance)
            else:
                found[kind] = newest_span(paths, named, max_distance)
        except ConfigError as error:
            problems.append(str(error))
    if not found:
        raise ConfigError(" ".join(problems))
    write(paths, found, named.dataset.last_digest())
    return found


def served(paths: PipelinePaths, spec: DatasetSpec, kept: list[Sample], max_distance: float) -> list[Distance]:
    """Returns how far each feature of sampled requests is from the training data, the farthest first.

    Requests are held against the data of the version that answered them, where its profile is kept, else against that
    of the live version; a feature that two versions were asked about counts where it is farther.

    Raises:
        ConfigError: No version has enough samples, or no data was accepted yet.
        DataError: The file of the reference data is damaged.
    """
    inputs, rows = _inputs_of(spec), defaultdict(list)
    for sample in kept:
        if row := sample.stored(inputs):
            rows[sample.version].append(row)
    found = {version: some for version, some in rows.items() if len(some) >= MIN_ROWS}
    if not found:
        raise ConfigError(
            f"{max(map(len, rows.values()), default=0)} requests were sampled since the live version was published, "
            f"{MIN_ROWS} are needed; is serving.sample.rate above 0?"
        )
    farthest: dict[str, Distance] = {}
    for version, some in found.items():
        for one in _distances(paths, inputs, some, max_distance, version=version):
            if one.feature not in farthest or one.margin < farthest[one.feature].margin:
                farthest[one.feature] = one
    return sorted(farthest.values(), key=lambda one: one.margin)


def newest_span(paths: PipelinePaths, named: NamedConfig, max_distance: float) -> list[Distance]:
    """Returns how far each feature of the newest span is from the data of the live version, the farthest first.

    Raises:
        ConfigError: The data has no spans, the newest has too few rows, or no data was accepted yet.
        DataError: It cannot be read.
    """
    if named.dataset.spans is None:
        raise ConfigError(f"The data of {named.name} has no spans; name {{SPAN}} or a date in data.files.")
    # What was inferred is that of all spans, as training takes it: one alone may tell something else.
    read_by = named.dataset.read_by(named.config.data)
    data = read_by.model_copy(update={"window": 1, "test_spans": 0})
    found = loading.load(data, named.name, named.base, plan={})  # in whatever split
    inputs = _inputs_of(found.spec)
    # As plain rows: of a picture the pixels are kept, not its file.
    rows = [dict(row) for _, row in loading.open_rows(found, data) if not isinstance(row, BadRow)]
    if len(rows) < MIN_ROWS:
        raise ConfigError(f"The newest span has {len(rows)} rows, {MIN_ROWS} are needed.")
    return _distances(paths, inputs, rows, max_distance)


def as_json(found: dict[str, list[Distance]]) -> dict[str, list[dict[str, Any]]]:
    """Returns what was found as JSON values."""
    return {kind: [{**asdict(one), "drifted": one.drifted} for one in distances] for kind, distances in found.items()}


def write(paths: PipelinePaths, found: dict[str, list[Distance]], digest: str) -> None:
    """Writes down what was found, and of which data, for pages and for who asks later."""
    values = {"time": time.time(), "data_digest": digest, **as_json(found)}
    with private_files():
        atomic.write(paths.drift, to_json(values, indent=1))


def _inputs_of(spec: DatasetSpec) -> DatasetSpec:
    kept = {name: feature for name, feature in spec.features.items() if not feature.target}
    return spec.model_copy(update={"features": kept})


def _distances(
    paths: PipelinePaths, spec: DatasetSpec, rows: list[Row], max_distance: float, *, version: int | None = None
) -> list[Distance]:
    """Returns how far each feature is from the data of a version, else of the live one, the farthest first.

    Raises:
        ConfigError: No data was accepted yet.
        DataError: The file of the reference data is damaged.
    """
    found = references(paths.profiles, paths.accepted, paths.serving, version=version)
    if not found:
        raise ConfigError(f"No run of {paths.runs.name} has accepted data yet; there is nothing to compare with.")
    reference, statistics = found[0].read().statistics, _statistics(spec, rows)
    distances = [*_of_numbers(reference, statistics, max_distance)]
    distances += _of_texts(reference, statistics, spec, max_distance)
    named = [replace(one, reference=found[0].name) for one in distances]
    return sorted(named, key=lambda one: one.margin)


def _statistics(spec: DatasetSpec, rows: list[Row]) -> statistics_pb2.DatasetFeatureStatisticsList:
    """Returns TFDV's statistics of rows, as a run makes them of its data."""
    with tempfile.TemporaryDirectory() as scratch:
        file = str(Path(scratch) / "rows.tfrecord")
        with tf.io.TFRecordWriter(file) as writer:
            for row in rows:
                writer.write(examples.encode(row, spec))
        found, _ = generate([file], spec)
    return found


def _of_numbers(
    reference: statistics_pb2.DatasetFeatureStatisticsList,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    max_distance: float,
) -> list[Distance]:
    """Returns the distance of each number, by quantiles: TFDV's own measure of numbers is noisy, see the data gate."""
    before, now = (profile.quantiles(one.datasets[0].features) for one in (reference, statistics))
    found = []
    for name in sorted(before.keys() & now.keys()):
        (old, old_count), (new, new_count) = before[name], now[name]
        distance = profile.kolmogorov_smirnov(old, new)
        found.append(
            Distance(name, "Kolmogorov-Smirnov", distance, max(max_distance, profile.chance(old_count, new_count)))
        )
    return found


def _of_texts(
    reference: statistics_pb2.DatasetFeatureStatisticsList,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    spec: DatasetSpec,
    max_distance: float,
) -> list[Distance]:
    """Returns TFDV's distance of each category and text: the greatest difference of a value's share."""
    kinds = (CategoryFeature, TextFeature)
    schema = without_images(text_format.Parse(schema_text(spec), schema_pb2.Schema()), spec)
    names = [name for name, feature in spec.features.items() if isinstance(feature, kinds)]
    for feature in schema.feature:
        if feature.name in names:
            feature.drift_comparator.infinity_norm.threshold = max_distance
            feature.string_domain.ClearField("value")
    there = {one.path.step[0]: one for one in reference.datasets[0].features}
    counts = [
        {one.path.step[0]: one.string_stats.common_stats.num_non_missing for one in each.datasets[0].features}
        for each in (reference, statistics)
    ]
    if not names:
        return []
    kept = statistics_pb2.DatasetFeatureStatisticsList()
    kept.CopyFrom(reference)
    told = validate(statistics, schema, kept)
    found = []
    for info in told.drift_skew_info:
        name = info.path.step[0]
        if name in there and info.drift_measurements and all(count.get(name) for count in counts):
            limit = max(max_distance, profile.chance(*(count[name] for count in counts)))
            found.append(Distance(name, "L-infinity", info.drift_measurements[0].value, limit))
    return found
