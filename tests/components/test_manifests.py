import os

import pytest

from components.manifests import damage, manifest_path, write_manifest


@pytest.fixture
def artifact(tmp_path):
    """Returns the folder of an artifact with a manifest."""
    folder = tmp_path / "model" / "7"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "data").write_bytes(b"weights")
    write_manifest(folder)
    return folder


def test_an_unchanged_artifact_is_undamaged(artifact):
    assert damage(artifact) is None
    assert damage(artifact, thorough=True) is None


def test_a_copy_with_new_times_is_undamaged(artifact):
    os.utime(artifact / "saved_model.pb", ns=(1, 1))

    assert damage(artifact) is None


def test_truncated_weights_are_noticed(artifact):
    (artifact / "variables" / "data").write_bytes(b"weig")

    assert damage(artifact) == "variables/data has 4 bytes, expected 7"


def test_a_change_of_the_same_size_is_noticed(artifact):
    (artifact / "saved_model.pb").write_bytes(b"grape")

    assert damage(artifact) == "saved_model.pb was changed"


def test_a_thorough_check_notices_a_change_that_kept_size_and_time(artifact):
    before = (artifact / "saved_model.pb").stat()
    (artifact / "saved_model.pb").write_bytes(b"grape")
    os.utime(artifact / "saved_model.pb", ns=(before.st_atime_ns, before.st_mtime_ns))

    assert damage(artifact) is None
    assert damage(artifact, thorough=True) == "saved_model.pb was changed"


def test_missing_and_added_files_are_noticed(artifact):
    (artifact / "added.pkl").write_bytes(b"x")
    assert damage(artifact) == "added.pkl was added"

    (artifact / "saved_model.pb").unlink()
    assert damage(artifact) == "saved_model.pb is missing"


def test_a_missing_or_truncated_manifest_is_noticed(artifact):
    manifest_path(artifact).write_text("{")
    assert damage(artifact) == "its manifest is damaged"

    manifest_path(artifact).unlink()
    assert damage(artifact) == "its manifest is missing"
