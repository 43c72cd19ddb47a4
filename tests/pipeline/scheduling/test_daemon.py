"""The daemon tick by tick, and as a process that is killed; its runs are real processes."""

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from models.serving.rollout.versions import versions
from pipeline.scheduling import daemon
from pipeline.scheduling.daemon import Scheduler
from pipeline.scheduling.store import FAILED, PENDING, RUNNING, SUCCEEDED, Schedule, Store
from tests.conftest import ROOT, headrace
from tests.mounts import small_disk
from tests.pipeline.scheduling.conftest import REFUSED_FILE, Clock, schedule
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.slow


def _until(scheduler: Scheduler, holds) -> None:
    """Ticks until `holds()` is true."""

    def tick() -> None:
        scheduler.tick()
        assert not scheduler.last_error

    until(holds, meanwhile=tick)


@pytest.fixture(autouse=True)
def _no_child_is_left(monkeypatch):
    """Waits at the end for processes that the test's schedulers started: runs outlive daemons."""
    started = []
    spawn = Scheduler._spawn
    monkeypatch.setattr(
        Scheduler, "_spawn", lambda self, scheduled_run: started.append(spawn(self, scheduled_run)) or started[-1]
    )
    yield
    for child in started:
        child.wait(PATIENCE_S)


def _ended(store: Store, count: int):
    return lambda: sum(scheduled_run.ended is not None for scheduled_run in store.scheduled_runs()) >= count


def test_a_refused_run_is_recorded_with_its_message(tmp_path):
    scheduler = Scheduler(tmp_path)
    scheduler.store.add(schedule(tmp_path, "typo", cron="0 0 1 1 *"), time.time())
    scheduler.store.enqueue("typo", [(time.time(), "by hand", time.time())])

    _until(scheduler, _ended(scheduler.store, 1))

    (scheduled_run,) = scheduler.store.scheduled_runs()
    assert (scheduled_run.state, scheduled_run.exit_code) == (FAILED, 2)
    assert "Unknown key in train 'epoch'. Did you mean 'epochs'?" in scheduled_run.message


def test_after_consecutive_failures_a_schedule_pauses_and_notifies(tmp_path):
    scheduler = Scheduler(tmp_path)
    channels = ({"file": "notifications.jsonl", "events": ["failure", "paused"]},)
    scheduler.store.add(schedule(tmp_path, "typo", cron="0 0 1 1 *", max_failures=2, notify=channels), time.time())
    scheduler.store.enqueue("typo", [(float(due), "by hand", 0.0) for due in range(4)])

    _until(scheduler, lambda: scheduler.store.state("typo").paused is not None)
    _until(scheduler, lambda: len((tmp_path / "notifications.jsonl").read_text().splitlines()) == 3)

    assert scheduler.store.state("typo").paused.startswith("2 failures in a row, the last: typo.yaml:3:")
    assert [scheduled_run.state for scheduled_run in scheduler.store.scheduled_runs()] == [
        PENDING,
        PENDING,
        FAILED,
        FAILED,
    ]
    events = [json.loads(line)["event"] for line in (tmp_path / "notifications.jsonl").read_text().splitlines()]
    assert Counter(events) == {"failure": 2, "paused": 1}


def test_a_removed_run_file_is_reported(tmp_path):
    scheduler = Scheduler(tmp_path)
    scheduler.store.add(schedule(tmp_path, "gone", cron="0 0 1 1 *"), time.time())
    (tmp_path / "gone.yaml").unlink()
    scheduler.store.enqueue("gone", [(1.0, "by hand", 0.0)])

    _until(scheduler, _ended(scheduler.store, 1))

    assert "There is no run file" in scheduler.store.scheduled_runs()[0].message


def test_a_run_of_a_removed_schedule_still_ends(tmp_path):
    scheduler = Scheduler(tmp_path)
    scheduler.store.add(schedule(tmp_path, "typo", cron="0 0 1 1 *"), time.time())
    scheduler.store.enqueue("typo", [(1.0, "by hand", 0.0)])
    _until(scheduler, lambda: bool(scheduler.store.scheduled_runs(state=RUNNING)) or _ended(scheduler.store, 1)())

    scheduler.store.remove("typo")
    _until(scheduler, _ended(scheduler.store, 1))

    assert scheduler.store.scheduled_runs()[0].state == FAILED


