"""Predictions as text, JSON and tables. Loads no TensorFlow."""

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from data.errors import ConfigError
from pipeline.live.batches import KEYS
from pipeline.live.predictions import Columns, Prediction, PredictionBatch, open_table
from tests.conftest import ROOT, inherited
from tests.waiting import until

FLOAT = {"classes": "string", "scores": "float32"}
CLASSES = ("no", "yes, sure", "maybe")
SURE = Prediction(
    {"file": "a.csv", "row": 1},
    7,
    {"classes": np.array([b"no", b"yes, sure", b"maybe"], object), "scores": np.float32([0.1, 0.7, 0.2])},
)
BAD = Prediction({"file": "a.csv", "row": 2}, None, {}, "a.csv row 2 (line 3), age: expected a number, found 'x'")
COLUMNS = Columns(("file", "row"), FLOAT, CLASSES, 2)


def batch(predictions) -> PredictionBatch:
    """Returns single predictions as a batch."""
    outputs = [prediction.outputs for prediction in predictions if not prediction.error]
    return PredictionBatch(
        pa.RecordBatch.from_pylist([prediction.key for prediction in predictions], KEYS),
        pa.array([prediction.version for prediction in predictions], pa.int64()),
        pa.array([prediction.error or None for prediction in predictions], pa.string()),
        {name: np.array([row[name] for row in outputs]) for name in (outputs or [{}])[0]},
    )


def write(path: Path, predictions, columns: Columns) -> Path:
    """Writes a table of predictions; returns its path."""
    with open_table(path) as writer:
        writer.write(batch(predictions), columns)
    return path


def test_iterating_over_a_batch_yields_predictions_and_errors_in_order():
    shown = list(batch([BAD, SURE, BAD, SURE]))

    assert [prediction.as_json(3) for prediction in shown] == [
        prediction.as_json(3) for prediction in (BAD, SURE, BAD, SURE)
    ]
    assert [prediction.version for prediction in shown] == [None, 7, None, 7]


def test_a_prediction_as_text_and_as_json():
    assert SURE.as_text(2) == "yes, sure 0.700, maybe 0.200"
    assert SURE.as_json(1) == {
        "file": "a.csv", "row": 1, "version": 7, "top": [{"class": "yes, sure", "probability": 0.7}]
    }  # fmt: skip
    assert BAD.as_json(1) == {
        "file": "a.csv",
        "row": 2,
        "error": "a.csv row 2 (line 3), age: expected a number, found 'x'",
    }
    price = Prediction({"file": "a.csv", "row": 3}, 7, {"outputs": np.float32(0.1)})
    assert (price.as_text(3), price.as_json(3)["value"]) == ("0.1", 0.1)
    movies = Prediction({"text": "15"}, 7, {"titles": ["Heat", "Up"], "scores": [0.5, 1.5]})
    assert movies.as_text(3) == "Up 1.500, Heat 0.500"


def test_csv_has_a_column_for_each_class_and_one_for_the_error(tmp_path):
    path = write(tmp_path / "a.csv", [SURE, BAD], COLUMNS)

    with path.open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert first == {
        "file": "a.csv", "row": "1", "version": "7", "class": "yes, sure", "probability": "0.7",
        "probability_no": "0.1", "probability_yes, sure": "0.7", "probability_maybe": "0.2", "error": "",
    }  # fmt: skip
    assert second["error"] == "a.csv row 2 (line 3), age: expected a number, found 'x'"
    assert set(second.values()) == {"a.csv", "2", "", second["error"]}


@pytest.mark.parametrize(
    ("value", "stored", "shown"),
    [
        (np.float32(23895.390625), 23895.39, "23895.4"),
        (np.float32(1234567.0), 1234567.0, "1234570"),
        (np.float32(1e-7), 1e-07, "1e-07"),
        (np.float64(23895.390625), 23895.390625, "23895.4"),
        (23895.390625, 23895.390625, "23895.4"),
    ],
)
def test_a_number_has_the_same_digits_in_json_and_files_and_six_on_the_screen(tmp_path, value, stored, shown):
    prediction = Prediction({"text": "x"}, 7, {"outputs": value})
    columns = Columns(("text",), {"outputs": "float32" if isinstance(value, np.float32) else "float64"}, (), 3)

    (line,) = write(tmp_path / "a.jsonl", [prediction], columns).read_text().splitlines()
    with write(tmp_path / "a.csv", [prediction], columns).open(newline="") as file:
        (row,) = csv.DictReader(file)

    assert prediction.as_json(3)["value"] == json.loads(line)["value"] == float(row["value"]) == stored
    assert prediction.as_text(3) == shown


def test_nan_is_null_in_jsonl(tmp_path):
    prediction = Prediction({"text": "ä"}, 7, {"outputs": np.float32("nan")})

    path = write(tmp_path / "a.jsonl", [prediction], Columns(("text",), {"outputs": "float32"}, (), 3))

    assert path.read_text(encoding="utf-8") == '{"text": "ä", "version": 7, "value": null, "error": null}\n'


def test_parquet_and_jsonl_have_the_same_columns(tmp_path):
    lines = write(tmp_path / "a.jsonl", [SURE, BAD], COLUMNS).read_text(encoding="utf-8").splitlines()
    stored = pyarrow.parquet.read_table(write(tmp_path / "a.parquet", [SURE, BAD], COLUMNS))

    assert [json.loads(line)["probability"] for line in lines] == [0.7, None]
    assert list(json.loads(lines[0])) == stored.column_names
    assert stored.column("row").to_pylist() == [1, 2]
    assert stored.schema.field("probability_maybe").type == "float"
    assert stored.column("class").to_pylist() == ["yes, sure", None]


