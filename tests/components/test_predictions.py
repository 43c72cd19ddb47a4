"""Predictions of a test split in several files, by one process and by Beam workers, and the worst mistakes."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.errors import ModelError
from tests.scripts import run_script

pytestmark = pytest.mark.slow  # loads TensorFlow

ROWS, SHARDS = 60, 3


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> Path:
    """Returns a folder with the examples of a test split in three files, and a model that predicts from the size."""
    import tensorflow as tf

    from data.examples import encode

    folder = tmp_path_factory.mktemp("split")
    spec = synthetic_spec()
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
    files, row_ids = np.array(["b.csv", "a.csv"]), np.stack([np.arange(ROWS) % 2, np.arange(ROWS) + 1], axis=1)
    np.savez(folder / "examples" / "row_ids.npz", files=files, places=row_ids)
    np.save(folder / "examples" / "groups.npy", (np.arange(ROWS) // 4).astype(np.int32))

    save_model(folder / "model")
    return folder


def save_model(folder: Path, overrides: dict[float, float] | None = None) -> None:
    """Saves a model that predicts from the size; `overrides` is size -> its score for a row of that size."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def serving_default(inputs):
        size = tf.io.parse_example(inputs, {"size": tf.io.FixedLenFeature((), tf.float32)})["size"]
        yes = tf.sigmoid(2 * size)
        for value, score in (overrides or {}).items():
            yes = tf.where(tf.abs(size - value) < 1e-6, score, yes)
        return {"scores": tf.stack([1 - yes, yes], axis=1)}

    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": serving_default})


def synthetic_spec():
    """Returns the features of the rows: a number, an optional category, and a label of two classes."""
    from data.spec import CategoryFeature, DatasetSpec, LabelFeature, NumberFeature

    features = {
        "size": NumberFeature(),
        "place": CategoryFeature(optional=True),
        "kind": LabelFeature(classes=("no", "yes")),
    }
    return DatasetSpec(name="made up", title="", licence="", features=features)


def write_and_evaluate(split: Path, folder: Path, beam_args: list[str]) -> dict:
    """Writes predictions and evaluates them; returns metrics, mistakes and rows as JSON values."""
    from components import predictions
    from components.evaluator import evaluate
    from models import registry
    from models.evaluation.predictions import read

    spec, task = synthetic_spec(), registry.task("tabular_classification")
    config = task.config(slice_by=("place",))
    folder.mkdir()
    predictions.write(
        folder,
        str(split / "model"),
        str(split / "examples"),
        spec=spec,
        task=task,
        slice_by=config.slice_columns(spec),
        beam_args=beam_args,
    )
    metrics = evaluate(folder / "predictions", config, spec, beam_args).as_json()
    mistakes = json.loads((folder / "mistakes.json").read_text())
    rows = pq.read_table(folder / "predictions").drop(["slice.kind", "slice.place"]).to_pylist()
    has_seconds = read(folder / "predictions").seconds > 0
    return json.loads(json.dumps({"metrics": metrics, "mistakes": mistakes, "rows": rows, "has_seconds": has_seconds}))


@pytest.fixture(scope="module")
def results(split, tmp_path_factory) -> dict:
    """Returns the results of `write_and_evaluate` without workers."""
    return write_and_evaluate(split, tmp_path_factory.mktemp("loop") / "evaluation", [])


def test_the_seconds_of_the_model_are_stored(results):
    """The comparison with reference models shows them; they were read as 0."""
    assert results["has_seconds"]


