import os

import pytest

from data.files import atomic


def test_a_file_is_replaced_and_no_other_file_remains(tmp_path):
    atomic.write(tmp_path / "a.json", "café", mode=0o640, flush=True)
    atomic.write(tmp_path / "b", b"\x00\xff")

    assert (tmp_path / "a.json").read_bytes() == "café".encode()
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["a.json", "b"]


def test_the_old_content_stays_when_the_new_content_cannot_be_written(tmp_path):
    atomic.write(tmp_path / "a", "before")

    with pytest.raises(UnicodeEncodeError):
        atomic.write(tmp_path / "a", "\ud800")

    assert (tmp_path / "a").read_text() == "before"
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_appears_complete_and_a_staging_file_keeps_its_ending(tmp_path):
    with atomic.replacing(tmp_path / "made") as staging:
        staging.mkdir()
        (staging / "part").write_text("1")
        assert not (tmp_path / "made").exists()
    with atomic.replacing(tmp_path / "a.npz") as staging:
        assert staging.suffix == ".npz"
        staging.write_text("new")

    assert (tmp_path / "made" / "part").read_text() == "1"
    assert (tmp_path / "a.npz").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["a.npz", "made"]


def _interrupted(path):
    with atomic.replacing(path) as staging:
        staging.mkdir()
        (staging / "part").write_text("half")
        raise KeyboardInterrupt


def test_an_unfinished_folder_is_removed(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        _interrupted(tmp_path / "made")

    assert os.listdir(tmp_path) == []


def test_leftovers_of_a_killed_process_are_replaced(tmp_path):
    left = tmp_path / f".{os.getpid()}.made"
    left.mkdir()
    (left / "half").touch()

    with atomic.replacing(tmp_path / "made") as staging:
        staging.mkdir()

    assert os.listdir(tmp_path / "made") == []
