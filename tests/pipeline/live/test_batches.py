"""Batches of examples are joined and split to a size, whatever parts were read. Loads no TensorFlow."""

import pyarrow as pa
import pytest

from pipeline.live.batches import (
    ExampleBatch,
    batch_of_texts,
    error_column,
    keys_of_files,
    location,
    rebatch,
    unusable_file,
)


def part(*sizes, file="a"):
    """Returns a batch with contents of these sizes in bytes; None for an example that cannot be used."""
    contents = [None if size is None else b"x" * size for size in sizes]
    errors = error_column({sizes.index(None): "no"} if None in sizes else {}, len(sizes))
    return ExampleBatch(keys_of_files([file] * len(sizes)), pa.array(contents, pa.binary()), errors)


@pytest.mark.parametrize("cut", [1, 2, 3, 8])
def test_batches_are_bounded_by_rows_and_by_bytes_however_the_rows_are_read(cut):
    sizes = (1, 1, 1, 9, 9, 20, 1, 1)
    parts = (part(*sizes[begin : begin + cut]) for begin in range(0, 8, cut))

    batches = rebatch(parts, 3, 10)

    assert [[len(content) for content in batch.contents.to_pylist()] for batch in batches] == [
        [1, 1, 1],
        [9, 9],
        [20],
        [1, 1],
    ]


def test_rows_with_an_error_keep_their_order_among_rows_of_other_sources():
    parts = [batch_of_texts(["t"], [b"t"], {}), unusable_file("f", "f is empty"), part(1, None, file="b")]

    (batch,) = rebatch(iter(parts), 100, 100)

    assert [batch.key(row) for row in range(4)] == [{"text": "t"}, {"file": "f"}, {"file": "b"}, {"file": "b"}]
    assert batch.contents.to_pylist() == [b"t", None, b"x", None]
    assert batch.errors.to_pylist() == [None, "f is empty", None, "no"]


def test_no_more_is_read_than_a_batch_needs():
    parts = iter([part(1), part(1), part(1)])

    next(rebatch(parts, 2, 100))

    assert len(list(parts)) == 1


def test_the_location_of_an_example():
    assert location({"file": "a.csv", "row": 3}, 4) == "a.csv row 3 (line 4)"
    assert location({"file": "a.jsonl", "row": 3}, 3) == "a.jsonl row 3"
    assert location({"file": "a.png"}) == "a.png"
    assert location({"text": "hello"}) == "hello"
