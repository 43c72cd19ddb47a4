"""The ids of rows, the column data.roles.id of the training data, are carried to the predictions."""

import numpy as np
import pyarrow as pa
import pytest

from data.spec import DatasetSpec, LabelFeature, NumberFeature, TextFeature
from pipeline.live.predictions import Columns, PredictionBatch
from pipeline.live.reader import Reader

TABLE = {"x": NumberFeature(), "y": LabelFeature(classes=("no", "yes"))}


def _reader(features=TABLE, kind="table", **settings) -> Reader:
    spec = DatasetSpec(name="m", title="m", licence="", features=features, id_column="key", weight_column="w")
    query = {"kind": kind, "input_key": "inputs", "column": next(iter(features))}
    data = {"missing_values": ["", "NA"], **settings}
    return Reader.of("m", query, {"spec": spec.model_dump(mode="json"), "data": data}, {}, lambda _: None)


def _keys(reader: Reader, path) -> list[dict]:
    return [batch.key(row) for batch in reader.read([path], []) for row in range(len(batch))]


def test_each_row_has_its_id_also_one_that_cannot_be_used(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("key,x\n7,1\n8,many\n,3\nNA,4\n9,1,2,3\n10,5\n")

    keys = _keys(_reader(), path)

    assert [key.get("id") for key in keys] == ["7", "8", None, None, None, "10"]
    assert [key["row"] for key in keys] == [1, 2, 3, 4, 5, 6]


def test_a_table_needs_neither_ids_nor_weights(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x\n1\n2\n")
    bare = tmp_path / "bare.csv"
    bare.write_text("a,1\nb,2\n")

    assert _keys(_reader(), path) == [{"file": str(path), "row": 1}, {"file": str(path), "row": 2}]
    # Without a header: the columns of the training data but target and weight.
    keys = _keys(_reader(header=False, names=["key", "x", "w", "y"]), bare)
    assert [key["id"] for key in keys] == ["a", "b"]


def test_a_model_of_texts_gives_the_ids_of_a_table(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("key,note\n7,good\n8,bad\n")

    keys = _keys(_reader({"note": TextFeature(), "y": TABLE["y"]}, "text"), path)

    assert [key["id"] for key in keys] == ["7", "8"]


@pytest.mark.parametrize("ids", [["7", None], [None, None]])
def test_a_table_of_predictions_has_a_column_of_ids(ids):
    keys = pa.RecordBatch.from_pylist(
        [{"file": "a.csv", "row": row + 1, "text": None, "id": value} for row, value in enumerate(ids)],
        pa.schema([("file", pa.string()), ("row", pa.int64()), ("text", pa.string()), ("id", pa.string())]),
    )
    predictions = PredictionBatch(
        keys, pa.array([1, 1]), pa.nulls(2, pa.string()), {"outputs": np.array([0.5, 1.5], np.float32)}
    )

    table = Columns(("file", "row", "id"), {"outputs": "float32"}, (), 3).batch(predictions)

    assert table.schema.names == ["file", "row", "id", "version", "value", "error"]
    assert table.column("id").to_pylist() == ids
    assert ("id" in next(iter(predictions)).as_json(3)) == (ids[0] is not None)
