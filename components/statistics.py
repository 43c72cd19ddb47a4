"""Statistics of every split: TFDV's, and those that TFDV lacks, of images and of the mean input of each class.

TFDV's generators take one batch after the other, without Beam, in memory that does not grow with the data. Stock
StatisticsGen takes 7 s for Fashion-MNIST, since it builds three Beam graphs and counts how often each image occurs.
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

IMAGE_NUMBERS = ("brightness", "contrast")  # the statistics have these in place of an image
BATCH_ROWS = 4096
# Bins of the histogram of quantiles, finer than the least distance that counts as drift; and how many times as many
# quantiles are read from TFDV's sketch for the standard histogram.
QUANTILE_BINS, OVERSAMPLING = 100, 100
# Sizes of TFDV's sketches, its defaults: of the most frequent values, and of the number of distinct values.
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
    dataset_spec = DatasetSpec.model_validate_json(spec)
    files = {split: split_files(examples.uri, split) for split in SPLITS}
    for split, (split_statistics, profile) in generate_by_split(files, dataset_spec, json.loads(beam_args)).items():
        file = STATISTICS.path(statistics.uri, split)
        file.parent.mkdir(parents=True)
        file.write_bytes(split_statistics.SerializeToString())
        if split == "train":
            profile.save(PROFILE.path(statistics.uri))
    statistics.split_names = examples.split_names
    progress.report(summary=f"{len(split_statistics.datasets[0].features)} features")


def generate(files: Sequence[str], spec: DatasetSpec) -> Generated:
    """Returns TFDV's statistics and the profile of TFRecord files; see `generate_by_split`."""
    return generate_by_split({"": files}, spec)[""]


def generate_by_split(
    files: Mapping[str, Sequence[str]], spec: DatasetSpec, beam_args: Sequence[str] = ()
) -> dict[str, Generated]:
    """Returns TFDV's statistics and the profile of each split, the same bits for any number of workers.

    In place of an image they have the mean (`<name>.brightness`) and the standard deviation (`<name>.contrast`) of its
    pixels, 0 to 255.

    Args:
        files: TFRecord files by split.
        spec: The data set's features.
        beam_args: Beam's options, if several workers read.
    """
    shards = [(split, file) for split, paths in files.items() for file in paths]
    return over(
        shards, _reader([file for _, file in shards], spec), lambda: _SplitAccumulator(files, spec), beam_args
    ).result()


def _reader(
    files: Sequence[str], spec: DatasetSpec
) -> Callable[[tuple[str, str]], Iterator[tuple[str, pa.RecordBatch]]]:
    """Returns a function from (split, file) to the batches of the file; it reports the number of rows read."""
    batches_of, num_rows = FileBatches(files, BATCH_ROWS), 0

    def read(shard: tuple[str, str]) -> Iterator[tuple[str, pa.RecordBatch]]:
        nonlocal num_rows
        split, file = shard
        for serialized in batches_of(file):
            yield split, decoded(serialized, spec)
            num_rows += len(serialized)
            progress.report(rows=num_rows)

    return read


class _SplitAccumulator:
    """An accumulator of the statistics of several splits, so that Beam's workers start once for all of them."""

    def __init__(self, splits: Iterable[str], spec: DatasetSpec):
        self._parts = {split: Statistics(spec) for split in splits}

    def add(self, batch: tuple[str, pa.RecordBatch]) -> None:
        """Adds a batch: the name of its split, and its rows."""
        split, rows = batch
        self._parts[split].add(rows)

    def merge(self, other: "_SplitAccumulator") -> None:
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
        self._accumulators = [generator.create_accumulator() for generator in _generators()]

    def add(self, batch: pa.RecordBatch) -> None:
        """Adds rows as they are stored: each feature is a column of lists of one value or none."""
        columns = {name: _values(batch.column(name), feature) for name, feature in self._spec.features.items()}
        self._profile.add(columns)
        numbers = _with_image_numbers(batch, columns, self._spec)
        self._accumulators = [
            generator.add_input(accumulator, numbers)
            for generator, accumulator in zip(_generators(), self._accumulators, strict=True)
        ]

    def merge(self, other: "Statistics") -> None:
        """Adds the statistics of rows that come after those added so far."""
        self._profile.merge(other._profile)
        self._accumulators = [
            generator.merge_accumulators(accumulators)
            for generator, *accumulators in zip(_generators(), self._accumulators, other._accumulators, strict=True)
        ]

    def result(self) -> Generated:
        """Returns TFDV's statistics and the profile."""
        return stats_impl.extract_statistics_output(self._accumulators, _generators()), self._profile


class _BasicStatistics(BasicStatsGenerator):
    """TFDV's generator, with histograms of numbers computed by NumPy; see `data/checks/histograms.py`."""

    def extract_output(self, accumulator) -> statistics_pb2.DatasetFeatureStatistics:
        statistics = super().extract_output(accumulator)
        for feature in statistics.features:
            # Without finite or infinite values there is at most one histogram, without bins, which counts NaN.
            if any(histogram.buckets for histogram in feature.num_stats.histograms):
                _set_histograms(feature.num_stats, accumulator[FeaturePath.from_proto(feature.path)].numeric_stats)
        return statistics


