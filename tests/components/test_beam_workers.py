"""Statistics and transform of a split in several files: one or two Beam workers give the same bits as none."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.scripts import run_script

pytestmark = pytest.mark.slow  # loads TensorFlow, TFDV and Beam

SHARDS, ROWS = 3, 1500
WORKERS = ("1", "2")


def synthetic_spec():
    """Returns the features of the rows: an optional number, a skewed number, a category, and a label."""
    from data.spec import CategoryFeature, DatasetSpec, LabelFeature, NumberFeature

    features = {
        "price": NumberFeature(optional=True),
        "size": NumberFeature(),
        "plan": CategoryFeature(),
        "label": LabelFeature(classes=("cat", "dog")),
    }
    return DatasetSpec(name="made up", title="", licence="", features=features)


def preprocess(raw):
    """Returns transformed features, by analyzers of each kind; one analyzer depends on another's result."""
    import tensorflow as tf
    import tensorflow_transform as tft

    centred = raw["size"] - tft.mean(raw["size"])
    return {
        "scaled": centred / tft.max(tf.abs(centred)),
        "normal": tft.scale_to_z_score(raw["size"]),
        "bucket": tft.bucketize(raw["size"], 10),
        "plan": tft.compute_and_apply_vocabulary(raw["plan"]),
        "label": tft.compute_and_apply_vocabulary(raw["label"], vocab_filename="labels"),
    }


def write_results(files: Sequence[str], folder: Path, beam_args: Sequence[str]) -> None:
    """Writes the statistics, the profiles and the learned preprocessing of files into a folder."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components import statistics
    from components.schema import schema_text
    from models.preprocessing.learning import learn

    folder.mkdir()
    splits = {"train": files[1:], "validation": files[:1], "test": []}
    for split, (split_statistics, profile) in statistics.generate_by_split(splits, synthetic_spec(), beam_args).items():
        (folder / f"{split}.pb").write_bytes(split_statistics.SerializeToString(deterministic=True))
        profile.save(folder / f"{split}.npz")
    schema = text_format.Parse(schema_text(synthetic_spec()), schema_pb2.Schema())
    assert learn(preprocess, schema, files, SHARDS * ROWS, folder, beam_args) == []


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    """Returns the TFRecord files of a synthetic split."""
    import tensorflow as tf

    from data.examples import encode

    folder, random, spec, paths = tmp_path_factory.mktemp("split"), np.random.default_rng(0), synthetic_spec(), []
    for shard in range(SHARDS):
        paths.append(str(folder / f"data-{shard:05d}.tfrecord"))
        with tf.io.TFRecordWriter(paths[-1]) as writer:
            for index in range(ROWS):
                row = {"size": float(random.lognormal(sigma=3)), "plan": f"plan {random.integers(200)}"}
                row |= {"label": int(random.integers(2))} | ({"price": float(random.normal())} if index % 4 else {})
                writer.write(encode(row, spec))
    return paths


# Runs in its own process: the worker handler that it registers could not be removed from this one.
ON_BEAM = """
import sys
import headrace
headrace.put_our_packages_first()
from pathlib import Path
from pipeline.running import beam_workers
from pipeline.running.graph import beam_args
from tests.components.test_beam_workers import write_results

if __name__ == "__main__":
    beam_workers.start()
    write_results(sys.argv[1:], Path("2"), beam_args(2))
"""


@pytest.fixture(scope="module")
def results(files, tmp_path_factory) -> Path:
    """Returns a folder with the results without workers, `loop`, with one worker, `1`, and with two, `2`."""
    from pipeline.running.graph import beam_args

    folder = tmp_path_factory.mktemp("results")
    write_results(files, folder / "loop", [])
    in_memory = "--direct_running_mode=in_memory"  # replaces the mode in `beam_args`: one worker, a thread
    write_results(files, folder / "1", [*beam_args(2), in_memory])
    run_script(folder, ON_BEAM, *files)
    return folder


@pytest.mark.parametrize("workers", WORKERS)
def test_beam_workers_give_the_same_statistics_as_none(results, workers):
    for split in ("train", "validation", "test"):
        assert (results / workers / f"{split}.pb").read_bytes() == (results / "loop" / f"{split}.pb").read_bytes()
        expected, profile = (dict(np.load(results / name / f"{split}.npz")) for name in ("loop", workers))
        assert {key: array.tobytes() for key, array in profile.items()} == {
            key: array.tobytes() for key, array in expected.items()
        }


@pytest.mark.parametrize("workers", WORKERS)
def test_beam_workers_learn_the_same_preprocessing_as_none(results, files, workers):
    expected, transformed = (_transformed(results / name, files) for name in ("loop", workers))

    assert expected.keys() == transformed.keys() > {"scaled", "assets/labels"}
    assert {name: content for name, content in transformed.items() if content != expected[name]} == {}


def _transformed(folder: Path, files: Sequence[str]) -> dict[str, bytes]:
    """Returns the transformed features of all rows, and the files of the vocabularies, as bytes by name."""
    import tensorflow as tf
    import tensorflow_transform as tft

    output = tft.TFTransformOutput(str(folder))
    serialized = tf.constant(list(tf.data.TFRecordDataset(files).as_numpy_iterator()))
    raw = tf.io.parse_example(serialized, output.raw_feature_spec())
    features = {name: value.numpy().tobytes() for name, value in output.transform_features_layer()(raw).items()}
    assets = Path(output.transform_savedmodel_dir, "assets").glob("*")
    return features | {f"assets/{path.name}": path.read_bytes() for path in assets}
