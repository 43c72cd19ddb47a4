"""Statistics of every split by TFDV, and of what TFDV does not look into: images, and the mean input of each class.

Without Beam: TFDV's own generators take one batch after the other, in memory that does not grow with the data. Stock
StatisticsGen takes 7 s for Fashion-MNIST, to build three Beam graphs and to count how often each image occurs.
"""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_data_validation.statistics.generators.basic_stats_generator import BasicStatsGenerator
from tensorflow_data_validation.statistics.generators.stats_generator import CombinerStatsGenerator
from tensorflow_data_validation.statistics.generators.top_k_uniques_sketch_stats_generator import (
    TopKUniquesSketchStatsGenerator,
)
from tensorflow_data_validation.statistics.stats_options import StatsOptions
from tensorflow_data_validation.types import FeaturePath
from tensorflow_data_validation.utils import quantiles_util
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, ExampleStatistics

from components.artifact_files import PROFILE, STATISTICS
from components.example_gen import split_files
from data.checks import histograms
from data.checks.profile import Profile
from data.columnar.file_batches import FileBatches
from data.columnar.workers import over
from data.spec import SPLITS, DatasetSpec, ImageFeature, LabelFeature
from models import progress

IMAGE_NUMBERS = ("brightness", "contrast")  # what stands in the place of an image
BATCH_ROWS = 4096
# Quantiles that are finer than the least distance that counts as drift, and how many times finer TFDV reads its
# sketches, of which it makes the standard histogram.
QUANTILE_BINS, FINER = 100, 100
# Sizes of TFDV's sketches, its defaults: of the most frequent values, and of the number of different ones.
TOP_VALUES, UNIQUE_VALUES = 1024, 16_384
OPTIONS = StatsOptions(num_quantiles_histogram_buckets=QUANTILE_BINS)


Generated = tuple[statistics_pb2.DatasetFeatureStatisticsList, Profile]
STORED = {"bytes": (tf.string, pa.binary()), "int": (tf.int64, pa.int64()), "float": (tf.float32, pa.float32())}


@component
def SplitStatistics(
    examples: InputArtifact[Examples],
    statistics: OutputArtifact[ExampleStatistics],
    spec: Parameter[str],
    beam_args: Parameter[str],
    fingerprint: Parameter[str],
):
    """Writes `Split-<name>/FeatureStats.pb` for each split, as StatisticsGen does, and the training split's profile.

    `beam_args` are Beam's options as JSON.
    """
    facts, files = DatasetSpec.model_validate_json(spec), {split: split_files(examples.uri, split) for split in SPLITS}
    for split, (found, profile) in of_splits(files, facts, json.loads(beam_args)).items():
        file = STATISTICS.path(statistics.uri, split)
        file.parent.mkdir(parents=True)
        file.write_bytes(found.SerializeToString())
        if split == "train":
            profile.save(PROFILE.path(statistics.uri))
    statistics.split_names = examples.split_names
    progress.report(summary=f"{len(found.datasets[0].features)} features")


def generate(files: Sequence[str], spec: DatasetSpec) -> Generated:
    """Returns TFDV's statistics and the profile of TFRecord files; see `of_splits`."""
    return of_splits({"": files}, spec)[""]


def of_splits(
    files: Mapping[str, Sequence[str]], spec: DatasetSpec, beam_args: Sequence[str] = ()
) -> dict[str, Generated]:
    """Returns TFDV's statistics and the profile of each split, the same bits in whatever parts they are read.

    An image is told by mean (`<name>.brightness`) and standard deviation (`<name>.contrast`) of its pixels, 0 to 255.

    Args:
        files: TFRecord files by split.
        spec: The data set's facts.
        beam_args: Beam's options, where several workers read.
    """
    shards = [(split, file) for split, paths in files.items() for file in paths]
    return over(shards, _reader([file for _, file in shards], spec), lambda: _OfSplits(files, spec), beam_args).result()


