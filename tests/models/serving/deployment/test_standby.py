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
def _drop_standby():
    yield
    standby.drop()


def test_the_standby_process_becomes_the_server_and_the_next_server_is_a_new_process(tmp_path):
    from tests.models.serving import models

    base = tmp_path / "tiny"
    models.save(base / "1")
    standby.begin()
    standby_pid = standby._standby.pid

    first = ServerProcess([f"--model_base_path={base}", "--model_name=tiny"], tmp_path / "server.log")
    with running(first):
        assert first.process.pid == standby_pid
    second = ServerProcess([f"--model_base_path={base}", "--model_name=tiny"], tmp_path / "server.log")
    with running(second):
        assert second.process.pid != standby_pid


def test_the_standby_process_is_started_once_and_dropped():
    standby.begin()
    process = standby._standby
    standby.begin()

    assert standby._standby is process
    standby.drop()
    assert process.returncode == -signal.SIGKILL
    assert standby.take([], ROOT / "never.log") is None


def test_the_standby_process_starts_at_the_export_and_ends_with_a_failed_run():
    def run():
        with standby.started_at_export():
            progress.report(epoch=1, epochs=1, done=True)
            states.append(standby._standby)
            progress.report(exporting=True)
            states.append(standby._standby)
            raise ValueError("a gate")

    states = []
    with pytest.raises(ValueError, match="a gate"):
        run()

    before, process = states
    assert before is None
    assert process.returncode == -signal.SIGKILL
    progress.report(exporting=True)
    assert standby._standby is None


def test_a_dead_standby_process_is_not_used(tmp_path):
    standby.begin()
    os.kill(standby._standby.pid, signal.SIGKILL)
    standby._standby.wait()

    assert standby.take(["--help"], tmp_path / "log") is None


def test_the_standby_process_ends_with_its_parent(tmp_path):
    program = (
        "import os, signal; from models.serving.deployment import standby; standby.begin();"
        "print(standby._standby.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    completed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    pid = int(completed.stdout)

    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
