import os

import pytest

from data import atomic


def test_a_file_is_replaced_and_nothing_lies_beside_it(tmp_path):
    atomic.write(tmp_path / "a.json", "café", mode=0o640, flush=True)
    atomic.write(tmp_path / "b", b"\x00\xff")

    assert (tmp_path / "a.json").read_bytes() == "café".encode()
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["a.json", "b"]


def test_what_was_there_stays_when_the_new_content_cannot_be_written(tmp_path):
    atomic.write(tmp_path / "a", "before")

    with pytest.raises(UnicodeEncodeError):
        atomic.write(tmp_path / "a", "\ud800")

    assert (tmp_path / "a").read_text() == "before"
    assert os.listdir(tmp_path) == ["a"]