def test_each_row_has_its_file_number_and_group(split, results):
    assert [row["number"] for row in results["rows"]] == list(range(1, ROWS + 1))
    assert [row["file"] for row in results["rows"]] == ["b.csv", "a.csv"] * (ROWS // 2)
    assert [row["group"] for row in results["rows"]] == [index // 4 for index in range(ROWS)]
    assert len(list((split / "examples" / "Split-test").iterdir())) == SHARDS


def test_slices_are_named_by_values_and_a_row_without_a_value_is_in_none(results):
    slices = results["metrics"]["slices"]

    assert list(slices) == ["overall", "kind=no", "kind=yes", "place=north", "place=süd"]
    assert slices["place=north"]["example_count"] + slices["place=süd"]["example_count"] < ROWS


def test_the_worst_mistakes_have_the_least_probability_of_the_true_class(results):
    errors = [
        (row["answer"][row["target"]], index)
        for index, row in enumerate(results["rows"])
        if row["answer"][row["target"]] < 0.5
    ]

    assert [mistake["row"] for mistake in results["mistakes"]] == [index for _, index in sorted(errors)[:24]]
    assert len({mistake["row"] // (ROWS // SHARDS) for mistake in results["mistakes"]}) == SHARDS  # of every file
    for mistake in results["mistakes"]:  # file and number are those of the same row
        row = results["rows"][mistake["row"]]
        assert (mistake["file"], mistake["number"]) == (row["file"], row["number"])


def test_a_mistake_has_the_values_as_in_the_data():
    from components.predictions import _mistake
    from data.examples import encode
    from data.spec import BooleanFeature, CategoryFeature, DatasetSpec, DateFeature, LabelFeature, NumberFeature

    features = {
        "signup": DateFeature(optional=True),
        "seen": DateFeature(optional=True),
        "vip": BooleanFeature(optional=True),
        "since": DateFeature(optional=True),
        "country": CategoryFeature(optional=True),
        "used": NumberFeature(),
        "churned": LabelFeature(classes=("no", "yes")),
    }
    spec = DatasetSpec(name="made up", title="", licence="", features=features)
    row = {"signup": 1_719_187_200, "seen": 1_719_187_201, "vip": 1.0, "used": 2.5, "churned": 1}

    mistake = _mistake(encode(row, spec), np.array([0.75, 0.25], np.float32), spec)

    assert mistake["features"] == {
        "signup": "2024-06-24",
        "seen": "2024-06-24T00:00:01",
        "vip": True,
        "since": None,
        "country": None,
        "used": 2.5,
    }
    assert (mistake["true"], mistake["predicted"], mistake["probability_of_true"]) == ("yes", "no", 0.25)


ON_BEAM = """
import json, sys
import headrace
headrace.put_our_packages_first()
from pathlib import Path
from pipeline.running import beam_workers
from pipeline.running.graph import beam_args
from tests.components.test_predictions import write_and_evaluate

if __name__ == "__main__":
    beam_workers.start()
    results = write_and_evaluate(Path(sys.argv[1]), Path("evaluation"), beam_args(2))
    Path("results.json").write_text(json.dumps(results))
"""


def test_two_beam_workers_give_the_same_predictions_and_metrics(split, results, tmp_path):
    run_script(tmp_path, ON_BEAM, str(split))

    assert json.loads((tmp_path / "results.json").read_text()) == results


def test_an_error_names_the_first_row_whose_output_is_not_finite(split, tmp_path):
    """Rows 25 and 31 of the split are the fifth and the eleventh of the second file."""
    from components import predictions
    from data.examples import read_rows
    from models import registry

    files = sorted(str(path) for path in (split / "examples" / "Split-test").iterdir())
    sizes = [row["size"] for row in read_rows(files, synthetic_spec(), ROWS)]
    save_model(tmp_path / "model", {sizes[24]: math.inf, sizes[30]: math.nan})

    with pytest.raises(ModelError, match=r"^The model answers row 25 of the test split with a number that is not fin"):
        predictions.write(
            tmp_path,
            str(tmp_path / "model"),
            str(split / "examples"),
            spec=synthetic_spec(),
            task=registry.task("tabular_classification"),
        )


def test_a_file_of_predictions_has_the_seconds_of_all_its_batches(tmp_path):
    from components.predictions import _PartWriter
    from models.evaluation.predictions import Predictions, read, table

    rows = table(Predictions(np.zeros(3, int), np.eye(2)[[0, 0, 1]]), pa.array(["a", "a", "b"]), np.arange(3))
    with _PartWriter(tmp_path / "part-00000.parquet", num_rows=6) as writer:
        writer.write(rows, 1.5)
        writer.write(rows, 2.25)

    predictions = read(tmp_path)
    assert predictions.seconds == 3.75
    assert len(predictions.targets) == 6


@pytest.mark.parametrize(
    ("rows", "size", "expected"), [(5000, 1, 4096), (0, 1, 256), (2000, 1000, 1024), (9, 10**5, 256)]
)
def test_a_batch_has_about_a_mebibyte_of_rows(tmp_path, rows, size, expected):
    import tensorflow as tf

    from components.predictions import batch_rows

    with tf.io.TFRecordWriter(str(tmp_path / "rows.tfrecord")) as writer:
        for _ in range(rows):
            writer.write(b"x" * size)

    assert batch_rows([str(tmp_path / "rows.tfrecord")]) == expected


def test_a_mistake_has_the_probabilities_of_the_predicted_and_the_true_class():
    from components.predictions import _mistake
    from data.examples import encode
    from data.spec import DatasetSpec, LabelFeature, TextFeature

    features = {"words": TextFeature(), "kind": LabelFeature(classes=("a", "b", "c"))}
    spec = DatasetSpec(name="made up", title="", licence="", features=features)
    serialized = encode({"words": "x" * 3000, "kind": 2}, spec)

    mistake = _mistake(serialized, np.array([0.25, 0.5, 0.125]), spec)

    assert mistake == {
        "features": {"words": "x" * 2000},
        "true": "c",
        "predicted": "b",
        "probability": 0.5,
        "probability_of_true": 0.125,
    }


def test_the_prediction_in_a_mistake_is_the_last_of_several_outputs():
    from components.predictions import _mistake
    from data.examples import encode
    from data.spec import DatasetSpec, TargetFeature

    spec = DatasetSpec(name="made up", title="", licence="", features={"rating": TargetFeature()})

    mistake = _mistake(encode({"rating": 1.5}, spec), np.array([7.0, 3.5]), spec)

    assert (mistake["true"], mistake["predicted"]) == (1.5, 3.5)


def test_slices_of_a_boolean_are_true_and_false():
    import tensorflow as tf

    from components.predictions import _parsed
    from data.examples import encode
    from data.spec import BooleanFeature, DatasetSpec, TargetFeature

    features = {"flag": BooleanFeature(optional=True), "price": TargetFeature()}
    spec = DatasetSpec(name="made up", title="", licence="", features=features)
    rows = [{"flag": 1.0, "price": 1.0}, {"price": 2.0}, {"flag": 0.0, "price": 3.0}]

    _, slices, _ = _parsed(tf.constant([encode(row, spec) for row in rows]), spec, ("flag",))

    assert slices["flag"].to_pylist() == ["true", None, "false"]


@pytest.mark.parametrize("cuts", [[], [1], [250, 500, 750], [10, 11, 990]])
@pytest.mark.parametrize("is_merged", [False, True])
def test_of_rows_with_equal_errors_the_first_are_kept_for_any_batches(cuts, is_merged):
    from components.predictions import NUM_MISTAKES, _Worst

    generator = np.random.default_rng(0)
    errors = np.where(generator.random(1000) < 0.3, 2.0, -np.inf)
    errors[[400, 900]] = 3.0
    serialized, outputs = np.array([b""] * 1000, object), np.zeros((1000, 2))

    worst = _Worst()
    for begin, end in zip([0, *cuts], [*cuts, 1000], strict=True):
        part = _Worst() if is_merged else worst
        part.add((errors[begin:end], serialized[begin:end], outputs[begin:end]))
        if is_merged:
            worst.merge(part)

    first = np.flatnonzero(errors == 2.0)[: NUM_MISTAKES - 2].tolist()
    assert [-row for _, row, *_ in worst.result()] == [400, 900, *first]


def test_a_missing_file_of_predictions_is_an_error(split, tmp_path):
    from models.evaluation.predictions import read

    write_and_evaluate(split, tmp_path / "evaluation", [])
    folder = tmp_path / "evaluation" / "predictions"
    assert len(read(folder).targets) == ROWS

    sorted(folder.iterdir())[-1].unlink()

    with pytest.raises(FileNotFoundError, match=rf"Expected {ROWS} predictions in .*, found 40 in 2 files"):
        read(folder)
