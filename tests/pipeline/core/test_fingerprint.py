import pytest

from pipeline.core import fingerprint as fp


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A made-up checkout in place of ours: models.a imports data.b within a function."""
    for package in ("models", "data"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    (tmp_path / "models" / "a.py").write_text("def f():\n    from data import b\n    return b.x\n")
    (tmp_path / "data" / "b.py").write_text("x = 1\n")
    (tmp_path / "data" / "c.py").write_text("y = 1\n")
    monkeypatch.setattr(fp, "ROOT", tmp_path)
    return tmp_path


def test_the_closure_follows_imports_within_functions(tree):
    assert fp.closure(["models.a"]) == {"models.a", "data", "data.b"}


def test_a_change_of_an_imported_module_changes_the_fingerprint(tree):
    before = fp.fingerprint(["models.a"], [])

    (tree / "data" / "b.py").write_text("x = 2\n")

    assert fp.fingerprint(["models.a"], []) != before


def test_a_comment_or_another_module_leaves_it(tree):
    before = fp.fingerprint(["models.a"], [])

    (tree / "data" / "b.py").write_text("# why\nx   =   1\n")
    (tree / "data" / "c.py").write_text("y = 2\n")

    assert fp.fingerprint(["models.a"], []) == before


def test_the_versions_of_packages_count():
    import click

    assert fp.fingerprint([], ["click"]) == {"click": click.__version__}
