import subprocess
import sys

import pytest

from models import deferred
from tests.conftest import ROOT


@pytest.fixture
def parcel(tmp_path, monkeypatch):
    """A package that writes down that its code ran, with one module."""
    folder = tmp_path / "parcel"
    folder.mkdir()
    (folder / "__init__.py").write_text("import sys\nsys.opened.append('ran')\nfrom parcel.inner import content\n")
    (folder / "inner.py").write_text("content = 7\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "opened", [], raising=False)
    yield sys.opened
    for name in ("parcel", "parcel.inner"):
        sys.modules.pop(name, None)


def test_a_module_of_a_deferred_package_is_imported_alone(parcel):
    deferred.defer("parcel")

    from parcel.inner import content

    assert (content, parcel) == (7, [])


def test_what_the_package_itself_holds_runs_its_code_once(parcel):
    deferred.defer("parcel")

    import parcel as package
    from parcel import content

    assert (content, package.content, parcel) == (7, 7, ["ran"])
    with pytest.raises(ImportError, match="cannot import name 'more'"):
        from parcel import more  # noqa: F401


@pytest.mark.slow
def test_who_needs_another_of_tfxs_components_gets_it_after_the_graph_was_loaded():
    script = (
        "import sys; import pipeline.running.graph; assert 'tfx.components.tuner.component' not in sys.modules;"
        "from tfx.components import Tuner; import tfx; assert tfx.components.Tuner is Tuner; print(Tuner.__name__)"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "Tuner\n"), done.stderr
