"""The command imports its own packages, whatever has their names in the current folder or on PYTHONPATH.

See also `digits_run` in conftest.py, a run in such a folder, whose serving check starts a server; and
test_beam_workers.py.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import headrace as command
from pipeline.core import fingerprint
from pipeline.scheduling.store import Schedule, Store
from tests.conftest import ROOT, headrace, namesakes
from tests.waiting import PATIENCE_S, until


def _python(code: str, folder: Path, path: str) -> str:
    """Returns what a program prints in `folder` with `path` as PYTHONPATH."""
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_packages_are_those_of_setup_py():
    assert command.PACKAGES == fingerprint.PACKAGES
    assert f"find_packages(include={[f'{name}*' for name in command.PACKAGES]})".replace("'", '"') in (
        (ROOT / "setup.py").read_text()
    )


def test_modules_of_the_same_name_in_the_current_folder_or_on_the_path_are_not_imported(tmp_path):
    folder = namesakes(tmp_path)

    by_path = headrace("list", cwd=folder, PYTHONPATH=str(folder))
    as_module = subprocess.run(
        [sys.executable, "-m", "headrace", "list"], cwd=folder, capture_output=True, text=True, timeout=PATIENCE_S
    )

    assert by_path.code == 0, by_path.err
    assert by_path.out.startswith("pipelines\n")
    assert as_module.stdout == by_path.out


def test_a_folder_named_headrace_on_the_path_is_not_imported(tmp_path):
    (tmp_path / "headrace").mkdir()

    assert headrace("list", cwd=tmp_path, PYTHONPATH=str(tmp_path)).code == 0


def test_other_modules_of_the_folder_stay_importable(tmp_path):
    folder = namesakes(tmp_path)
    code = (
        "import headrace; headrace.put_our_packages_first(); import data, own_module;"
        "print(data.__file__, own_module.__file__)"
    )

    assert _python(code, tmp_path, str(folder)) == f"{ROOT / 'data' / '__init__.py'} {folder / 'own_module.py'}"


def test_an_installed_wheel_hides_no_module_of_the_standard_library(tmp_path):
    """A wheel is in site-packages, which may hold old backports of modules of the standard library."""
    user_folder, site_packages = namesakes(tmp_path / "person"), tmp_path / "site-packages"
    (site_packages / "pipeline").mkdir(parents=True)
    (site_packages / "pipeline" / "__init__.py").write_text("")
    (site_packages / "random.py").write_text("raise SystemExit('not of the standard library')\n")
    (site_packages / "headrace.py").write_text((ROOT / "headrace.py").read_text())
    # As the module `site` would: before the folder of our editable install, and after the standard library.
    code = (
        f"import sys; sys.path.insert(sys.path.index({str(ROOT)!r}), {str(site_packages)!r}); import headrace;"
        "headrace.put_our_packages_first(); import pipeline, random; print(pipeline.__file__)"
    )

    assert _python(code, tmp_path, str(user_folder)) == str(site_packages / "pipeline" / "__init__.py")


@pytest.mark.slow
def test_a_scheduled_run_imports_our_packages(tmp_path):
    folder = namesakes(tmp_path)
    (folder / "typo.yaml").write_text("task: image_classification\ndata: {name: digits}\ntrain: {epoch: 3}\n")
    store = Store.of(folder)
    store.add(Schedule("typo", str(folder / "typo.yaml"), cron="0 0 1 1 *"), time.time())
    store.enqueue("typo", [(time.time(), "by hand", time.time())])
    arguments = [str(Path(sys.executable).with_name("headrace")), "scheduler", "--port", "0", "--home", str(folder)]

    with subprocess.Popen(arguments, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}) as process:
        until(lambda: store.scheduled_runs()[0].ended)
        process.terminate()

    assert "Did you mean 'epochs'?" in (store.scheduled_runs()[0].message or "")