def _reader(
    files: Sequence[str], spec: DatasetSpec
) -> Callable[[tuple[str, str]], Iterator[tuple[str, pa.RecordBatch]]]:
    """Returns the function from a split and one of its files to the batches of it, which tells how far it is."""
    batches_of, rows = FileBatches(files, BATCH_ROWS), 0

    def read(shard: tuple[str, str]) -> Iterator[tuple[str, pa.RecordBatch]]:
        nonlocal rows
        split, file = shard
        for serialized in batches_of(file):
            yield split, decoded(serialized, spec)
            rows += len(serialized)
            progress.report(rows=rows)

    return read


class _OfSplits:
    """An accumulator of the statistics of several splits: for all of them Beam's workers start once."""

    def __init__(self, splits: Iterable[str], spec: DatasetSpec):
        self._parts = {split: Statistics(spec) for split in splits}

    def add(self, batch: tuple[str, pa.RecordBatch]) -> None:
        """Adds rows of a split."""
        split, rows = batch
        self._parts[split].add(rows)

    def merge(self, other: "_OfSplits") -> None:
        """Adds the statistics of rows that come after those added so far."""
        for split, part in self._parts.items():
            part.merge(other._parts[split])

    def result(self) -> dict[str, Generated]:
        """Returns TFDV's statistics and the profile of each split."""
        return {split: part.result() for split, part in self._parts.items()}


class Statistics:
    """An accumulator of TFDV's statistics and of the profile."""

    def __init__(self, spec: DatasetSpec):
        self._spec, self._profile = spec, Profile(spec)
        self._of_generators = [generator.create_accumulator() for generator in _generators()]

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds rows as they are stored: of each feature a list in each row, of one value or none."""
        columns = {name: _values(batch.column(name), feature) for name, feature in self._spec.features.items()}
        self._profile.add(columns)
        told = _told(batch, columns, self._spec)
        self._of_generators = [
            generator.add_input(one, told) for generator, one in zip(_generators(), self._of_generators, strict=True)
        ]

    def merge(self, other: "Statistics") -> None:
        """Adds the statistics of rows that come after those added so far."""
        self._profile.merge(other._profile)
        self._of_generators = [
            generator.merge_accumulators(pair)
            for generator, *pair in zip(_generators(), self._of_generators, other._of_generators, strict=True)
        ]

    def result(self) -> Generated:
        """Returns TFDV's statistics and the profile."""
        return stats_impl.extract_statistics_output(self._of_generators, _generators()), self._profile


class _BasicStatistics(BasicStatsGenerator):
    """TFDV's generator, but that NumPy makes the histograms of numbers; see `data/checks/histograms.py`."""

    def extract_output(self, accumulator) -> statistics_pb2.DatasetFeatureStatistics:
        statistics = super().extract_output(accumulator)
        for feature in statistics.features:
            # Without values there is at most one histogram, of how many are NaN.
            if any(histogram.buckets for histogram in feature.num_stats.histograms):
                _set_histograms(feature.num_stats, accumulator[FeaturePath.from_proto(feature.path)].numeric_stats)
        return statistics


def _set_histograms(statistics: statistics_pb2.NumericStatistics, partial) -> None:
    """Sets histograms and median of one column by its sketch of quantiles."""
    found = partial.quantiles_summary.GetQuantilesAndCumulativeWeights(QUANTILE_BINS * FINER)
    quantiles, cumulative = (one.flatten().to_numpy(zero_copy_only=False) for one in found)
    if np.isfinite(quantiles[[0, -1]]).all():
        standard = histograms.standard_histogram(quantiles, cumulative, partial.finite_min, partial.finite_max)
    else:
        standard = quantiles_util.generate_equi_width_histogram(
            quantiles,
            cumulative,
            finite_min=partial.finite_min,
            finite_max=partial.finite_max,
            num_buckets=histograms.STANDARD_BINS,
            num_pos_inf=partial.pos_inf_count,
        )
    of_quantiles = histograms.quantiles_histogram(quantiles[::FINER], cumulative[::FINER])
    standard.num_nan = of_quantiles.num_nan = partial.num_nan
    statistics.median = histograms.median(quantiles)
    del statistics.histograms[:]
    statistics.histograms.extend([standard, of_quantiles])


