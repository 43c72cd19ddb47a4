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
    rows = []
    for index in range(count):
        image = np.full((2, 2, 1), shade + index % 50, np.uint8)
        image[0] -= 10  # a contrast of 5
        row = {"image": image, "age": float(index), "plan": f"plan {index % 3}", "label": index % 2}
        rows.append(row if index % 4 else {"image": image, "label": 1})
    return rows


def _generate(rows: list[dict], folder):
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
    found, _ = _generate(_rows(100), tmp_path)
    (pattern,) = split_files(str(tmp_path), "train")
    expected = tfdv.generate_statistics_from_tfrecord(pattern, stats_options=statistics.OPTIONS)

    ours = {feature.path.step[0]: feature for feature in found.datasets[0].features}
    theirs = {feature.path.step[0]: feature for feature in expected.datasets[0].features}
    assert set(ours) == {"age", "plan", "label", "image.brightness", "image.contrast"}
    assert found.datasets[0].num_examples == expected.datasets[0].num_examples == 100
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


# TFDV takes the mean of infinite values of both signs.
OF_INFINITE = pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")


def _shards(folder, count: int, rows: int) -> list[str]:
    """Writes TFRecord files of numbers: skewed, repeated, NaN and infinite, and of none."""
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

    found = decoded(tf.constant(serialized), NUMBERS)

    for name in NUMBERS.features:
        of_decoder = expected.column(name).cast(pa.list_(found.column(name).type.value_type))
        assert str(found.column(name)) == str(of_decoder)  # not equal: there is a NaN
        assert found.column(name).null_count == of_decoder.null_count


@OF_INFINITE
def test_all_numbers_are_those_of_tfdvs_generators_on_the_same_shards(tmp_path):
    from tensorflow_data_validation.statistics import stats_impl

    from components import statistics
    from data.columnar.file_batches import FileBatches

    files = _shards(tmp_path, 3, 700)
    generators, parts = stats_impl.get_generators(statistics.OPTIONS, in_memory=True), []
    for file in files:
        parts.append([generator.create_accumulator() for generator in generators])
        for serialized in FileBatches([file], statistics.BATCH_ROWS)(file):
            batch = statistics.decoded(serialized, NUMBERS)
            parts[-1] = [one.add_input(part, batch) for one, part in zip(generators, parts[-1], strict=True)]
    merged = [one.merge_accumulators(of_one) for one, of_one in zip(generators, zip(*parts, strict=True), strict=True)]
    expected = stats_impl.extract_statistics_output(merged, generators)

    found, _ = statistics.generate(files, NUMBERS)

    (text, numbers), (expected_text, expected_numbers) = map(_text_and_numbers, (found, expected))
    assert text == expected_text
    assert numbers == pytest.approx(expected_numbers, rel=1e-4)  # TFDV shares out the bins in float32
    assert {len(one.num_stats.histograms) for one in found.datasets[0].features if one.num_stats.mean} == {2}


NUMBER = re.compile(r"(?<=: )-?\d[\d.e+-]*")


def _text_and_numbers(statistics) -> tuple[str, list[float]]:
    """Returns statistics as text with # for each number, and the numbers."""
    features = sorted(statistics.datasets[0].features, key=lambda one: one.path.step[0])
    text = "\n".join(map(str, features))
    return NUMBER.sub("#", text), list(map(float, NUMBER.findall(text)))


def test_values_that_the_full_sketch_keeps_by_chance_are_left_out():
    """Which ones it keeps depends on the process: with them the bits of two runs differed."""
    from components.statistics import Statistics

    made = Statistics(SPEC.model_copy(update={"features": {"word": CategoryFeature()}}))
    words = [[f"word {number}".encode()] for number in np.random.default_rng(0).zipf(1.2, 20_000)]

    made.add(pa.RecordBatch.from_arrays([pa.array(words, pa.list_(pa.binary()))], ["word"]))

    (word,) = made.result()[0].datasets[0].features
    (of_values,) = made._accumulators[1].values()
    counts = sorted((value.count for value in of_values.estimate().topk_unweighted), reverse=True)
    assert len(counts) == 1024 < word.string_stats.unique
    expected = [count for count in counts if count > 2 * counts[-1]]
    assert [one.sample_count for one in word.string_stats.rank_histogram.buckets] == expected
    assert [one.value for one in word.string_stats.top_values[:2]] == ["word 1", "word 2"]


def test_of_more_values_than_the_sketch_has_room_for_none_that_occurs_once_is_among_the_frequent():
    """3,000 values, each there once: some were told as there three times."""
    from components.statistics import Statistics

    made = Statistics(SPEC.model_copy(update={"features": {"word": CategoryFeature()}}))
    words = [[f"word {number}".encode()] for number in range(3000)]

    made.add(pa.RecordBatch.from_arrays([pa.array(words, pa.list_(pa.binary()))], ["word"]))

    (word,) = made.result()[0].datasets[0].features
    assert list(word.string_stats.top_values) == list(word.string_stats.rank_histogram.buckets) == []


def test_an_image_is_told_by_brightness_and_contrast(tmp_path):
    found, profile = _generate(_rows(50), tmp_path)

    numbers = {feature.path.step[0]: feature.num_stats for feature in found.datasets[0].features}
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
