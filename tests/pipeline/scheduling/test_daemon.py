"""The daemon tick by tick, and as a process that is killed; its runs are real."""

import contextlib
import itertools
import json
import os
import random
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
    """Ticks until something holds."""

    def tick() -> None:
        scheduler.tick()
        assert not scheduler.trouble

    until(holds, meanwhile=tick)


@pytest.fixture(autouse=True)
def _no_child_is_left(monkeypatch):
    """Waits at the end for what schedulers of a test have started: runs outlive daemons."""
    started = []
    spawn = Scheduler._spawn
    monkeypatch.setattr(Scheduler, "_spawn", lambda self, fire: started.append(spawn(self, fire)) or started[-1])
    yield
    for child in started:
        child.wait(PATIENCE_S)


def _ended(store: Store, count: int):
    return lambda: sum(fire.ended is not None for fire in store.fires()) >= count


def test_a_run_that_is_refused_is_told_with_its_words(tmp_path):
    scheduler = Scheduler(tmp_path)
    scheduler.store.add(schedule(tmp_path, "typo", cron="0 0 1 1 *"), time.time())
    scheduler.store.write_down("typo", [(time.time(), "by hand", time.time())])

    _until(scheduler, _ended(scheduler.store, 1))

    (fire,) = scheduler.store.fires()
    assert (fire.state, fire.exit_code) == (FAILED, 2)
    assert "Unknown key in train 'epoch'. Did you mean 'epochs'?" in fire.message


