"""The encoder of columns writes the same bytes as the codec of rows."""

import numpy as np
import pyarrow as pa
import pytest

from data.columnar import encoding

ROWS = [
    {"b": 1.5, "a": "hällo".encode(), "d": 123, "longer name": b"x" * 200},
    {"a": b"", "d": -5},
    {"b": float("-0.0"), "a": b"\0\xff" * 70_000, "d": 2**63 - 1},
    {"d": -(2**63), "b": 3e38},
    {"d": 127},
    {"d": 128},
    {},
]
TYPES = {"b": pa.float32(), "a": pa.binary(), "d": pa.int64(), "longer name": pa.binary()}


@pytest.fixture(name="columns", scope="module")
def _columns():
    return pa.RecordBatch.from_arrays(
        [pa.array([row.get(name) for row in ROWS], kind) for name, kind in TYPES.items()], names=list(TYPES)
    )


@pytest.mark.slow
def test_bytes_equal_those_of_the_row_codec(columns):
    from data import examples
    from data.spec import CategoryFeature, DatasetSpec, DateFeature, NumberFeature

    features = {
        "b": NumberFeature(optional=True),
        "a": CategoryFeature(optional=True),
        "d": DateFeature(optional=True),
        "longer name": CategoryFeature(optional=True),
    }
    spec = DatasetSpec(name="made up", title="", licence="none", features=features)
    assert encoding.encode(columns, list(TYPES)).to_pylist() == [examples.encode(row, spec) for row in ROWS]


def test_a_slice_has_the_bytes_of_its_rows(columns):
    all_rows = encoding.encode(columns, ["d", "a"]).to_pylist()
    assert encoding.encode(columns.slice(2, 3), ["a", "d"]).to_pylist() == all_rows[2:5]


def test_without_columns_or_rows(columns):
    assert encoding.encode(columns, []).to_pylist() == [b""] * len(ROWS)
    assert encoding.encode(columns.slice(0, 0), list(TYPES)).to_pylist() == []
    assert encoding.digests(pa.array([], pa.binary())).shape == (0, 2)


def test_digests_distinguish_names_and_boundaries():
    batches = [{"a": [b"1"]}, {"b": [b"1"]}, {"a": [b"1"], "b": [b"23"]}, {"a": [b"12"], "b": [b"3"]}]
    digests = [
        encoding.digests(encoding.encode(pa.RecordBatch.from_pydict(batch), list(batch)))[0].tolist()
        for batch in batches
    ]
    assert len({tuple(digest) for digest in digests}) == len(batches)
    reordered = encoding.digests(encoding.encode(pa.RecordBatch.from_pydict(batches[2]), ["b", "a"]))
    assert np.array_equal(reordered[0], digests[2])


@pytest.mark.slow
def test_lists_are_encoded_as_the_codec_of_rows_does_it():
    from data import examples
    from data.spec import DatasetSpec, LabelFeature, SequenceFeature

    features = {
        "numbers": SequenceFeature(optional=True),
        "words": SequenceFeature(of="category", optional=True),
        "label": LabelFeature(classes=("a", "b")),
    }
    spec = DatasetSpec(name="made up", title="", licence="none", features=features)
    rows = [
        {"numbers": [1.5] * 50, "words": ["", "x" * 300], "label": 1},
        {"label": 0},
        {"numbers": [-0.5], "label": 1},
        {"words": ["\u00e9"] * 3, "label": 0},
    ]
    columns = pa.RecordBatch.from_arrays(
        [
            pa.array([row.get("numbers") for row in rows], pa.list_(pa.float32())),
            pa.array([row.get("words") for row in rows]).cast(pa.list_(pa.binary())),
            pa.array([row["label"] for row in rows]),
        ],
        names=list(features),
    )
    for part, begin in ((columns, 0), (columns.slice(1, 3), 1), (columns.slice(2, 1), 2)):
        expected = [examples.encode(row, spec) for row in rows[begin : begin + len(part)]]
        assert encoding.encode(part, list(features)).to_pylist() == expected