def test_float64_keeps_its_precision_and_items_are_ranked(tmp_path):
    price = Prediction({"text": "x"}, 7, {"outputs": 1_000_000_000.25})
    columns = Columns(("text",), {"outputs": "float64"}, (), 3)
    assert write(tmp_path / "a.csv", [price], columns).read_text().splitlines() == [
        '"text","version","value","error"',
        '"x",7,1000000000.25,',
    ]
    few = Prediction({"text": "15"}, 7, {"titles": [b"Heat", b"Up", b""], "scores": np.float32([1.5, 2.5, -9])})
    columns = Columns(("text",), {"titles": "string", "scores": "float32"}, (), 3)
    assert write(tmp_path / "b.csv", [few], columns).read_text().splitlines() == [
        '"text","version","item","score","item_2","score_2","item_3","score_3","error"',
        '"15",7,"Up",2.5,"Heat",1.5,,,',
    ]


def test_a_table_of_many_classes_has_the_most_probable_only(tmp_path):
    names = tuple(f"c{index}" for index in range(101))
    prediction = Prediction({"text": "x"}, 7, {"classes": names, "scores": np.arange(101, dtype=np.float32)})

    path = write(tmp_path / "a.csv", [prediction], Columns(("text",), FLOAT, names, 2))

    assert path.read_text().splitlines() == [
        '"text","version","class","probability","class_2","probability_2","error"',
        '"x",7,"c100",100,"c99",99,',
    ]


def test_rows_beyond_the_buffer_are_all_written(tmp_path):
    path = tmp_path / "a.parquet"
    with open_table(path) as writer:
        for first in range(0, 40_000, 1000):
            rows = [Prediction({"file": "a", "row": row}, 7, SURE.outputs) for row in range(first, first + 1000)]
            writer.write(batch(rows), COLUMNS)
            assert sum(map(len, writer._batches)) < 17_384

    assert pyarrow.parquet.read_table(path).column("row").to_pylist() == list(range(40_000))
    assert pyarrow.parquet.ParquetFile(path).num_row_groups == 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.xlsx", r"a\.xlsx: expected a name that ends with \.csv, \.jsonl, \.parquet\."),
        ("a", r"a: expected a name that ends with \.csv, \.jsonl, \.parquet\."),
        ("old.csv", r"old\.csv is there already; choose another name, or --force to write over it\."),
        ("folder.csv", r"folder\.csv is there already; choose another name\."),
        ("nowhere/a.csv", r"nowhere/a\.csv cannot be written: there is no folder .*nowhere\."),
        ("old.csv/a.csv", r"old\.csv/a\.csv cannot be written: there is no folder .*old\.csv\."),
        (f"{'x' * 300}.csv", r"x\.csv cannot be written \(File name too long\)\."),
        ("input.csv", r"input\.csv is one of the files to predict; choose another name\."),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_the_block(tmp_path, name, expected):
    (tmp_path / "old.csv").write_text("old")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "input.csv").write_text("age\n1\n")

    with (
        pytest.raises(ConfigError, match=f"^--out .*{expected}$"),
        open_table(tmp_path / name, [tmp_path / "." / "input.csv"]),
    ):
        raise AssertionError

    assert (tmp_path / "old.csv").read_text() == "old"


def test_an_error_in_the_block_keeps_the_existing_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("old")

    unfinished = replace(batch([SURE] * 20_000), outputs={"classes": SURE.outputs["classes"]})

    with pytest.raises(KeyError), open_table(path, force=True) as writer:
        writer.write(unfinished, COLUMNS)

    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"a.csv": "old"}


def test_a_killed_process_leaves_no_file_with_the_final_name(tmp_path):
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from tests.pipeline.live.test_predictions import *\n"
        "with open_table(Path(sys.argv[2])) as writer:\n"
        "    writer.write(batch([SURE] * 20_000), COLUMNS)\n"
        "    print('written', flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(ROOT), str(tmp_path / "a.csv")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=inherited()) as process:
        process.stdout.readline()
        (staging,) = tmp_path.iterdir()
        until(lambda: staging.stat().st_size)
        os.kill(process.pid, signal.SIGKILL)

    assert not (tmp_path / "a.csv").exists()
    assert staging.name.startswith(".")


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_columns_hold_the_same_values_as_json_and_an_error_in_its_row(dtype):
    scores = np.array([[0.1, 0.7, 0.2], [0.4, 0.2, 0.4], [0.3, 0.3, 0.3], [np.nan, 0.1, 0.2]], dtype)
    names = SURE.outputs["classes"]
    predictions = [
        Prediction({"file": "a", "row": row}, 7, {"classes": names, "scores": row_scores})
        for row, row_scores in enumerate(scores)
    ]
    predictions.insert(1, BAD)

    columns = Columns(("file", "row"), {"classes": "string", "scores": dtype}, CLASSES, 2).batch(batch(predictions))

    assert columns.column("class").to_pylist() == ["yes, sure", None, "no", "no", "maybe"]
    assert columns.column("error").to_pylist() == [None, BAD.error, None, None, None]
    exact = np.float64 if dtype == "float64" else np.float32
    shown = [prediction.as_json(3).get("top") for prediction in predictions[:-1]]
    assert columns.column("probability").to_pylist()[:4] == [
        top and float(exact(top[0]["probability"])) for top in shown
    ]
    class_scores = [columns.column(f"probability_{name}")[0].as_py() for name in CLASSES]
    assert class_scores == [float(exact(text)) for text in ("0.1", "0.7", "0.2")]


def test_a_batch_of_errors_only_has_the_same_schema():
    columns = COLUMNS.batch(batch([BAD, BAD]))

    assert columns.schema == COLUMNS.schema()
    assert columns.column("class").null_count == 2
