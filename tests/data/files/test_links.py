import os

import pytest

from data.errors import ConfigError
from data.files.links import is_pattern, without_signs


def test_a_folder_without_pattern_signs_is_returned_unchanged(tmp_path):
    with without_signs(tmp_path) as reached:
        assert reached == tmp_path


@pytest.mark.parametrize("name", ["a [1]", "a\\b", "a *", "a?"])
def test_a_folder_with_pattern_signs_gets_a_temporary_link(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()

    with without_signs(folder) as reached:
        (reached / "written").write_text("through the link")
        assert not is_pattern(reached)

    assert (folder / "written").read_text() == "through the link"
    assert not os.path.lexists(reached.parent)


def test_a_link_is_not_created_in_a_folder_with_pattern_signs(tmp_path, monkeypatch):
    (tmp_path / "tmp [2]").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp [2]"))

    with without_signs(tmp_path / "tmp [2]") as reached:
        assert not is_pattern(reached)

    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(ConfigError, match="needs a folder for temporary files; set TMPDIR to one"):
        without_signs(tmp_path / "tmp [2]").__enter__()
