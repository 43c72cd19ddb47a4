"""Rows of Python values become columns of equal values."""

import numpy as np
import pyarrow as pa
import pytest

from data.sources import blocks
from data.spec import Problem


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, None, 3], pa.int64()),
        ([1, 2.5], pa.float64()),
        ([float("nan"), None], pa.float64()),
        ([None, None], pa.null()),
        (["a", b"a"], None),
        ([True, 1], None),
        ([2**53 + 1, 0.5], None),
        ([2**63], None),
        (["\ud800"], None),
        ([{"a": 1}, {"b": 1}], None),
        ([[1], [], None, [2]], pa.list_(pa.int64())),
        ([[1.0], [2.5]], pa.list_(pa.float64())),
        ([[1], [2.5]], None),
        ([[1, 2.5]], None),
        ([[1], ["a"]], None),
        ([[[1]]], None),
    ],
)
def test_values_of_one_type_become_an_array_and_mixed_types_do_not(values, kind):
    array = blocks.typed(values)

    assert (array is None) == (kind is None)
    if array is not None:
        assert array.type == kind
        assert repr(array.to_pylist()) in (repr(values), repr([1.0, 2.5]))


def test_rows_with_few_of_many_columns_are_divided_into_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "MAX_CELLS", 8)
    rows = [{str(number): number} for number in range(5)]

    cut_blocks = list(blocks.blocks_of("rows", rows, np.arange(1, 6)))

    assert all(len(block) * len(block.columns) <= 8 for block in cut_blocks)
    assert [block.where(row) for block in cut_blocks for row in range(len(block))] == [
        f"rows:{line}" for line in range(1, 6)
    ]
    assert [block.column(str(block.numbers[0] - 1))[0].as_py() for block in cut_blocks] == [
        int(block.numbers[0]) - 1 for block in cut_blocks
    ]


def test_pieces_of_a_block_hold_its_rows_and_its_problems_once():
    problem = Problem("rows:9", "", "a row", "none")
    cells = pa.RecordBatch.from_pydict({"x": [1, 2, 3]})
    block = blocks.Block("rows", cells, np.array([1, 2, 4]), {"y": ["a", 1, None]}, (problem,), ("p", "q", "r"))

    first, second = block.pieces(2)

    assert [first.cells.to_pydict(), second.cells.to_pydict()] == [{"x": [1, 2]}, {"x": [3]}]
    assert [first.mixed, second.mixed] == [{"y": ["a", 1]}, {"y": [None]}]
    assert [first.numbers.tolist(), second.numbers.tolist()] == [[1, 2], [4]]
    assert [first.names, second.names] == [("p", "q"), ("r",)]
    assert [first.problems, second.problems] == [(problem,), ()]
    assert list(block.pieces(3)) == [block]


def test_problems_of_divided_rows_occur_once(monkeypatch):
    monkeypatch.setattr(blocks, "MAX_CELLS", 2)
    problem = Problem("rows:3", "", "a row", "none")

    cut_blocks = list(blocks.blocks_of("rows", [{"a": 1}, {"a": 2}, {"b": 3}], np.arange(3), (problem,)))

    assert len(cut_blocks) > 1
    assert [block_problem for block in cut_blocks for block_problem in block.problems] == [problem]


def test_problems_of_a_divided_buffer_keep_the_number_of_rows_before_them(monkeypatch):
    monkeypatch.setattr(blocks, "MAX_CELLS", 4)
    buffer = blocks.RowBuffer("rows")
    for number in range(6):
        is_wrong = number in (0, 3, 5)
        buffer.add({str(number): 1}, 1, Problem("rows:1", str(number), "", "", 1) if is_wrong else None, 1)

    cut_blocks = list(buffer.blocks())

    positions = [
        (len(block), [problem.column for problem in block.problems], block.rows_before) for block in cut_blocks
    ]
    assert positions == [(1, ["0"], (0,)), (2, ["3", "5"], (1, 2))]
    assert [block.rows_before for block in cut_blocks[1].pieces(1)] == [(1, 2), ()]