def test_a_run_beyond_its_time_limit_is_stopped(tmp_path):
    (tmp_path / "long.yaml").write_text("task: image_classification\ndata: {name: digits}\n")
    scheduler = Scheduler(tmp_path)
    scheduler.store.add(schedule(tmp_path, "long", cron="0 0 1 1 *", time_limit=2.0), time.time())
    scheduler.store.enqueue("long", [(1.0, "by hand", 0.0)])

    _until(scheduler, _ended(scheduler.store, 1))

    (scheduled_run,) = scheduler.store.scheduled_runs()
    assert scheduled_run.message == "it took longer than 2 s"
    assert versions(tmp_path / "serving" / "long") == []  # the run was stopped before it published


def test_a_child_that_is_killed_is_noticed_by_a_later_daemon_too(tmp_path):
    (tmp_path / "long.yaml").write_text("task: image_classification\ndata: {name: digits}\n")
    scheduler = Scheduler(tmp_path)
    scheduler.store.add(schedule(tmp_path, "long", cron="0 0 1 1 *"), time.time())
    scheduler.store.enqueue("long", [(1.0, "by hand", 0.0)])
    _until(scheduler, lambda: bool(scheduler.store.scheduled_runs(state=RUNNING)))
    (scheduled_run,) = scheduler.store.scheduled_runs(state=RUNNING)
    os.killpg(scheduled_run.pid, signal.SIGKILL)
    scheduler._children[scheduled_run.id].wait()

    later = Scheduler(tmp_path)
    _until(later, _ended(later.store, 1))

    assert later.store.scheduled_runs()[0].message == "its process was killed"


@pytest.mark.long
def test_fifty_schedules_at_once_run_one_by_one(tmp_path):
    scheduler = Scheduler(tmp_path)
    for index in range(50):
        name = f"p{index:02d}"
        scheduler.store.add(schedule(tmp_path, name, cron="0 0 1 1 *"), time.time())
        scheduler.store.enqueue(name, [(1.0, "by hand", 0.0)])

    _until(scheduler, _ended(scheduler.store, 50))

    scheduled_runs = sorted(scheduler.store.scheduled_runs(), key=lambda scheduled_run: scheduled_run.started)
    assert {run.state for run in scheduled_runs} == {FAILED}
    assert all(before.ended <= after.started for before, after in itertools.pairwise(scheduled_runs))
    assert [scheduled_run.schedule for scheduled_run in scheduled_runs] == sorted(
        scheduled_run.schedule for scheduled_run in scheduled_runs
    )


# --- the daemon as a process -----------------------------------------------------------------------------------------

# Its clock is a file. It kills itself after a number of steps; each commit is two steps, each start of a run one.
DRIVER = """
import contextlib, os, signal, sys, time
from pathlib import Path
from pipeline.scheduling import daemon
from pipeline.scheduling.store import Store

home, clock, steps = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
transaction, spawn, steps_done = Store._transaction, daemon.Scheduler._spawn, []

def step():
    steps_done.append(1)
    if len(steps_done) == steps:
        os.kill(os.getpid(), signal.SIGKILL)

@contextlib.contextmanager
def counted(store):
    with transaction(store) as connection:
        yield connection
        step()
    step()

def spawn_and_step(scheduler, scheduled_run):
    child = spawn(scheduler, scheduled_run)
    step()
    return child

Store._transaction, daemon.Scheduler._spawn = counted, spawn_and_step
scheduler = daemon.Scheduler(home, clock=lambda: float(clock.read_text()))
with daemon.only_one(home):
    while True:
        scheduler.tick()
        time.sleep(0.05)
"""
NEVER = 0


