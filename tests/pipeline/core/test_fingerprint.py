import sqlite3

import platformdirs
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
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache" / name))
    _forget()
    yield tmp_path
    _forget()


def _forget():
    """Forgets what this process has read, as if another had begun; what is stored stays."""
    fp._read.cache_clear()
    fp._is_ours.cache_clear()
    fp._cache = fp._SourceCache()


def _fingerprint() -> dict[str, str]:
    _forget()
    return fp.fingerprint(fp.closure(["models.a"]))


def test_the_closure_follows_imports_within_functions(tree):
    assert fp.closure(["models.a"]) == {"models", "models.a", "data", "data.b"}


def test_a_module_named_in_a_string_counts_with_the_main_module_of_a_package(tree):
    (tree / "data" / "__main__.py").write_text("from data import c\n")
    (tree / "data" / "b.py").write_text('command = ["-m", "data"]\nother = "data.none"\n')
    (tree / "data" / "c.py").write_text('command = ["-m", "models.a"]\n')

    assert fp.closure(["data.c"]) == {"data", "data.c", "models", "models.a", "data.b"}


def test_names_computed_at_run_time_replace_strings(tree):
    (tree / "data" / "c.py").write_text('import importlib\nknown = ["models.a"]\n')

    assert fp.closure(["data.c"], by_name={"data.c": ["data.b"]}) == {"data", "data.c", "data.b"}


def test_an_excluded_module_excludes_what_only_it_imports(tree):
    (tree / "data" / "b.py").write_text("from data import c\n")

    assert fp.closure(["models.a"], excluded=["data.[ab]"]) == {"models", "models.a", "data"}


def test_a_change_of_an_imported_module_changes_the_fingerprint(tree):
    before = _fingerprint()

    (tree / "data" / "b.py").write_text("x = 2\n")

    assert _fingerprint() != before


def test_a_comment_or_another_module_leaves_it(tree):
    before = _fingerprint()

    (tree / "data" / "b.py").write_text("# why\nx   =   1\n")
    (tree / "data" / "c.py").write_text("y = 2\n")

    assert _fingerprint() == before


def test_a_source_is_parsed_once_by_all_processes(tree, monkeypatch):
    before = _fingerprint()
    monkeypatch.delattr(fp, "_parsed")

    assert _fingerprint() == before
    (tree / "data" / "c.py").write_text("not reached, not Python\n")
    assert _fingerprint() == before
    (tree / "data" / "b.py").write_text("x = 2\n")
    with pytest.raises(NameError):
        _fingerprint()


@pytest.mark.parametrize("damage", ["", "[1", "{}", '["digest", 1, 2]'])
def test_a_damaged_cache_is_done_without(tree, damage):
    before = _fingerprint()
    database = tree / "cache" / "headrace" / "files.db"
    with sqlite3.connect(database) as opened:
        assert opened.execute("update known set value = ?", (damage,)).rowcount == 3  # two are empty

    assert _fingerprint() == before
    database.write_text("no database" * 100)
    assert _fingerprint() == before


def test_the_versions_of_packages_count():
    import click

    assert fp.fingerprint([], ["click"]) == {"click": click.__version__}


def test_the_packages_that_a_module_imports_count_under_their_installed_names(tree):
    import click
    import PIL

    (tree / "data" / "b.py").write_text("import json\n\nfrom data import c\n\n\ndef f():\n    from PIL import Image\n")
    (tree / "data" / "c.py").write_text("import click.core\nimport not_installed\n")

    parts = fp.fingerprint(["data.b", "data.c"])

    assert parts.keys() == {"data.b", "data.c", "click", "pillow"}
    assert (parts["click"], parts["pillow"]) == (click.__version__, PIL.__version__)
