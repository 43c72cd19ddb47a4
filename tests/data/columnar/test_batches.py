import numpy as np
import pyarrow as pa

from data.columnar.batches import Batch
from data.kinds.cell import Distinct
from data.spec import Problem

COLUMNS = pa.RecordBatch.from_pydict({"x": pa.array([1.0, 2.0, 3.0], pa.float32())})
BATCH = Batch(
    COLUMNS,
    splits=np.array([0, 1, 2], np.int8),
    file="/data/rows.csv",
    numbers=np.array([2, 3, 5]),
    inputs=pa.array([b"a", b"b", b"c"]),
    digests=np.array([[1, 2], [3, 4], [5, 6]], np.uint64),
    groups=pa.array(["p", None, "q"]),
    files={"x": pa.array([b"1", None, b"3"])},
    problems=(("train", (Problem("/data/rows.csv:4", "x", "a number", "'a'"),)),),
    distinct={"x": Distinct(np.array([1, 2, 3, 9], np.uint64), np.array([1, 2, 3, 9], np.float32), all_integers=True)},
    share=0.5,
    path="/data/rows.csv",
    path_number=2,
)


def test_some_rows_are_taken_with_all_problems_and_all_different_values():
    taken = BATCH.take(np.array([2, 0]))

    assert taken.columns.to_pydict() == {"x": [3.0, 1.0]}
    assert [taken.splits.tolist(), taken.numbers.tolist(), taken.digests.tolist()] == [[2, 0], [5, 2], [[5, 6], [1, 2]]]
    assert [taken.inputs.to_pylist(), taken.groups.to_pylist()] == [[b"c", b"a"], ["q", "p"]]
    assert taken.files["x"].to_pylist() == [b"3", b"1"]
    for name in ("file", "names", "problems", "distinct", "share", "path", "path_number"):
        assert getattr(taken, name) is getattr(BATCH, name) or getattr(taken, name) == getattr(BATCH, name)


def test_row_ids_have_the_number_of_the_path_and_names_of_files_in_a_folder():
    files = Batch(
        COLUMNS.slice(0, 2),
        splits=np.zeros(2, np.int8),
        file="",
        numbers=np.arange(2),
        inputs=pa.array([b"a", b"b"]),
        digests=np.zeros((2, 2), np.uint64),
        names=("/data/pets/cat/7.png", "/data/pets/dog/8.png"),
        path="/data/pets",
        path_number=3,
    )

    assert BATCH.row_ids() == [("2", 2), ("2", 3), ("2", 5)]
    assert files.row_ids() == [("3/cat/7.png", 0), ("3/dog/8.png", 0)]
    assert files.take(np.array([1])).names == ("/data/pets/dog/8.png",)
