import re

import numpy as np
import pyarrow as pa
import pytest

from data.config import DriftCheck
from data.spec import CategoryFeature, DatasetSpec, ImageFeature, LabelFeature, NumberFeature, TextFeature

pytestmark = pytest.mark.slow  # loads TFDV

SPEC = DatasetSpec(
    name="tiny",
    title="made up",
    licence="none",
    features={
        "image": ImageFeature(height=2, width=2, channels=1),
        "age": NumberFeature(optional=True),
        "plan": TextFeature(optional=True),
        "label": LabelFeature(classes=("cat", "dog")),
    },
)


def _rows(count: int, shade: int = 100) -> list[dict]:
    """Returns rows of images of a shade and contrast 5; every fourth row has neither age nor plan."""
    rows = []
    for index in range(count):
        image = np.full((2, 2, 1), shade + index % 50, np.uint8)
        image[0] -= 10  # a contrast of 5
        row = {"image": image, "age": float(index), "plan": f"plan {index % 3}", "label": index % 2}
        rows.append(row if index % 4 else {"image": image, "label": 1})
    return rows


def _generate(rows: list[dict], folder):
    """Returns statistics and profile of rows."""
    from components.example_gen import split_files, write_splits
    from components.statistics import generate
    from data.columnar.batches import of_rows

    write_splits(of_rows((("train", row) for row in rows), SPEC), SPEC, folder)
    return generate(split_files(str(folder), "train"), SPEC)


def test_the_statistics_are_those_of_tfdv_over_beam(tmp_path, monkeypatch):
    import tensorflow_data_validation as tfdv

    from components import statistics
    from components.example_gen import split_files

    monkeypatch.setattr(statistics, "BATCH_ROWS", 7)  # so that batches are merged
    statistics_list, _ = _generate(_rows(100), tmp_path)
    (pattern,) = split_files(str(tmp_path), "train")
    expected = tfdv.generate_statistics_from_tfrecord(pattern, stats_options=statistics.OPTIONS)

    ours = {feature.path.step[0]: feature for feature in statistics_list.datasets[0].features}
    theirs = {feature.path.step[0]: feature for feature in expected.datasets[0].features}
    assert set(ours) == {"age", "plan", "label", "image.brightness", "image.contrast"}
    assert statistics_list.datasets[0].num_examples == expected.datasets[0].num_examples == 100
    for name in ("age", "label"):
        assert ours[name].num_stats.mean == pytest.approx(theirs[name].num_stats.mean)
        assert ours[name].num_stats.std_dev == pytest.approx(theirs[name].num_stats.std_dev)
        assert ours[name].num_stats.common_stats.num_missing == theirs[name].num_stats.common_stats.num_missing
    assert ours["plan"].string_stats.unique == theirs["plan"].string_stats.unique == 3
    assert [(top.value, top.frequency) for top in ours["plan"].string_stats.top_values] == [
        (top.value, top.frequency) for top in theirs["plan"].string_stats.top_values
    ]


NUMBERS = DatasetSpec(
    name="numbers",
    title="made up",
    licence="none",
    features={
        "price": NumberFeature(optional=True),
        "level": NumberFeature(),
        "odd": NumberFeature(),
        "none": NumberFeature(optional=True),
        "plan": TextFeature(optional=True),
        "label": LabelFeature(classes=("cat", "dog")),
    },
)


# TFDV computes the mean of infinite values of both signs.
IGNORE_INVALID_MEAN = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")


def _shards(folder, count: int, rows: int) -> list[str]:
    """Writes TFRecord files of numbers: skewed, repeated, NaN, infinite, and a column without values."""
    import tensorflow as tf

    from data import examples

    random, files = np.random.default_rng(0), []
    for number in range(count):
        files.append(str(folder / f"data-{number:05d}.tfrecord"))
        with tf.io.TFRecordWriter(files[-1]) as writer:
            for index in range(rows):
                row = {"level": random.integers(11) / 10, "label": index % 2}  # on the edges of bins
                row["odd"] = [np.nan, np.inf, -np.inf][index] if number == 0 and index < 3 else float(index)
                if index % 4:
                    row |= {"price": random.lognormal(sigma=3), "plan": f"plan {random.integers(200)}"}
                writer.write(examples.encode(row, NUMBERS))
    return files


def test_rows_are_read_as_tfx_bsl_reads_them(tmp_path):
    import tensorflow as tf
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    from components.statistics import decoded

    (file,) = _shards(tmp_path, 1, 20)
    schema = schema_pb2.Schema()
    for name, feature in NUMBERS.features.items():
        schema.feature.add(name=name, type=schema_pb2.FeatureType.Value(feature.stored.upper()))
    serialized = list(tf.data.TFRecordDataset(file).as_numpy_iterator())
    expected = ExamplesToRecordBatchDecoder(schema.SerializeToString()).DecodeBatch(serialized)

    batch = decoded(tf.constant(serialized), NUMBERS)

    for name in NUMBERS.features:
        expected_column = expected.column(name).cast(pa.list_(batch.column(name).type.value_type))
        assert str(batch.column(name)) == str(expected_column)  # as text, since NaN does not equal NaN
        assert batch.column(name).null_count == expected_column.null_count


