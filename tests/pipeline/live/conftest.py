from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A temporary folder that is the current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
