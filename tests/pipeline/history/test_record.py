import json
import os
import platform
import subprocess
import sys

import psutil
import pytest

from pipeline.core.paths import PipelinePaths
from pipeline.history.record import RunRecord, StageRecord, state_of
from pipeline.history.states import STATES
from tests.conftest import ROOT
from tests.pipeline import made_up


@pytest.fixture
def running() -> RunRecord:
    """The record of a run in progress in this process."""
    process = psutil.Process()
    return made_up.record_of(
        "20260101-000000-000",
        made_up.spec_of(("good", "bad")),
        state="running",
        ended=None,
        machine={"host": platform.node()},
        process=[process.pid, process.create_time()],
    )


def test_a_run_whose_process_has_ended_was_killed(running):
    assert state_of(running) == "running"

    running.process = [running.process[0], psutil.boot_time() - 1000]
    assert state_of(running) == "killed"

    running.state = "published"
    assert state_of(running) == "published"


def test_a_killed_run_ended_at_the_last_write_of_its_files(running, tmp_path):
    running.started, running.process = 1_000.0, [running.process[0], psutil.boot_time() - 1000]
    paths = PipelinePaths.of(tmp_path, running.pipeline)
    record, log = paths.record(running.run), paths.log(running.run)
    for file, seconds in ((record, 1_040), (log, 1_060)):
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(running.as_json()))
        os.utime(file, (seconds, seconds))

    assert RunRecord.read(record).seconds == 60
    log.unlink()
    assert RunRecord.read(record).seconds == 40


def test_the_state_of_a_run_on_another_machine_is_not_checked(running):
    running.machine["host"], running.process = "elsewhere", [1, 0.0]

    assert state_of(running) == "running"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"run": 1}',
        '{"run": "a", "pipeline": "b", "stages": [1]}',
        '{"run": 1, "pipeline": 2, "stages": []}',
    ],
)
def test_a_damaged_record_is_read_as_none(tmp_path, text):
    (tmp_path / "a.json").write_text(text)

    assert RunRecord.read(tmp_path / "a.json") is None
    assert RunRecord.read(tmp_path / "none.json") is None


def test_a_record_of_a_later_release_is_read(running, tmp_path):
    values = running.as_json() | {"invented_later": 3}
    values["stages"][0]["invented_later"] = 3
    (tmp_path / "a.json").write_text(json.dumps(values))

    record = RunRecord.read(tmp_path / "a.json")

    assert record == running


def test_a_file_has_the_keys_that_earlier_releases_read(running):
    running.stages = [StageRecord("train", "done", outputs={"model": "/a"}, execution=3, produced={5: "model"})]

    values = running.as_json()

    assert list(values) == [
        "run", "pipeline", "state", "started", "ended", "command", "base", "settings", "spec", "data_digest", "spans",
        "notes", "machine", "packages", "commit", "process", "stages", "exit_code", "error", "version", "metrics",
        "intervals", "verdicts", "cpu_seconds", "peak_mib", "disk_mib", "training", "compared",
    ]  # fmt: skip
    # An earlier release refuses a stage with an unknown key.
    assert list(values["stages"][0]) == [
        "name", "state", "started", "seconds", "cpu_seconds", "detail", "outputs"
    ]  # fmt: skip


def test_the_record_module_imports_no_slow_packages():
    """`headrace --help` loads the states of a run."""
    heavy = ("psutil", "pydantic", "numpy", "ml_metadata", "tensorflow", "tfx")
    program = f"import sys, pipeline.history.record; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)

    assert result.stdout.strip() == "[]", result.stderr
    assert STATES[0] == "running"
