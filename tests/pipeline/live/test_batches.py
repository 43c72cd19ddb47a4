"""Questions come in batches, whatever parts they were read in. Loads no TensorFlow."""

import pyarrow as pa
import pytest

from pipeline.live.batches import Questions, batches, error_column, keys_of_files, of_texts, place, refused


def part(*sizes, file="a"):
    contents = [None if size is None else b"x" * size for size in sizes]
    errors = error_column({sizes.index(None): "no"} if None in sizes else {}, len(sizes))
    return Questions(keys_of_files([file] * len(sizes)), pa.array(contents, pa.binary()), errors)


@pytest.mark.parametrize("cut", [1, 2, 3, 8])
def test_batches_are_bounded_by_rows_and_by_bytes_however_the_rows_are_read(cut):
    sizes = (1, 1, 1, 9, 9, 20, 1, 1)
    parts = (part(*sizes[begin : begin + cut]) for begin in range(0, 8, cut))

    found = batches(parts, 3, 10)

    assert [[len(one) for one in batch.contents.to_pylist()] for batch in found] == [[1, 1, 1], [9, 9], [20], [1, 1]]


def test_rows_with_an_error_have_their_places_beside_others_of_other_sources():
    parts = [of_texts(["t"], [b"t"], {}), refused("f", "f is empty"), part(1, None, file="b")]

    (batch,) = batches(iter(parts), 100, 100)

    assert [batch.key(row) for row in range(4)] == [{"text": "t"}, {"file": "f"}, {"file": "b"}, {"file": "b"}]
    assert batch.contents.to_pylist() == [b"t", None, b"x", None]
    assert batch.errors.to_pylist() == [None, "f is empty", None, "no"]


def test_no_more_is_read_than_a_batch_needs():
    parts = iter([part(1), part(1), part(1)])

    next(batches(parts, 2, 100))

    assert len(list(parts)) == 1


def test_a_place_is_told_in_words():
    assert place({"file": "a.csv", "row": 3}, 4) == "a.csv row 3 (line 4)"
    assert place({"file": "a.jsonl", "row": 3}, 3) == "a.jsonl row 3"
    assert place({"file": "a.png"}) == "a.png"
    assert place({"text": "hello"}) == "hello"
