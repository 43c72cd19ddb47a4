"""Results of analyzers without Beam, compared with those of TFT on Beam."""

from pathlib import Path

import numpy as np
import pytest

from models import registry

pytestmark = pytest.mark.slow


def _schema(spec):
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components.schema import schema_text

    return text_format.Parse(schema_text(spec), schema_pb2.Schema())


def _learn(function, spec, files, folder: Path):
    """Returns the output of our analyzers, and the operations that needed Beam."""
    import tensorflow_transform as tft

    from models.preprocessing.learning import learn

    folder.mkdir()
    on_beam = learn(function, _schema(spec), files, 100, folder)
    return tft.TFTransformOutput(str(folder)), on_beam


def _by_tft(function, spec, files, folder: Path):
    """Returns the output of stock TFT from record batches."""
    import apache_beam as beam
    import tensorflow_transform as tft
    import tensorflow_transform.beam as tft_beam
    from tensorflow_transform.tf_metadata import dataset_metadata
    from tfx_bsl.tfxio import tf_example_record

    schema = _schema(spec)
    source = tf_example_record.TFExampleRecord(files, schema=schema, telemetry_descriptors=["test"])
    with beam.Pipeline("FnApiRunner") as pipeline, tft_beam.Context(temp_dir=f"{folder}/tmp"):
        data = pipeline | source.BeamSource()
        transform_fn = (data, source.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(function)
        transform_fn | tft_beam.WriteTransformFn(str(folder))
        raw = dataset_metadata.DatasetMetadata(schema)
        raw | tft_beam.WriteMetadata(f"{folder}/{tft.TFTransformOutput.RAW_METADATA_DIR}", pipeline)
    return tft.TFTransformOutput(str(folder))


def _write(rows, spec, folder: Path, files: int) -> list[str]:
    """Writes rows as `files` TFRecord files; returns their paths."""
    import tensorflow as tf

    from data.examples import encode

    paths = [str(folder / f"data-{number:05d}.tfrecord") for number in range(files)]
    for path, begin in zip(paths, range(0, len(rows), -(-len(rows) // files)), strict=True):
        with tf.io.TFRecordWriter(path) as writer:
            for row in rows[begin : begin + -(-len(rows) // files)]:
                writer.write(encode(row, spec))
    return paths


def _features(output, files):
    """Returns the transformed features of all rows."""
    import tensorflow as tf

    serialized = tf.constant(list(tf.data.TFRecordDataset(files).as_numpy_iterator()))
    raw = tf.io.parse_example(serialized, output.raw_feature_spec())
    return {name: value.numpy() for name, value in output.transform_features_layer()(raw).items()}


def _assets(output) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(output.transform_savedmodel_dir, "assets").glob("*")}


def _metadata(output) -> dict[str, str]:
    """Returns the files beside the SavedModel, by folder and name."""
    folders = (output.TRANSFORMED_METADATA_DIR, output.RAW_METADATA_DIR)
    root = Path(output.transform_savedmodel_dir).parent
    return {f"{path.parent.name}/{path.name}": path.read_text() for name in folders for path in (root / name).glob("*")}


@pytest.mark.parametrize("name", sorted(registry.TASKS))
def test_every_tasks_preprocessing_is_that_of_tft_on_beam(name, tmp_path):
    from tests.models.tiny import MADE_UP, rows_of, spec_of

    task, spec = registry.task(name), spec_of(name)
    config = task.config(**MADE_UP[name][2])
    files = _write(rows_of(name, 48, seed=0), spec, tmp_path, files=1)

    def function(raw):
        return task.preprocessing_fn(raw, config, spec)

    learned, on_beam = _learn(function, spec, files, tmp_path / "learned")
    expected = _by_tft(function, spec, files, tmp_path / "expected")

    assert on_beam == []
    assert _assets(learned) == _assets(expected)
    assert _metadata(learned) == _metadata(expected)
    for key, value in _features(expected, files).items():
        # Loose: on Beam TFT's mean of days in float32 differs that much from run to run, as the sizes of batches do.
        np.testing.assert_allclose(_features(learned, files)[key], value, rtol=5e-3, atol=5e-3, err_msg=key)


def test_analyzers_may_be_chained_and_a_vocabulary_may_be_of_integers_or_empty(tmp_path):
    import tensorflow as tf
    import tensorflow_transform as tft

    from data.spec import CategoryFeature, DatasetSpec, LabelFeature, NumberFeature

    features = {"n": NumberFeature(), "c": CategoryFeature(), "label": LabelFeature(classes=("a", "b"))}
    spec = DatasetSpec(name="x", title="", licence="", features=features)
    rows = [{"n": float(index), "c": "zwei\n" if index % 3 else "eins", "label": index % 2} for index in range(20)]
    files = _write(rows, spec, tmp_path, files=3)

    def function(raw):
        centred = raw["n"] - tft.mean(raw["n"])
        return {
            "scaled": centred / tft.max(tf.abs(centred)),
            "words": tft.compute_and_apply_vocabulary(raw["c"]),
            "labels": tft.compute_and_apply_vocabulary(raw["label"], vocab_filename="labels", num_oov_buckets=1),
            "none": tft.compute_and_apply_vocabulary(raw["c"], frequency_threshold=99, vocab_filename="none"),
        }

    learned, on_beam = _learn(function, spec, files, tmp_path / "learned")
    expected = _by_tft(function, spec, files, tmp_path / "expected")

    assert on_beam == []
    assert _assets(learned) == _assets(expected)
    for key, value in _features(expected, files).items():
        np.testing.assert_allclose(_features(learned, files)[key], value, rtol=1e-6, err_msg=key)


def test_an_analyzer_that_needs_beam_runs_on_it(tmp_path):
    import tensorflow_transform as tft

    from tests.models.tiny import rows_of, spec_of

    spec = spec_of("recommendation")
    files = _write(rows_of("recommendation", 20, seed=0), spec, tmp_path, files=2)

    def function(raw):
        by_key = tft.scale_to_0_1_per_key(raw["user"], raw["item"], key_vocabulary_filename=None)
        return {"scaled": by_key, "mean": raw["user"] - tft.mean(raw["user"])}

    learned, on_beam = _learn(function, spec, files, tmp_path / "learned")
    expected = _by_tft(function, spec, files, tmp_path / "expected")

    assert on_beam
    for key, value in _features(expected, files).items():
        np.testing.assert_allclose(_features(learned, files)[key], value, rtol=1e-5, err_msg=key)


def test_the_same_files_give_the_same_bits(tmp_path):
    from tests.models.tiny import MADE_UP, rows_of, spec_of

    name = "tabular_classification"
    task, spec = registry.task(name), spec_of(name)
    config = task.config(**MADE_UP[name][2])
    files = _write(rows_of(name, 2_000, seed=0), spec, tmp_path, files=3)

    first, second = (
        _learn(lambda raw: task.preprocessing_fn(raw, config, spec), spec, files, tmp_path / run)[0]
        for run in ("first", "second")
    )

    assert _assets(first) == _assets(second)
    for key, value in _features(first, files).items():
        assert _features(second, files)[key].tobytes() == value.tobytes(), key


def test_tensors_that_no_analyzer_needs_are_not_computed(tmp_path):
    import tensorflow as tf
    import tensorflow_transform as tft

    from tests.models.tiny import rows_of, spec_of

    spec = spec_of("text_classification")
    files = _write(rows_of("text_classification", 20, seed=0), spec, tmp_path, files=1)

    def function(raw):
        # A call of the function would fail: an assertion in it always runs.
        with tf.control_dependencies([tf.debugging.assert_less(raw["text"], tf.constant(0, tf.int64))]):
            refused = tf.identity(raw["text"])
        return {"words": tft.compute_and_apply_vocabulary(raw["inputs"]), "refused": refused}

    learned, _ = _learn(function, spec, files, tmp_path / "learned")

    assert (
        learned.vocabulary_size_by_name("vocab_compute_and_apply_vocabulary_vocabulary") == 20 - 2
    )  # two texts are empty