@IGNORE_INVALID_MEAN
def test_all_statistics_are_those_of_tfdvs_generators_on_the_same_shards(tmp_path):
    from tensorflow_data_validation.statistics import stats_impl

    from components import statistics
    from data.columnar.file_batches import FileBatches

    files = _shards(tmp_path, 3, 700)
    generators, parts = stats_impl.get_generators(statistics.OPTIONS, in_memory=True), []
    for file in files:
        parts.append([generator.create_accumulator() for generator in generators])
        for serialized in FileBatches([file], statistics.BATCH_ROWS)(file):
            batch = statistics.decoded(serialized, NUMBERS)
            parts[-1] = [
                generator.add_input(part, batch) for generator, part in zip(generators, parts[-1], strict=True)
            ]
    merged = [
        generator.merge_accumulators(accumulators)
        for generator, accumulators in zip(generators, zip(*parts, strict=True), strict=True)
    ]
    expected = stats_impl.extract_statistics_output(merged, generators)

    generated, _ = statistics.generate(files, NUMBERS)

    (text, numbers), (expected_text, expected_numbers) = map(_text_and_numbers, (generated, expected))
    assert text == expected_text
    assert numbers == pytest.approx(expected_numbers, rel=1e-4)  # TFDV divides the bins in float32
    assert {
        len(feature.num_stats.histograms) for feature in generated.datasets[0].features if feature.num_stats.mean
    } == {2}


NUMBER = re.compile(r"(?<=: )-?\d[\d.e+-]*")


def _text_and_numbers(statistics) -> tuple[str, list[float]]:
    """Returns statistics as text with # for each number, and the numbers."""
    features = sorted(statistics.datasets[0].features, key=lambda feature: feature.path.step[0])
    text = "\n".join(map(str, features))
    return NUMBER.sub("#", text), list(map(float, NUMBER.findall(text)))


def test_values_that_a_full_sketch_keeps_by_chance_are_left_out():
    """Which ones it keeps depends on the process, so that two runs differed."""
    from components.statistics import Statistics

    statistics = Statistics(SPEC.model_copy(update={"features": {"word": CategoryFeature()}}))
    words = [[f"word {number}".encode()] for number in np.random.default_rng(0).zipf(1.2, 20_000)]

    statistics.add(pa.RecordBatch.from_arrays([pa.array(words, pa.list_(pa.binary()))], ["word"]))

    (word,) = statistics.result()[0].datasets[0].features
    (top_values,) = statistics._accumulators[1].values()
    counts = sorted((value.count for value in top_values.estimate().topk_unweighted), reverse=True)
    assert len(counts) == 1024 < word.string_stats.unique
    expected = [count for count in counts if count > 2 * counts[-1]]
    assert [bucket.sample_count for bucket in word.string_stats.rank_histogram.buckets] == expected
    assert [top.value for top in word.string_stats.top_values[:2]] == ["word 1", "word 2"]


def test_values_that_occur_once_are_not_frequent_when_the_sketch_is_full():
    """Of 3,000 distinct values some were counted three times."""
    from components.statistics import Statistics

    statistics = Statistics(SPEC.model_copy(update={"features": {"word": CategoryFeature()}}))
    words = [[f"word {number}".encode()] for number in range(3000)]

    statistics.add(pa.RecordBatch.from_arrays([pa.array(words, pa.list_(pa.binary()))], ["word"]))

    (word,) = statistics.result()[0].datasets[0].features
    assert list(word.string_stats.top_values) == list(word.string_stats.rank_histogram.buckets) == []


def test_statistics_of_an_image_are_brightness_and_contrast(tmp_path):
    statistics, profile = _generate(_rows(50), tmp_path)

    numbers = {feature.path.step[0]: feature.num_stats for feature in statistics.datasets[0].features}
    assert numbers["image.brightness"].min == 95
    assert numbers["image.brightness"].max == 144
    assert numbers["image.contrast"].mean == pytest.approx(5)
    assert profile.arrays["rows"].tolist() == [50]
    assert profile.arrays["age.present"].tolist() == profile.arrays["plan.present"].tolist() == [37]
    assert profile.arrays["label.shares"].tolist() == [12, 38]


def test_brighter_images_drift(tmp_path):
    from components.data_gate import find_drift
    from data.checks.reference import DataSummary

    first, profile = _generate(_rows(200), tmp_path / "first")
    second, brighter = _generate(_rows(200, shade=180), tmp_path / "second")
    before, after = DataSummary(first, profile.arrays), DataSummary(second, brighter.arrays)

    drifts = find_drift(before, after, SPEC, DriftCheck())

    assert [drift.feature for drift in drifts] == ["image.brightness"]
    assert "values are 1.00 away" in drifts[0].sentence
