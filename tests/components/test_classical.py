import numpy as np


def test_as_many_rows_are_read_as_the_greatest_limit_of_a_candidate():
    from sklearn.dummy import DummyClassifier

    from components.classical import sample_rows
    from models.tasks.reference import Candidate

    def candidates(*limits):
        return [Candidate(DummyClassifier(), "none", limit) for limit in limits]

    rows = sample_rows(candidates(10, 30, 20), num_rows=100, seed=1)

    assert len(rows) == len(set(rows.tolist())) == 30
    assert rows.tolist() == sorted(rows.tolist())
    assert rows.max() < 100
    np.testing.assert_array_equal(rows, sample_rows(candidates(10, 30, 20), num_rows=100, seed=1))
    assert sample_rows(candidates(10, None), num_rows=100, seed=1) is None
    assert sample_rows(candidates(10, 30), num_rows=30, seed=1) is None


def _write_table(folder):
    """Writes 40 rows of a table into each split; returns its spec and the rows."""
    from components.example_gen import write_splits
    from data.columnar.batches import of_rows
    from data.spec import SPLITS
    from tests.models.tiny import rows_of, spec_of

    spec = spec_of("tabular_classification")
    rows = rows_of("tabular_classification", 40, 0)
    write_splits(of_rows(((split, row) for split in SPLITS for row in rows), spec), spec, folder)
    return spec, rows


def test_selected_rows_are_read_by_their_index_in_the_split(tmp_path):
    from components.classical import read_frame

    spec, _ = _write_table(tmp_path)

    frame = read_frame(str(tmp_path), "train", spec)
    selected = read_frame(str(tmp_path), "train", spec, np.array([0, 7, 39]))

    assert selected["lambda"].tolist() == frame["lambda"].iloc[[0, 7, 39]].tolist()


def test_categories_are_read_as_categoricals_of_the_stored_bytes(tmp_path, monkeypatch):
    from components.classical import read_frame
    from data.spec import CategoryFeature

    spec, rows = _write_table(tmp_path)
    monkeypatch.setattr("data.examples.READ_ROWS", 16)  # several batches, each with its own values

    frame = read_frame(str(tmp_path), "train", spec)

    for name in spec.of(CategoryFeature):
        assert frame[name].dtype == "category"
        assert sorted(frame[name]) == sorted((row.get(name) or "").encode() for row in rows)
