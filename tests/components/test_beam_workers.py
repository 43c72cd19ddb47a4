"""Statistics and transform of a split in several files: one or two of Beam's workers give the bits of the loop."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.scripts import run_script

pytestmark = pytest.mark.slow  # loads TensorFlow, TFDV and Beam

SHARDS, ROWS = 3, 1500
WORKERS = ("1", "2")


def made_up_spec():
    """Returns the facts of the rows: a skewed number that may lack, a category, and a label."""
    from data.spec import CategoryFeature, DatasetSpec, LabelFeature, NumberFeature

    features = {
        "price": NumberFeature(optional=True),
        "size": NumberFeature(),
        "plan": CategoryFeature(),
        "label": LabelFeature(classes=("cat", "dog")),
    }
    return DatasetSpec(name="made up", title="", licence="", features=features)


def preprocess(raw):
    """Returns features of analyzers of each kind, one of which follows from another."""
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


def learned(files: Sequence[str], folder: Path, beam_args: Sequence[str]) -> None:
    """Writes statistics, profile and the learned preprocessing of files into a folder."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components import statistics
    from components.schema import schema_text
    from models.preprocessing.learning import learn

    folder.mkdir()
    splits = {"train": files[1:], "validation": files[:1], "test": []}
    for split, (found, profile) in statistics.generate_by_split(splits, made_up_spec(), beam_args).items():
        (folder / f"{split}.pb").write_bytes(found.SerializeToString(deterministic=True))
        profile.save(folder / f"{split}.npz")
    schema = text_format.Parse(schema_text(made_up_spec()), schema_pb2.Schema())
    assert learn(preprocess, schema, files, SHARDS * ROWS, folder, beam_args) == []


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    """Returns the TFRecord files of a made-up split."""
    import tensorflow as tf

    from data.examples import encode

    folder, random, spec, paths = tmp_path_factory.mktemp("split"), np.random.default_rng(0), made_up_spec(), []
    for shard in range(SHARDS):
        paths.append(str(folder / f"data-{shard:05d}.tfrecord"))
        with tf.io.TFRecordWriter(paths[-1]) as writer:
            for index in range(ROWS):
                row = {"size": float(random.lognormal(sigma=3)), "plan": f"plan {random.integers(200)}"}
                row |= {"label": int(random.integers(2))} | ({"price": float(random.normal())} if index % 4 else {})
                writer.write(encode(row, spec))
    return paths


# In a process of its own: the handler of workers that it registers would stay in this one.
ON_BEAM = """
import sys
import headrace
headrace.put_our_packages_first()
from pathlib import Path
from pipeline.running import beam_workers
from pipeline.running.graph import beam_args
from tests.components.test_beam_workers import learned

if __name__ == "__main__":
    beam_workers.start()
    learned(sys.argv[1:], Path("2"), beam_args(2))
"""


@pytest.fixture(scope="module")
def made(files, tmp_path_factory) -> Path:
    """Returns a folder with what the loop, one worker and two workers have made of the files."""
    from pipeline.running.graph import beam_args

    folder = tmp_path_factory.mktemp("made")
    learned(files, folder / "loop", [])
    learned(files, folder / "1", [*beam_args(2), "--direct_running_mode=in_memory"])  # a thread: the last one counts
    run_script(folder, ON_BEAM, *files)
    return folder


@pytest.mark.parametrize("workers", WORKERS)
def test_workers_of_beam_give_the_statistics_of_the_loop(made, workers):
    for split in ("train", "validation", "test"):
        assert (made / workers / f"{split}.pb").read_bytes() == (made / "loop" / f"{split}.pb").read_bytes()
        loop, found = (dict(np.load(made / one / f"{split}.npz")) for one in ("loop", workers))
        assert {name: array.tobytes() for name, array in found.items()} == {
            name: array.tobytes() for name, array in loop.items()
        }


@pytest.mark.parametrize("workers", WORKERS)
def test_workers_of_beam_learn_the_preprocessing_of_the_loop(made, files, workers):
    loop, found = (_transformed(made / one, files) for one in ("loop", workers))

    assert loop.keys() == found.keys() > {"scaled", "assets/labels"}
    assert {name: content for name, content in found.items() if content != loop[name]} == {}


def _transformed(folder: Path, files: Sequence[str]) -> dict[str, bytes]:
    """Returns what the learned preprocessing makes of all rows, and the files of its vocabularies."""
    import tensorflow as tf
    import tensorflow_transform as tft

    output = tft.TFTransformOutput(str(folder))
    serialized = tf.constant(list(tf.data.TFRecordDataset(files).as_numpy_iterator()))
    raw = tf.io.parse_example(serialized, output.raw_feature_spec())
    features = {name: value.numpy().tobytes() for name, value in output.transform_features_layer()(raw).items()}
    assets = Path(output.transform_savedmodel_dir, "assets").glob("*")
    return features | {f"assets/{path.name}": path.read_bytes() for path in assets}
