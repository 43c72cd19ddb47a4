"""Predictions of a test split in several files: by one process, by several workers; and the worst mistakes."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.scripts import run_script

pytestmark = pytest.mark.slow  # loads TensorFlow

ROWS, SHARDS = 60, 3


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> Path:
    """Returns a folder with the examples of a test split in three files, and a model that answers by its size."""
    import tensorflow as tf

    from data.examples import encode

    folder = tmp_path_factory.mktemp("split")
    spec = made_up_spec()
    generator = np.random.default_rng(0)
    (folder / "examples" / "Split-test").mkdir(parents=True)
    for shard in range(SHARDS):
        with tf.io.TFRecordWriter(str(folder / "examples" / "Split-test" / f"data-{shard:05d}.tfrecord")) as writer:
            for _ in range(ROWS // SHARDS):
                size = float(generator.normal())
                row = {"size": size, "kind": int(size + generator.normal() > 0)}
                if place := generator.choice(["", "north", "süd"]):
                    row["place"] = str(place)
                writer.write(encode(row, spec))
    files, places = np.array(["b.csv", "a.csv"]), np.stack([np.arange(ROWS) % 2, np.arange(ROWS) + 1], axis=1)
    np.savez(folder / "examples" / "row_ids.npz", files=files, places=places)
    np.save(folder / "examples" / "groups.npy", (np.arange(ROWS) // 4).astype(np.int32))

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def serving_default(inputs):
        size = tf.io.parse_example(inputs, {"size": tf.io.FixedLenFeature((), tf.float32)})["size"]
        yes = tf.sigmoid(2 * size)
        return {"scores": tf.stack([1 - yes, yes], axis=1)}

    module = tf.Module()
    tf.saved_model.save(module, str(folder / "model"), signatures={"serving_default": serving_default})
    return folder


def made_up_spec():
    """Returns the facts of the rows: a number, a category that may lack, and a label of two classes."""
    from data.spec import CategoryFeature, DatasetSpec, LabelFeature, NumberFeature

    features = {
        "size": NumberFeature(),
        "place": CategoryFeature(optional=True),
        "kind": LabelFeature(classes=("no", "yes")),
    }
    return DatasetSpec(name="made up", title="", licence="", features=features)


def evaluated(split: Path, folder: Path, beam_args: list[str]) -> dict:
    """Predicts and measures; returns what was written and measured."""
    from components import predictions
    from components.evaluator import evaluate
    from models import registry
    from models.evaluation.predictions import read

    spec, task = made_up_spec(), registry.task("tabular_classification")
    config = task.config(slice_by=("place",))
    folder.mkdir()
    predictions.write(
        folder, str(split / "model"), str(split / "examples"), spec, task, config.slice_columns(spec), beam_args
    )
    found = evaluate(folder / "predictions", config, spec, beam_args).as_json()
    mistakes = json.loads((folder / "mistakes.json").read_text())
    rows = pq.read_table(folder / "predictions").drop(["slice.kind", "slice.place"]).to_pylist()
    has_seconds = read(folder / "predictions").seconds > 0
    return json.loads(json.dumps({"found": found, "mistakes": mistakes, "rows": rows, "has_seconds": has_seconds}))


@pytest.fixture(scope="module")
def told(split, tmp_path_factory) -> dict:
    return evaluated(split, tmp_path_factory.mktemp("loop") / "evaluation", [])


def test_the_seconds_that_the_model_took_are_kept(told):
    """The comparison with classical models says how many a row takes; they were read as 0."""
    assert told["has_seconds"]


def test_each_row_has_its_place_and_its_group(split, told):
    assert [row["number"] for row in told["rows"]] == list(range(1, ROWS + 1))
    assert [row["file"] for row in told["rows"]] == ["b.csv", "a.csv"] * (ROWS // 2)
    assert [row["group"] for row in told["rows"]] == [index // 4 for index in range(ROWS)]
    assert len(list((split / "examples" / "Split-test").iterdir())) == SHARDS


def test_slices_are_named_by_the_values_and_a_row_without_one_is_in_none(told):
    slices = told["found"]["slices"]

    assert list(slices) == ["overall", "kind=no", "kind=yes", "place=north", "place=süd"]
    assert slices["place=north"]["example_count"] + slices["place=süd"]["example_count"] < ROWS


def test_the_worst_mistakes_are_those_of_the_least_probability_of_the_truth(told):
    wrong = [
        (row["answer"][row["target"]], index)
        for index, row in enumerate(told["rows"])
        if row["answer"][row["target"]] < 0.5
    ]

    assert [one["row"] for one in told["mistakes"]] == [index for _, index in sorted(wrong)[:24]]
    assert len({one["row"] // (ROWS // SHARDS) for one in told["mistakes"]}) == SHARDS  # of every file


ON_BEAM = """
import json, sys
import headrace
headrace.put_our_packages_first()
from pathlib import Path
from pipeline.running import beam_workers
from pipeline.running.graph import beam_args
from tests.components.test_predictions import evaluated

if __name__ == "__main__":
    beam_workers.start()
    found = evaluated(Path(sys.argv[1]), Path("evaluation"), beam_args(2))
    Path("found.json").write_text(json.dumps(found))
"""


def test_two_workers_of_beam_predict_and_measure_the_same(split, told, tmp_path):
    run_script(tmp_path, ON_BEAM, str(split))

    assert json.loads((tmp_path / "found.json").read_text()) == told


def test_an_evaluation_says_its_metrics_with_the_digits_that_are_known():
    from components.evaluator import describe
    from models.evaluation.evaluation import Evaluated

    values = {"accuracy": 0.61154, "f1@yes": 0.5, "rmse": 172.0669367313385, "example_count": 1381.0}
    found = Evaluated({"overall": values}, {"overall": {"accuracy": (0.562, 0.659), "rmse": (150.0, 194.0)}}, None)

    assert describe(found) == "accuracy 0.612, rmse 172, 1,381 rows"
