"""Blocks become stored columns of usable rows and problems of the others, equal to those of `to_row`."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from data.columnar.columns import of_rows, read_options, store, to_row
from data.config import DataConfig
from data.kinds.cell import ReadOptions
from data.sources.blocks import Block
from data.sources.records import Record
from data.spec import BadRow, DatasetSpec, ImageFeature, LabelFeature, NumberFeature, TextFeature
from tests.data.corpus import png

SPEC = DatasetSpec(
    name="people",
    title="",
    licence="",
    features={
        "age": NumberFeature(min=0),
        "income": NumberFeature(optional=True),
        "plan": TextFeature(),
        "churned": LabelFeature(classes=("no", "yes")),
    },
)


def test_a_block_is_stored_like_its_rows_one_by_one():
    cells = {
        "churned": pa.array(["yes", " no", "maybe", "no", "yes"]),
        "plan": pa.array(["a", "b", " ", "c", "d"]),
        "age": pa.array(["25", " 1e1 ", "?", "-1", "0"]),
        "income": pa.array(["", "NA", "1.5", "2", " -7 "]),
        "note": pa.array(["x"] * 5),
    }
    block = Block("a.csv", pa.RecordBatch.from_pydict(cells), np.array([2, 3, 5, 6, 9]))
    arguments = {"options": ReadOptions(textual=True, missing=frozenset({"", "NA"})), "unused": ("note",)}

    stored = store(block, SPEC, **arguments)

    records = [
        Record(f"a.csv:{line}", {name: cells[name][row].as_py() for name in cells}, number=line)
        for row, line in enumerate((2, 3, 5, 6, 9))
    ]
    rows = [to_row(record, SPEC, **arguments) for record in records]
    assert stored.kept.tolist() == [0, 1, 4]
    assert stored.columns.equals(of_rows([rows[row] for row in (0, 1, 4)], SPEC))
    assert stored.problems == {row: rows[row].problems for row in (2, 3)}
    assert [problem.column for problem in stored.problems[2]] == ["age", "plan", "churned"]


def test_missing_columns_and_unknown_columns_of_json_objects_are_problems_of_their_rows():
    """One of several JSON objects may have a column that the others lack."""
    names = {"age": pa.array([1, 2]), "churned": pa.array(["no", "yes"]), "paln": pa.array([None, "a"])}
    block = Block("a.jsonl", pa.RecordBatch.from_pydict(names), np.array([1, 2]), mixed={"plan": ["a", None]})

    stored = store(block, SPEC, ReadOptions())

    assert stored.columns.to_pylist() == [{"age": 1.0, "income": None, "plan": b"a", "churned": 0}]
    assert [str(problem) for problem in stored.problems[1]] == [
        "a.jsonl:2:plan: expected text, found nothing",
        "a.jsonl:2:paln: expected no column of this name, found one",
    ]


def test_encoded_pictures_of_usable_rows_are_kept():
    spec = DatasetSpec(name="x", title="", licence="", features={"p": ImageFeature(height=4, width=4, channels=1)})
    cells = {"p": pa.array([bytes(16), png(9)[:50], png(7), None])}

    stored = store(Block("a.parquet", pa.RecordBatch.from_pydict(cells), np.arange(4)), spec, ReadOptions())

    rows = [to_row(Record("", {"p": cell}), spec, ReadOptions()) for cell in cells["p"].to_pylist()]
    assert [isinstance(row, BadRow) for row in rows] == [False, True, False, True]
    assert stored.columns.column("p").to_pylist() == [bytes(16), rows[2]["p"].tobytes()]
    assert stored.files["p"].to_pylist() == [None, png(7)]
    assert list(stored.problems) == [1, 3]


def test_a_block_without_rows_has_no_stored_rows():
    stored = store(Block("a.csv", pa.RecordBatch.from_pydict({}), np.arange(0)), SPEC, ReadOptions(textual=True))

    assert stored.columns.num_rows == 0
    assert stored.columns.schema.names == list(SPEC.features)


def test_problems_are_in_the_order_of_the_rows_across_columns():
    cells = {"age": [1, 2, -1], "plan": [None, "b", "c"], "churned": ["no", "yes", "no"]}

    stored = store(Block("a.jsonl", pa.RecordBatch.from_pydict(cells), np.arange(1, 4)), SPEC, ReadOptions())

    assert [(row, [problem.column for problem in stored.problems[row]]) for row in stored.problems] == [
        (0, ["plan"]),
        (2, ["age"]),
    ]


def test_raw_pixels_have_no_files():
    spec = DatasetSpec(name="x", title="", licence="", features={"p": ImageFeature(height=2, width=2, channels=1)})

    stored = store(Block("a.parquet", pa.RecordBatch.from_pydict({"p": [bytes(4)]}), np.arange(1)), spec, ReadOptions())

    assert stored.files == {}


def test_texts_in_typed_files_are_parsed_in_the_notation_of_the_settings():
    """The notation applies to texts only, not to numbers."""
    spec = DatasetSpec(name="x", title="", licence="", features={"n": NumberFeature()})
    options = read_options("jsonl", DataConfig(files="a.jsonl", decimal=",", thousands="."), Path())
    block = Block("a.jsonl", pa.RecordBatch.from_pydict({}), np.arange(3), mixed={"n": ["1,5", 1.5, "1.500"]})

    assert store(block, spec, options).columns.to_pydict() == {"n": [1.5, 1.5, 1500.0]}
