import os
import signal
import subprocess
import sys

import psutil
import pytest

from models import progress
from models.serving.deployment import standby
from models.serving.deployment.process import ServerProcess, running
from tests.conftest import ROOT
from tests.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _none_left():
    yield
    standby.drop()


def test_a_waiting_process_becomes_the_server_and_the_next_one_is_its_own(tmp_path):
    from tests.models.serving import models

    base = tmp_path / "tiny"
    models.save(base / "1")
    standby.begin()
    waiting = standby._waiting.pid

    first = ServerProcess([f"--model_base_path={base}", "--model_name=tiny"], tmp_path / "server.log")
    with running(first):
        assert first.process.pid == waiting
    second = ServerProcess([f"--model_base_path={base}", "--model_name=tiny"], tmp_path / "server.log")
    with running(second):
        assert second.process.pid != waiting


def test_one_is_started_once_and_dropped():
    standby.begin()
    process = standby._waiting
    standby.begin()

    assert standby._waiting is process
    standby.drop()
    assert process.returncode == -signal.SIGKILL
    assert standby.take([], ROOT / "never.log") is None


def test_it_starts_when_training_exports_and_ends_with_a_run_that_fails_before_it_is_needed():
    def run():
        with standby.started_at_export():
            progress.report(epoch=1, epochs=1, done=True)
            seen.append(standby._waiting)
            progress.report(exporting=True)
            seen.append(standby._waiting)
            raise ValueError("a gate")

    seen = []
    with pytest.raises(ValueError, match="a gate"):
        run()

    before, process = seen
    assert before is None
    assert process.returncode == -signal.SIGKILL
    progress.report(exporting=True)
    assert standby._waiting is None


def test_a_dead_one_is_not_taken(tmp_path):
    standby.begin()
    os.kill(standby._waiting.pid, signal.SIGKILL)
    standby._waiting.wait()

    assert standby.take(["--help"], tmp_path / "log") is None


def test_it_ends_with_who_began_it(tmp_path):
    program = (
        "import os, signal; from models.serving.deployment import standby; standby.begin();"
        "print(standby._waiting.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    pid = int(done.stdout)

    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
