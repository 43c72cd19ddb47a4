"""The readers of the catalog on Debian 12's own Python, 3.11.2: older than the filters of tarfile."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig

import pytest

from data import catalog
from tests.conftest import ROOT, inherited

ABOUT = "import json, sys, tarfile; print(json.dumps([sys.version_info[:2], hasattr(tarfile, 'data_filter')]))"
COUNT = """
import collections, json, sys
from data import catalog
from data.spec import SPLITS
rows = catalog.open_splits(catalog.load(sys.argv[1]))
print(json.dumps(collections.Counter(SPLITS[place] for batch in rows for place in batch.splits)))
"""


def _older_python() -> str | None:
    """Returns an interpreter that can import our packages and has no filters of tarfile; None where there is none."""
    path = os.pathsep.join(["/usr/bin", "/usr/local/bin", os.environ.get("PATH", "")])
    for name in ("python3", f"python3.{sys.version_info.minor}"):
        interpreter = shutil.which(name, path=path)
        if interpreter:
            completed = subprocess.run([interpreter, "-c", ABOUT], capture_output=True, text=True)
            if completed.returncode == 0 and json.loads(completed.stdout) == [list(sys.version_info[:2]), False]:
                return interpreter
    return None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sentiment", "mortality", "spam"])
def test_data_sets_inside_archives_are_read(name, tmp_path):
    python = _older_python()
    if python is None:
        pytest.skip("no Python without filters of tarfile here; on Debian 12: apt-get install python3 python3-venv")
    packages = os.pathsep.join([str(ROOT), sysconfig.get_paths()["purelib"]])
    environment = {**inherited(), "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": packages, "PYTHONWARNINGS": "ignore"}

    done = subprocess.run([python, "-c", COUNT, name], env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == catalog.load(name).spec.num_rows
