import pytest

from data.sources import debian


def test_a_host_without_apt_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(debian.AptError, match="this host has no apt"):
        debian.fetch(["hello"], tmp_path / "into")
