"""Every kind of column goes the whole way: raw cells, stored values, examples, statistics, drift, requests, people."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from data.columnar import batches, encoding
from data.columnar.columns import column, stored_type
from data.kinds.cell import ReadOptions, Unusable
from data.kinds.registry import KINDS, kind_of
from data.spec import (
    BooleanFeature,
    CategoryFeature,
    DatasetSpec,
    DateFeature,
    Feature,
    ImageFeature,
    LabelFeature,
    NumberFeature,
    SequenceFeature,
    TargetFeature,
    TensorFeature,
    TextFeature,
)


@dataclass(frozen=True)
class Case:
    """Raw cells of one column: some that can be used, one that cannot, and what a person is shown of the first."""

    feature: Feature
    cells: tuple[Any, ...]
    unusable: Any
    shown: Any
    refused: Any = None  # a stored value that input validation refuses; None where any is allowed


CASES = [
    Case(NumberFeature(min=0), (1.5, "2", 3), "many", 1.5, -1.0),
    Case(TargetFeature(), (0.25, "-3", 7), float("inf"), 0.25),
    Case(BooleanFeature(), ("yes", False, 1), "perhaps", True),
    Case(DateFeature(), ("2024-01-31", "1960-05-01T12:00:00", "2030-07-01"), "31 January", "2024-01-31"),
    Case(CategoryFeature(values=("red", "blue")), ("red", "blue", "red"), "green", "red", b"green"),
    Case(TextFeature(), ("some words", "caf\u00e9", "other words"), " ", "some words", b"\xff"),
    Case(LabelFeature(classes=("cat", "dog")), ("dog", "cat", "dog"), "eel", "dog"),
    Case(ImageFeature(height=1, width=2, channels=1), (b"\x01\x02", b"\xff\x00", b"\x07\x07"), b"\x01", "1x2x1", b"1"),
    Case(SequenceFeature(max_length=4), ([1, 2.5], "[3]", [4, 5, 6]), [1, None], [1.0, 2.5], [1.0] * 5),
    Case(SequenceFeature(of="category", separator="|"), ("a|b", "c", ["d", "a"]), "a||b", ["a", "b"], [b"\xff"]),
    Case(SequenceFeature(width=2), ([[1, 2], [3, 4]], [[5, 6]], [[7, 8]]), [[1, 2], [3]], [1.0, 2.0, 3.0, 4.0], [1.0]),
    Case(
        TensorFeature(shape=(2, 2)), ([[1, 2], [3, 4]], [5, 6, 7, 8], "[[0, 0], [0, 1]]"), [[1, 2]],
        [[1.0, 2.0], [3.0, 4.0]], b"1234",
    ),
]  # fmt: skip
IDS = [f"{case.feature.kind}-{index}" for index, case in enumerate(CASES)]
OPTIONS = ReadOptions()


def _spec(feature: Feature) -> DatasetSpec:
    return DatasetSpec(name="made up", title="", licence="none", features={"x": feature})


def _stored(case: Case) -> pa.Array:
    stored = column(list(case.cells), case.feature, OPTIONS)
    assert not stored.problems
    return stored.values


def test_no_kind_is_without_a_case():
    assert {type(case.feature) for case in CASES} == set(KINDS)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_cells_are_stored_and_come_back(case):
    values = _stored(case)
    assert values.type == stored_type(case.feature)
    batch = pa.RecordBatch.from_arrays([values], names=["x"])
    of_rows = [kind_of(case.feature).value(cell, case.feature, OPTIONS) for cell in case.cells]
    again = [kind_of(case.feature).to_value(stored, case.feature) for stored in values.to_pylist()]
    assert [np.asarray(value).tolist() for value in again] == [np.asarray(value).tolist() for value in of_rows]
    assert batches.encoded(batch, _spec(case.feature))[1].shape == (3, 2)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_cell_that_cannot_be_used_is_refused_in_one_sentence(case):
    stored = column([*case.cells, case.unusable], case.feature, OPTIONS)
    assert list(stored.problems) == [3]
    with pytest.raises(Unusable) as error:
        kind_of(case.feature).value(case.unusable, case.feature, OPTIONS)
    assert error.value.expected
    assert error.value.found


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_person_is_shown_what_the_data_holds(case):
    shown = kind_of(case.feature).in_data(_stored(case)[0].as_py(), case.feature)
    assert json.loads(json.dumps(shown)) == case.shown


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_two_features_whose_values_differ_in_form_have_another_identity(case):
    identities = {kind_of(other.feature).identity(other.feature) for other in CASES}
    assert len(identities) == len(CASES)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_examples_statistics_schema_and_profile_hold_it(case, tmp_path):
    import tensorflow as tf
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from components.data_gate import schema_of_statistics, validate
    from components.schema import schema_text
    from components.statistics import generate
    from data import examples

    spec, values = _spec(case.feature), _stored(case)
    serialized = encoding.encode(pa.RecordBatch.from_arrays([values], names=["x"]), ["x"]).to_pylist()
    rows = [{"x": stored} for stored in values.to_pylist()]
    assert [examples.encode(row, spec) for row in rows] == serialized
    assert [examples.decode(example, spec) for example in serialized] == rows

    file = str(tmp_path / "rows")
    with tf.io.TFRecordWriter(file) as writer:
        for example in serialized:
            writer.write(example)
    statistics, profile = generate([file], spec)
    assert profile.arrays["rows"] == 3
    (dataset,) = statistics.datasets
    described = {feature.path.step[0] for feature in dataset.features}
    assert described == {f"x{suffix}" for suffix in kind_of(case.feature).described_as}
    schema = schema_of_statistics(text_format.Parse(schema_text(spec), schema_pb2.Schema()), spec)
    assert not validate(statistics, schema).anomaly_info


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.feature.target], ids=lambda case: case.feature.kind
)
def test_a_request_is_validated(case, tmp_path):
    from data import examples
    from models.serving.protocol import input_rules
    from models.serving.server import input_validation

    spec = _spec(case.feature)
    input_rules.write(tmp_path, spec, {})
    rules = json.loads((tmp_path / input_rules.FILE).read_text())["features"]
    rules["x"]["allowed"] = {value.encode() for value in rules["x"].get("values", ())} or None
    rules["x"] = {key: value for key, value in rules["x"].items() if value is not None or key == "max_length"}

    def problems(*rows):
        serialized = np.array([examples.encode(row, spec) for row in rows], object)
        return [(row, name) for row, name, _ in input_validation._examples(serialized, rules)]

    assert not problems(*({"x": stored} for stored in _stored(case).to_pylist()))
    assert problems({}) == [(0, "x")]
    if case.refused is not None:
        assert problems({"x": case.refused}) == [(0, "x")]
