import json
import signal
import subprocess
import sys
from datetime import datetime

from pipeline.core.paths import PipelinePaths
from pipeline.running.runner import new_identifier
from tests.conftest import ROOT, inherited
from tests.waiting import PATIENCE_S


def test_identifiers_increase_even_if_the_clock_is_set_back(tmp_path):
    paths = PipelinePaths.of(tmp_path, "digits")
    paths.logs.mkdir(parents=True)
    moments = [datetime(2026, 10, 25, 2, 59, 59, 999_000), datetime(2026, 10, 25, 2, 0), datetime(2026, 10, 25, 4, 0)]

    identifiers = []
    for moment in moments:
        identifiers.append(new_identifier(paths, moment))
        (paths.logs / f"{identifiers[-1]}.log").touch()

    assert identifiers == ["20261025-025959-999", "20261025-030000-000", "20261025-040000-000"]


def test_files_that_are_no_logs_of_runs_are_ignored(tmp_path):
    paths = PipelinePaths.of(tmp_path, "digits")
    paths.logs.mkdir(parents=True)
    (paths.logs / "notes.log").touch()

    assert new_identifier(paths, datetime(2026, 1, 2, 3, 4, 5)) == "20260102-030405-000"


STAGE_THAT_DOES_NOT_RETURN = """
import os, signal, sys, time
from pathlib import Path
from pipeline.core import config, signals
from pipeline.core.paths import PipelinePaths
from pipeline.core.screen import Screen
from pipeline.history.journal import Journal
from pipeline.running import runner

signals.GRACE_SECONDS = 0.05
paths = PipelinePaths.of(Path.cwd(), "digits")
log = runner._new_log(paths, "20260101-000000-000")
with runner._run_context(paths, paths.home, log, Screen(), wait=False):
    Journal(config.load("digits"), paths, log.stem).begin("train")
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(600)
    except signals.Stopped:  # as an operation that takes long would, or a library that catches everything
        time.sleep(600)
"""


def test_the_record_of_a_stage_that_does_not_return_after_a_signal_is_stopped(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", STAGE_THAT_DOES_NOT_RETURN],
        cwd=tmp_path,
        env=inherited() | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert result.returncode == 128 + signal.SIGTERM, result.stderr[-2000:]
    record = json.loads(PipelinePaths.of(tmp_path, "digits").record("20260101-000000-000").read_text())
    assert (record["state"], record["error"], record["exit_code"]) == ("stopped", "SIGTERM", 143)
    (stage,) = record["stages"]
    assert (stage["name"], stage["state"]) == ("train", "stopped")
    assert 0 < stage["seconds"] <= record["ended"] - record["started"]
