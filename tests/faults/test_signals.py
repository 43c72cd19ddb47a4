"""Signals to real runs: a run that is killed at any stage is resumed, with the same result as without the signal."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from data.files.links import without_signs
from tests.conftest import ROOT, DigitsRun, headrace, inherited
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.e2e

RUN = ["run", "digits"]
CODES = {"SIGKILL": -9, "SIGTERM": 143, "SIGINT": 130}
STAGES = ("ingest", "statistics", "transform", "train", "evaluate", "publish")


def _run_with_signal(stage: str, name: str, home: Path) -> subprocess.CompletedProcess:
    """Runs digits, which gets the signal `name` at a stage."""
    command = [sys.executable, str(ROOT / "tests" / "faults" / "signalled.py"), stage, name, *RUN, "--home", str(home)]
    env = {**inherited(), "PYTHONHASHSEED": "1"}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE_S)


def _stages(out: str) -> dict[str, str]:
    """Returns stage -> `cached` or `done`, of the finished stages that a run printed."""
    lines = [line.split(maxsplit=4) for line in out.splitlines() if line.startswith("✓")]
    return {line[1]: "cached" if line[4:] == ["cached"] else "done" for line in lines}


def _states(home: Path) -> set[str]:
    names = {1: "NEW", 2: "RUNNING", 3: "COMPLETE", 4: "FAILED", 5: "CACHED", 6: "CANCELED"}
    with sqlite3.connect(home / "runs" / "digits" / "metadata.db") as database:
        return {names[state] for (state,) in database.execute("select distinct last_known_state from Execution")}


def _leftovers(home: Path) -> list[str]:
    """Returns what an interrupted run must not leave: staging and temporary folders, and unrecorded outputs."""
    runs = home / "runs" / "digits"
    with sqlite3.connect(runs / "metadata.db") as database:
        recorded = {str(home / uri) for (uri,) in database.execute("select uri from Artifact")}
    outputs = [path for path in (runs / "artifacts").glob("*/*/*") if path.parent.name != ".system"]
    leftovers = [str(path) for path in outputs if str(path).removesuffix(".manifest.json") not in recorded]
    leftovers += [str(path) for path in (home / "serving").glob("*/.staging-*")]
    return leftovers + [str(path) for path in (runs / "tmp").glob("*")]


def _scores(home: Path, digits_run: DigitsRun) -> np.ndarray:
    """Returns the scores of a home's published model for the test images, float32 `(rows, classes)`."""
    import tensorflow as tf

    from components.example_gen import first_rows
    from data import catalog
    from data.examples import encode

    spec = catalog.load("digits").spec
    rows = first_rows(str(digits_run.output("ingest", "examples")), "test", spec, 381)
    (version,) = (home / "serving" / "digits").glob("[0-9]*")
    with without_signs(version) as folder:
        signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
        return signature(inputs=tf.constant([encode(row, spec, targets=False) for row in rows]))["scores"].numpy()


@pytest.mark.parametrize(
    "signals",
    [
        pytest.param({"ingest": "SIGTERM", "train": "SIGKILL", "evaluate": "SIGTERM", "publish": "SIGKILL"}, id="some"),
        *(pytest.param(dict.fromkeys(STAGES, name), id=name, marks=pytest.mark.long) for name in CODES),
    ],
)
def test_a_run_interrupted_at_stages_in_turn_ends_like_an_undisturbed_one(signals, digits_run, tmp_path):
    """With the same predictions, bit for bit; the path of its home is a pattern for TensorFlow and Beam."""
    home = tmp_path / "another [1] *"
    last_stage: str | None = None
    for stage, name in signals.items():
        interrupted = _run_with_signal(stage, name, home)

        assert interrupted.returncode == CODES[name], interrupted.stdout + interrupted.stderr
        assert "Traceback" not in interrupted.stderr
        finished = _stages(interrupted.stdout)
        assert stage not in finished
        if last_stage:  # the stage interrupted last time runs again, earlier stages do not
            assert finished[last_stage] == "done", interrupted.stdout
            assert {finished[earlier] for earlier in STAGES[: STAGES.index(last_stage)]} <= {"cached"}
            if signals[last_stage] == "SIGKILL":
                assert f"resuming at {last_stage}, " in interrupted.stdout
        if name != "SIGKILL":
            assert interrupted.stdout.splitlines()[-1].startswith(f"Stopped by {name} at {stage}; the next run goes on")
            assert "RUNNING" not in _states(home)
            assert _leftovers(home) == []
        assert not list((home / "serving").glob("*/[0-9]*")) or stage == "publish"
        last_stage = stage

    done = headrace(*RUN, "--home", home)

    assert done.code == 0, done.out
    assert _stages(done.out)["train"] == "cached"
    assert _states(home) <= {"COMPLETE", "CACHED", "CANCELED"}
    assert _leftovers(home) == []
    np.testing.assert_array_equal(_scores(home, digits_run), _scores(digits_run.home, digits_run))


def test_a_run_ends_although_its_stage_does_not_return(tmp_path):
    interrupted = _run_with_signal("stuck", "SIGTERM", tmp_path)

    assert interrupted.returncode == 143, interrupted.stdout + interrupted.stderr
    assert interrupted.stdout.splitlines()[-1].startswith("Stopped by SIGTERM at statistics")


def test_of_eight_simultaneous_runs_one_proceeds_and_the_others_name_it(tmp_path):
    command = [sys.executable, "-m", "pipeline", *RUN, "--home", str(tmp_path)]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(8)
    ]
    until(lambda: sum(process.poll() is None for process in running) <= 1)
    (holder,) = [process for process in running if process.poll() is None]
    holder.send_signal(signal.SIGTERM)
    outputs = {process.pid: (process.communicate(timeout=PATIENCE_S), process.returncode) for process in running}

    for pid, ((_, err), code) in outputs.items():
        if pid == holder.pid:
            assert code == 143
        else:
            assert code == 6
            assert f"Pipeline digits is already running (pid {holder.pid} since 20" in err


def test_with_wait_a_run_begins_when_the_running_one_ends(tmp_path):
    import fcntl

    lock = tmp_path / "runs" / "digits" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps({"pid": os.getpid(), "since": "2026-01-01 10:00:00"}))
        file.flush()
        command = [sys.executable, "-m", "pipeline", *RUN, "--home", str(tmp_path), "--wait"]
        waiting = subprocess.Popen(command, cwd=ROOT, env=inherited(), stdout=subprocess.PIPE, text=True)
        first = waiting.stdout.readline()
    second = waiting.stdout.readline()
    waiting.send_signal(signal.SIGTERM)
    waiting.communicate(timeout=PATIENCE_S)

    assert (
        first
        == f"Pipeline digits is already running (pid {os.getpid()} since 2026-01-01 10:00:00); waiting for it to end.\n"
    )
    assert second.startswith("✓ start")
    assert waiting.returncode == 143


def test_a_waiting_run_stops_at_once(tmp_path):
    import fcntl

    lock = tmp_path / "runs" / "digits" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        command = [sys.executable, "-m", "pipeline", *RUN, "--home", str(tmp_path), "--wait"]
        waiting = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert "waiting for it to end" in waiting.stdout.readline()
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=PATIENCE_S)

    assert waiting.returncode == 130
    assert err == "headrace: Stopped by SIGINT before the first stage or after the last.\n"
