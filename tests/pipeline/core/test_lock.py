import os
import subprocess
import sys

import pytest

from data.errors import LockError
from pipeline.core.lock import hold

HOLD = """
import sys, time
from pathlib import Path
from pipeline.core.lock import hold
with hold(Path(sys.argv[1]), 'p'):
    print('locked', flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_run_names_the_holder(tmp_path, holder):
    with (
        pytest.raises(LockError, match=rf"Pipeline p is already running \(pid {holder.pid} since 20"),
        hold(tmp_path / "lock", "p"),
    ):
        pass


def test_a_killed_holder_leaves_no_lock(tmp_path, holder):
    holder.kill()
    holder.wait()

    with hold(tmp_path / "lock", "p"):
        assert str(os.getpid()) in (tmp_path / "lock").read_text()