@pytest.mark.parametrize("num_kills", [6, pytest.param(20, marks=pytest.mark.long)])
def test_a_daemon_killed_many_times_loses_and_doubles_no_run(num_kills, digits_run, tmp_path):
    """A run of `digits` with nothing to do is due every minute; the clock advances a minute with each kill."""
    home, clock = shutil.copytree(digits_run.home, tmp_path / "home"), tmp_path / "clock"
    assert headrace("run", "digits", "--home", home).code == 0
    store, begin = Store.of(home), 1_800_000_000.0  # a multiple of 60 s
    channels = ({"file": "notifications.jsonl", "events": ["success", "failure"]},)
    store.add(Schedule("digits", "digits", cron="* * * * *", catch_up="all", notify=channels, max_failures=1000), begin)
    seed = 8
    steps = random.Random(seed)

    def driver(num_steps: int) -> subprocess.Popen:
        command = [sys.executable, "-c", DRIVER, str(home), str(clock), str(num_steps)]
        return subprocess.Popen(command, cwd=ROOT)

    for minute in range(1, num_kills + 1):
        clock.write_text(str(begin + 60 * minute))
        assert driver(steps.randint(1, 40)).wait(PATIENCE_S) == -signal.SIGKILL
    last = driver(NEVER)
    try:
        until(
            lambda: (
                len(store.scheduled_runs()) >= num_kills
                and all(scheduled_run.ended for scheduled_run in store.scheduled_runs())
            )
        )
        until(
            lambda: _notified_due_times(home) >= {run.due for run in store.scheduled_runs()}
        )  # a run notifies after it has ended
    finally:
        last.kill()
        last.wait()
    store.remove("digits")

    assert sorted(run.due for run in store.scheduled_runs()) == [
        begin + 60 * minute for minute in range(1, num_kills + 1)
    ]
    assert {run.state for run in store.scheduled_runs()} == {SUCCEEDED}
    assert len((home / "notifications.jsonl").read_text().splitlines()) == num_kills


def _notified_due_times(home: Path) -> set[float]:
    """Returns the due times of the runs with a notification."""
    file = home / "notifications.jsonl"
    return {json.loads(line)["due"] for line in file.read_text().splitlines()} if file.exists() else set()


def _get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_command_runs_a_due_pipeline_and_serves_health_and_metrics(tmp_path):
    schedule(tmp_path, "typo")
    (tmp_path / "typo.yaml").write_text(REFUSED_FILE.replace("epoch:", "epochs:"))
    added = headrace(
        "schedule", "add", tmp_path / "typo.yaml", "--cron", "0 3 * * *", "--tz", "Europe/Berlin", "--home", tmp_path
    )
    assert added.code == 0, added.err
    assert "next 20" in added.out
    (tmp_path / "typo.yaml").write_text(REFUSED_FILE)
    command = [str(Path(sys.executable).with_name("headrace")), "scheduler", "--port", "0", "--home", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        port = int(process.stdout.readline().rsplit(":", 1)[1].split("/")[0])
        try:
            second = headrace("scheduler", "--port", "0", "--home", tmp_path)
            assert second.code == 2
            assert "works on" in second.err
            assert headrace("schedule", "run-now", "typo", "--home", tmp_path).code == 0
            until(_ended(Store.of(tmp_path), 1))
            status, text = _get(port, "/healthz")
            assert (status, json.loads(text)["status"]) == (200, "ok")
            status, text = _get(port, "/metrics")
            assert 'headrace_schedule_failures_in_a_row{schedule="typo"} 1' in text
            assert 'headrace_schedule_runs{schedule="typo",state="failed"} 1' in text
            assert 'headrace_schedule_next_run_timestamp_seconds{schedule="typo"} ' in text
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
    listed = json.loads(headrace("schedule", "list", "--home", tmp_path, "--json").out)
    assert (listed[0]["state"], listed[0]["failures"]) == ("failed", 1)
    assert "Did you mean" in headrace("schedule", "history", "typo", "--home", tmp_path).out
    assert headrace("schedule", "remove", "typo", "--home", tmp_path).code == 0
    assert "no schedules" in headrace("schedule", "list", "--home", tmp_path).out


def test_a_full_disk_is_reported_and_survived(tmp_path):
    disk = tmp_path / "disk"
    with small_disk(disk, "1m"):
        clock = Clock("2026-11-25 02:59")
        scheduler = Scheduler(disk, clock=clock)
        scheduler.store.add(schedule(disk, "hourly", cron="0 * * * *"), clock())
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

        clock.now += 120
        scheduler.tick()
        assert scheduler.last_error
        assert scheduler.health()["status"] == "degraded"
        filler.unlink()
        scheduler.tick()

        assert not scheduler.last_error
        assert len(scheduler.store.scheduled_runs()) == 1
        for child in scheduler._children.values():
            child.wait(PATIENCE_S)
        assert scheduler.store.scheduled_runs()[0].ended


def test_a_daemon_that_hangs_is_degraded(tmp_path):
    clock = Clock("2026-11-25 02:59")
    scheduler = Scheduler(tmp_path, clock=clock)
    scheduler.tick()
    assert scheduler.health()["status"] == "ok"

    clock.now += daemon.STALE_SECONDS + 1

    assert scheduler.health()["status"] == "degraded"