class _TopValuesStatistics(TopKUniquesSketchStatsGenerator):
    """TFDV's generator, without the values that its sketch keeps by chance.

    Of more values than it has room for, the sketch fills what is left with some of those of the least count: which
    ones depends on the process. They stood among the ranks, with other bits in each run. An estimate is at most the
    least count too high: what is kept occurs more often than that, at least half as often as its estimate.
    """

    def extract_output(self, accumulator) -> statistics_pb2.DatasetFeatureStatistics:
        statistics = super().extract_output(accumulator)
        for feature in statistics.features:
            strings = feature.string_stats
            if strings.unique > TOP_VALUES:
                estimate = accumulator[FeaturePath.from_proto(feature.path)].estimate()
                least = min(value.count for value in estimate.topk_unweighted)
                ranks = [one for one in strings.rank_histogram.buckets if one.sample_count > 2 * least]
                top = [one for one in strings.top_values if one.frequency > 2 * least]
                for field, kept in ((strings.rank_histogram.buckets, ranks), (strings.top_values, top)):
                    del field[len(kept) :]  # they stand in the order of their counts
        return statistics


@functools.cache
def _generators() -> list[CombinerStatsGenerator]:
    """Returns TFDV's default generators; that of numbers makes histograms of one bin, which are replaced."""
    basic = _BasicStatistics(num_histogram_buckets=1, num_quantiles_histogram_buckets=1)
    top_values = _TopValuesStatistics(
        num_top_values=OPTIONS.num_top_values,
        num_rank_histogram_buckets=OPTIONS.num_rank_histogram_buckets,
        num_misragries_buckets=TOP_VALUES,
        num_kmv_buckets=UNIQUE_VALUES,
        length_counter_sampling_rate=0,  # its counters are for Beam, and random
    )
    return [basic, top_values]


def decoded(serialized: tf.Tensor, spec: DatasetSpec) -> pa.RecordBatch:
    """Returns serialized rows, string `(batch,)`, by column: of each feature a list of one value, or null.

    As tfx_bsl's decoder does, in half of its time.
    """
    kinds = {name: STORED[feature.stored] for name, feature in spec.features.items()}
    parsers = {name: tf.io.RaggedFeature(dtype) for name, (dtype, _) in kinds.items()}
    columns = tf.io.parse_example(serialized, parsers)
    arrays = [_lists(columns[name], arrow) for name, (_, arrow) in kinds.items()]
    return pa.RecordBatch.from_arrays(arrays, list(kinds))


def _lists(column: tf.RaggedTensor, arrow: pa.DataType) -> pa.ListArray:
    offsets = column.row_splits.numpy()
    values = pa.array(column.flat_values.numpy(), arrow)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(offsets[1:] == offsets[:-1]))


def _values(column: pa.ListArray, feature) -> np.ndarray:
    """Returns a column as an array: images uint8 `(rows, height, width, channels)`, numbers and dates float64 with NaN
    for none, labels int64, text and categories as bool: whether there is one.
    """
    if isinstance(feature, ImageFeature):
        _, _, content = column.flatten().buffers()
        shape = (-1, feature.height, feature.width, feature.channels)
        return np.frombuffer(content, np.uint8).reshape(shape)
    there = column.value_lengths().fill_null(0).to_numpy() > 0
    if isinstance(feature, LabelFeature):
        return column.flatten().to_numpy()
    if feature.stored != "bytes":
        values = np.full(len(column), np.nan)
        values[there] = column.flatten().to_numpy()
        return values
    return there


def _told(batch: pa.RecordBatch, columns: dict[str, np.ndarray], spec: DatasetSpec) -> pa.RecordBatch:
    """Returns the batch with two numbers in the place of each image."""
    told = {}
    for name, feature in spec.features.items():
        if not isinstance(feature, ImageFeature):
            told[name] = batch.column(name)
            continue
        pixels = columns[name].reshape(len(batch), -1).astype(np.float32)
        for kind, values in zip(IMAGE_NUMBERS, (pixels.mean(1), pixels.std(1)), strict=True):
            told[f"{name}.{kind}"] = pa.ListArray.from_arrays(np.arange(len(batch) + 1, dtype=np.int32), values)
    return pa.RecordBatch.from_arrays(list(told.values()), list(told))
