import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.evaluation.predictions import NUM_ROWS, SECONDS, Predictions, batches, read
from tests.models.evaluation.stored import store


def _predictions(begin: int, end: int, regions: list[str | None]) -> Predictions:
    rows = np.arange(begin, end)
    return Predictions(
        targets=rows % 2,
        values=np.stack([rows / 100, 1 - rows / 100], axis=1).astype(np.float32),
        groups=(rows // 2).astype(np.int32),
        weights=rows + 0.5,
        slices={"region": pa.array(regions, pa.string()).dictionary_encode()},
    )


def _add_metadata(path, **values) -> None:
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({name: str(value) for name, value in values.items()}), path)


def test_stored_predictions_are_read_in_the_order_of_their_files(tmp_path):
    """Each file has a dictionary of its own."""
    folder = tmp_path / "predictions"
    store(folder, _predictions(3, 5, ["north", None]), 1)
    store(folder, _predictions(0, 3, ["south", "north", "south"]), 0)
    _add_metadata(folder / "part-00000.parquet", **{SECONDS: 1.5})
    _add_metadata(folder / "part-00001.parquet", **{SECONDS: 2.25})

    predictions = read(folder)

    assert predictions.targets.tolist() == [0, 1, 0, 1, 0]
    assert predictions.values[:, 0] == pytest.approx([0, 0.01, 0.02, 0.03, 0.04])
    assert predictions.numbers == pytest.approx([1, 0.99, 0.98, 0.97, 0.96])
    assert predictions.groups.tolist() == [0, 0, 1, 1, 2]
    assert predictions.weights.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert predictions.slices["region"].to_pylist() == ["south", "north", "south", "north", None]
    assert predictions.seconds == pytest.approx(3.75)
    assert [len(batch.targets) for batch in batches(folder)] == [3, 2]


def test_numbers_without_groups_weights_and_slices_are_read(tmp_path):
    store(tmp_path / "predictions", Predictions(np.float32([1, 2]), np.float32([3, 4])))

    predictions = read(tmp_path / "predictions")

    assert predictions.values.tolist() == predictions.numbers.tolist() == [3.0, 4.0]
    assert (predictions.groups, predictions.weights, predictions.slices, predictions.seconds) == (None, None, {}, 0.0)


def test_a_mask_selects_rows_of_predictions():
    selected = _predictions(0, 4, ["a", "b", "a", None]).of(np.array([False, True, True, False]))

    assert (selected.targets.tolist(), selected.groups.tolist(), selected.weights.tolist()) == (
        [1, 0],
        [0, 1],
        [1.5, 2.5],
    )
    assert selected.slices["region"].to_pylist() == ["b", "a"]


def test_a_missing_file_is_an_error(tmp_path):
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
def test_predictions_of_an_older_release_are_read(tmp_path, groups):
    optional = {} if groups is None else {"groups": groups}
    np.savez(tmp_path / "old.npz", targets=np.arange(3), values=np.eye(3), seconds=np.float64(0.5), **optional)

    predictions = read(tmp_path / "old.npz")

    assert (predictions.targets.tolist(), predictions.values.shape, predictions.seconds) == ([0, 1, 2], (3, 3), 0.5)
    assert predictions.groups is None if groups is None else predictions.groups.tolist() == [0, 0, 1]
