import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.evaluation.predictions import NUM_ROWS, SECONDS, Predictions, batches, read
from tests.models.evaluation.stored import store


def _predictions(begin: int, end: int, places: list[str | None]) -> Predictions:
    rows = np.arange(begin, end)
    return Predictions(
        targets=rows % 2,
        values=np.stack([rows / 100, 1 - rows / 100], axis=1).astype(np.float32),
        groups=(rows // 2).astype(np.int32),
        weights=rows + 0.5,
        slices={"place": pa.array(places, pa.string()).dictionary_encode()},
    )


def _add_metadata(path, **values) -> None:
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({name: str(value) for name, value in values.items()}), path)


def test_what_is_stored_in_files_is_read_in_their_order(tmp_path):
    """Each file has a dictionary of its own."""
    folder = tmp_path / "predictions"
    store(folder, _predictions(3, 5, ["north", None]), 1)
    store(folder, _predictions(0, 3, ["south", "north", "south"]), 0)
    _add_metadata(folder / "part-00000.parquet", **{SECONDS: 1.5})
    _add_metadata(folder / "part-00001.parquet", **{SECONDS: 2.25})

    found = read(folder)

    assert found.targets.tolist() == [0, 1, 0, 1, 0]
    assert found.values[:, 0] == pytest.approx([0, 0.01, 0.02, 0.03, 0.04])
    assert found.numbers == pytest.approx([1, 0.99, 0.98, 0.97, 0.96])
    assert found.groups.tolist() == [0, 0, 1, 1, 2]
    assert found.weights.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert found.slices["place"].to_pylist() == ["south", "north", "south", "north", None]
    assert found.seconds == pytest.approx(3.75)
    assert [len(batch.targets) for batch in batches(folder)] == [3, 2]


def test_numbers_without_groups_weights_and_slices(tmp_path):
    store(tmp_path / "predictions", Predictions(np.float32([1, 2]), np.float32([3, 4])))

    found = read(tmp_path / "predictions")

    assert found.values.tolist() == found.numbers.tolist() == [3.0, 4.0]
    assert (found.groups, found.weights, found.slices, found.seconds) == (None, None, {}, 0.0)


def test_some_rows_of_predictions():
    found = _predictions(0, 4, ["a", "b", "a", None]).of(np.array([False, True, True, False]))

    assert (found.targets.tolist(), found.groups.tolist(), found.weights.tolist()) == ([1, 0], [0, 1], [1.5, 2.5])
    assert found.slices["place"].to_pylist() == ["b", "a"]


def test_files_of_which_one_is_missing_are_refused(tmp_path):
    folder = tmp_path / "predictions"
    for part in range(2):
        store(folder, _predictions(2 * part, 2 * part + 2, ["a", "b"]), part)
        _add_metadata(folder / f"part-{part:05d}.parquet", **{NUM_ROWS: 4})
    assert len(read(folder).targets) == 4

    (folder / "part-00000.parquet").unlink()

    with pytest.raises(FileNotFoundError, match=r"Expected 4 predictions in .*, found 2 in 1 files: one is missing"):
        read(folder)
    (folder / "part-00001.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="No predictions in"):
        read(folder)


@pytest.mark.parametrize("groups", [None, np.int32([0, 0, 1])])
def test_predictions_of_an_older_release(tmp_path, groups):
    others = {} if groups is None else {"groups": groups}
    np.savez(tmp_path / "old.npz", targets=np.arange(3), values=np.eye(3), seconds=np.float64(0.5), **others)

    found = read(tmp_path / "old.npz")

    assert (found.targets.tolist(), found.values.shape, found.seconds) == ([0, 1, 2], (3, 3), 0.5)
    assert found.groups is None if groups is None else found.groups.tolist() == [0, 0, 1]