def _set_histograms(statistics: statistics_pb2.NumericStatistics, partial) -> None:
    """Sets histograms and median of a column, from TFDV's partial statistics, which hold a sketch of its quantiles."""
    columns = partial.quantiles_summary.GetQuantilesAndCumulativeWeights(QUANTILE_BINS * OVERSAMPLING)
    quantiles, cumulative = (column.flatten().to_numpy(zero_copy_only=False) for column in columns)
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
    quantiles_histogram = histograms.quantiles_histogram(quantiles[::OVERSAMPLING], cumulative[::OVERSAMPLING])
    standard.num_nan = quantiles_histogram.num_nan = partial.num_nan
    statistics.median = histograms.median(quantiles)
    del statistics.histograms[:]
    statistics.histograms.extend([standard, quantiles_histogram])


class _TopValuesStatistics(TopKUniquesSketchStatsGenerator):
    """TFDV's generator, without the values that its sketch keeps by chance.

    If there are more values than the sketch has room for, it fills the rest with some values of the least count; which
    ones depends on the process, so that the ranks would differ between runs. An estimated count is too high by at most
    the least count: of a value that is kept here, estimated at more than twice the least count, at least half of the
    estimate is true.
    """

    def extract_output(self, accumulator) -> statistics_pb2.DatasetFeatureStatistics:
        statistics = super().extract_output(accumulator)
        for feature in statistics.features:
            strings = feature.string_stats
            if strings.unique > TOP_VALUES:
                estimate = accumulator[FeaturePath.from_proto(feature.path)].estimate()
                least = min(value.count for value in estimate.topk_unweighted)
                ranks = [rank for rank in strings.rank_histogram.buckets if rank.sample_count > 2 * least]
                top = [value for value in strings.top_values if value.frequency > 2 * least]
                for field, kept in ((strings.rank_histogram.buckets, ranks), (strings.top_values, top)):
                    del field[len(kept) :]  # both are sorted by count, the greatest first
        return statistics


@functools.cache
def _generators() -> list[CombinerStatsGenerator]:
    """Returns TFDV's default generators; histograms of numbers have one bin: `_set_histograms` replaces them."""
    basic = _BasicStatistics(num_histogram_buckets=1, num_quantiles_histogram_buckets=1)
    top_values = _TopValuesStatistics(
        num_top_values=OPTIONS.num_top_values,
        num_rank_histogram_buckets=OPTIONS.num_rank_histogram_buckets,
        num_misragries_buckets=TOP_VALUES,
        num_kmv_buckets=UNIQUE_VALUES,
        length_counter_sampling_rate=0,  # its counters are random, and for Beam only
    )
    return [basic, top_values]


def decoded(serialized: tf.Tensor, spec: DatasetSpec) -> pa.RecordBatch:
    """Returns serialized rows, string `(batch,)`, as columns of lists of one value, null where a row has none.

    tfx_bsl's decoder returns the same in twice the time.
    """
    types = {name: STORED[feature.stored] for name, feature in spec.features.items()}
    parsers = {name: tf.io.RaggedFeature(dtype) for name, (dtype, _) in types.items()}
    columns = tf.io.parse_example(serialized, parsers)
    arrays = [_lists(columns[name], arrow_type) for name, (_, arrow_type) in types.items()]
    return pa.RecordBatch.from_arrays(arrays, list(types))


def _lists(column: tf.RaggedTensor, arrow_type: pa.DataType) -> pa.ListArray:
    """Returns a ragged column as Arrow lists, null in place of an empty list."""
    offsets = column.row_splits.numpy()
    values = pa.array(column.flat_values.numpy(), arrow_type)
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(offsets[1:] == offsets[:-1]))


def _values(column: pa.ListArray, feature) -> np.ndarray:
    """Returns a column as an array: images uint8 `(rows, height, width, channels)`, numbers and dates float64 `(rows,)`
    with NaN for a missing value, labels int64 `(rows,)`, text and categories bool `(rows,)`: whether a row has a value.
    """
    if isinstance(feature, ImageFeature):
        _, _, content = column.flatten().buffers()
        shape = (-1, feature.height, feature.width, feature.channels)
        return np.frombuffer(content, np.uint8).reshape(shape)
    is_present = column.value_lengths().fill_null(0).to_numpy() > 0
    if isinstance(feature, LabelFeature):
        return column.flatten().to_numpy()
    if feature.stored != "bytes":
        values = np.full(len(column), np.nan)
        values[is_present] = column.flatten().to_numpy()
        return values
    return is_present


def _with_image_numbers(batch: pa.RecordBatch, columns: dict[str, np.ndarray], spec: DatasetSpec) -> pa.RecordBatch:
    """Returns the batch with brightness and contrast in place of each image; `columns` holds the pixels."""
    arrays = {}
    for name, feature in spec.features.items():
        if not isinstance(feature, ImageFeature):
            arrays[name] = batch.column(name)
            continue
        pixels = columns[name].reshape(len(batch), -1).astype(np.float32)
        for number, values in zip(IMAGE_NUMBERS, (pixels.mean(1), pixels.std(1)), strict=True):
            arrays[f"{name}.{number}"] = pa.ListArray.from_arrays(np.arange(len(batch) + 1, dtype=np.int32), values)
    return pa.RecordBatch.from_arrays(list(arrays.values()), list(arrays))