def test_after_failures_in_a_row_it_pauses_and_says_so(tmp_path):
    scheduler = Scheduler(tmp_path)
    told = ({"file": "told.jsonl", "events": ["failure", "paused"]},)
    scheduler.store.add(schedule(tmp_path, "typo", cron="0 0 1 1 *", max_failures=2, notify=told), time.time())
    scheduler.store.write_down("typo", [(float(due), "by hand", 0.0) for due in range(4)])

    _until(scheduler, lambda: scheduler.store.state("typo").paused is not None)
    _until(scheduler, lambda: len((tmp_path / "told.jsonl").read_text().splitlines()) == 3)

    assert scheduler.store.state("typo").paused.startswith("2 failures in a row, the last: typo.yaml:3:")
    assert [fire.state for fire in scheduler.store.fires()] == [PENDING, PENDING, FAILED, FAILED]
    events = [json.loads(line)["event"] for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    assert Counter(events) == {"failure": 2, "paused": 1}


def test_a_run_file_that_was_removed_is_told(tmp_path):
    scheduler = Scheduler(tmp_path)
    scheduler.store.add(schedule(tmp_path, "gone", cron="0 0 1 1 *"), time.time())
    (tmp_path / "gone.yaml").unlink()
    scheduler.store.write_down("gone", [(1.0, "by hand", 0.0)])

    _until(scheduler, _ended(scheduler.store, 1))

    assert "There is no run file" in scheduler.store.fires()[0].message


def test_a_schedule_removed_while_its_pipeline_runs_ends_in_good_order(tmp_path):
    scheduler = Scheduler(tmp_path)
    scheduler.store.add(schedule(tmp_path, "typo", cron="0 0 1 1 *"), time.time())
    scheduler.store.write_down("typo", [(1.0, "by hand", 0.0)])
    _until(scheduler, lambda: bool(scheduler.store.fires(state=RUNNING)) or _ended(scheduler.store, 1)())

    scheduler.store.remove("typo")
    _until(scheduler, _ended(scheduler.store, 1))

    assert scheduler.store.fires()[0].state == FAILED


def test_a_run_beyond_its_time_limit_is_stopped(tmp_path):
    (tmp_path / "long.yaml").write_text("task: image_classification\ndata: {name: digits}\n")
    scheduler = Scheduler(tmp_path)
    scheduler.store.add(schedule(tmp_path, "long", cron="0 0 1 1 *", time_limit=2.0), time.time())
    scheduler.store.write_down("long", [(1.0, "by hand", 0.0)])

    _until(scheduler, _ended(scheduler.store, 1))

    (fire,) = scheduler.store.fires()
    assert fire.message == "it took longer than 2 s"
    assert versions(tmp_path / "serving" / "long") == []  # the run did not come to its end


def test_a_child_that_is_killed_is_noticed_by_a_later_daemon_too(tmp_path):
    (tmp_path / "long.yaml").write_text("task: image_classification\ndata: {name: digits}\n")
    scheduler = Scheduler(tmp_path)
    scheduler.store.add(schedule(tmp_path, "long", cron="0 0 1 1 *"), time.time())
    scheduler.store.write_down("long", [(1.0, "by hand", 0.0)])
    _until(scheduler, lambda: bool(scheduler.store.fires(state=RUNNING)))
    (fire,) = scheduler.store.fires(state=RUNNING)
    os.killpg(fire.pid, signal.SIGKILL)
    scheduler._children[fire.id].wait()

    later = Scheduler(tmp_path)
    _until(later, _ended(later.store, 1))

    assert later.store.fires()[0].message == "its process was killed"


@pytest.mark.long
def test_fifty_schedules_at_once_run_one_by_one(tmp_path):
    scheduler = Scheduler(tmp_path)
    for index in range(50):
        name = f"p{index:02d}"
        scheduler.store.add(schedule(tmp_path, name, cron="0 0 1 1 *"), time.time())
        scheduler.store.write_down(name, [(1.0, "by hand", 0.0)])

    _until(scheduler, _ended(scheduler.store, 50))

    fires = sorted(scheduler.store.fires(), key=lambda fire: fire.started)
    assert {fire.state for fire in fires} == {FAILED}
    assert all(before.ended <= after.started for before, after in itertools.pairwise(fires))
    assert [fire.schedule for fire in fires] == sorted(fire.schedule for fire in fires)


# --- the daemon as a process -----------------------------------------------------------------------------------------

# Its clock is a file; it kills itself after so many steps: before and after each commit, after each start of a run.
DRIVER = """
import contextlib, os, signal, sys, time
from pathlib import Path
from pipeline.scheduling import daemon
from pipeline.scheduling.store import Store

home, clock, steps = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
transaction, spawn, taken = Store._transaction, daemon.Scheduler._spawn, []

def step():
    taken.append(1)
    if len(taken) == steps:
        os.kill(os.getpid(), signal.SIGKILL)

@contextlib.contextmanager
def counted(store):
    with transaction(store) as connection:
        yield connection
        step()
    step()

def spawn_and_step(scheduler, fire):
    child = spawn(scheduler, fire)
    step()
    return child

Store._transaction, daemon.Scheduler._spawn = counted, spawn_and_step
scheduler = daemon.Scheduler(home, clock=lambda: float(clock.read_text()))
with daemon.only_one(home):
    while True:
        scheduler.tick()
        time.sleep(0.05)
"""
KILLS, NEVER = 20, 0


def test_a_daemon_killed_twenty_times_loses_and_doubles_no_run(digits_run, tmp_path):
    """Every minute of its clock, which goes on with each kill, a run of `digits` with nothing to do."""
    home, clock = digits_run.home, tmp_path / "clock"
    assert headrace("run", "digits", "--home", home).code == 0
    store, begin = Store.of(home), 1_800_000_000.0  # a whole minute
    told = ({"file": "told.jsonl", "events": ["success", "failure"]},)
    store.add(Schedule("digits", "digits", cron="* * * * *", catch_up="all", notify=told, max_failures=1000), begin)
    seed = 8
    steps = random.Random(seed)

    def driver(dies_after: int) -> subprocess.Popen:
        command = [sys.executable, "-c", DRIVER, str(home), str(clock), str(dies_after)]
        return subprocess.Popen(command, cwd=ROOT)

    for minute in range(1, KILLS + 1):
        clock.write_text(str(begin + 60 * minute))
        assert driver(steps.randint(1, 40)).wait(PATIENCE_S) == -signal.SIGKILL
    last = driver(NEVER)
    try:
        until(lambda: len(store.fires()) >= KILLS and all(fire.ended for fire in store.fires()))
        until(lambda: _told_of(home) >= {fire.due for fire in store.fires()})  # a run tells after it has ended
    finally:
        last.kill()
        last.wait()
    store.remove("digits")

    assert sorted(fire.due for fire in store.fires()) == [begin + 60 * minute for minute in range(1, KILLS + 1)]
    assert {fire.state for fire in store.fires()} == {SUCCEEDED}
    assert len((home / "told.jsonl").read_text().splitlines()) == KILLS


def _told_of(home: Path) -> set[float]:
    """Returns the due times of the runs that were told of."""
    file = home / "told.jsonl"
    return {json.loads(line)["due"] for line in file.read_text().splitlines()} if file.exists() else set()


def _ask(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_command_runs_what_is_due_and_tells_how_it_is(tmp_path):
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
            status, text = _ask(port, "/healthz")
            assert (status, json.loads(text)["status"]) == (200, "ok")
            status, text = _ask(port, "/metrics")
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


def test_a_full_disk_is_told_and_outlived(tmp_path):
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
        assert scheduler.trouble
        assert scheduler.health()["status"] == "degraded"
        filler.unlink()
        scheduler.tick()

        assert not scheduler.trouble
        assert len(scheduler.store.fires()) == 1
        for child in scheduler._children.values():
            child.wait(PATIENCE_S)
        assert scheduler.store.fires()[0].ended


def test_a_daemon_that_hangs_is_not_well(tmp_path):
    clock = Clock("2026-11-25 02:59")
    scheduler = Scheduler(tmp_path, clock=clock)
    scheduler.tick()
    assert scheduler.health()["status"] == "ok"

    clock.now += daemon.STALE_SECONDS + 1

    assert scheduler.health()["status"] == "degraded"
