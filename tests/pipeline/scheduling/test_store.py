import threading
from dataclasses import replace

import pytest

from data.errors import ConfigError
from pipeline.scheduling.store import FAILED, PENDING, RUNNING, SKIPPED, SUCCEEDED, Outcome, Schedule, Store

DIGITS = Schedule("digits", "digits", ("train.epochs=2",), cron="0 3 * * *", max_failures=2)


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store.of(tmp_path)
    store.add(DIGITS, now=100.0)
    return store


def test_a_schedule_comes_back_as_it_was(store):
    state = store.state("digits")

    assert state.schedule == DIGITS
    assert (state.checked, state.failures, state.paused) == (100.0, 0, None)
    assert Store(store.path).state("digits") == state  # read from the disk


def test_a_schedule_of_a_run_file_within_the_home_moves_with_it(tmp_path):
    home, moved = tmp_path / "home", tmp_path / "moved"
    inside, outside = replace(DIGITS, target=str(home / "mine.yaml")), replace(DIGITS, name="b", target="/files/b.yaml")
    for schedule in (inside, outside):
        Store.of(home).add(schedule, now=100.0)
    assert Store.of(home).state("digits").schedule == inside

    home.rename(moved)

    targets = [state.schedule.target for state in Store.of(moved).states()]
    assert targets == ["/files/b.yaml", str(moved / "mine.yaml")]


def test_a_due_time_is_recorded_once(store):
    assert store.enqueue("digits", [(200.0, "cron", 200.0)], checked=250.0) == 1
    assert store.enqueue("digits", [(200.0, "cron", 201.0), (300.0, "cron", 300.0)], checked=350.0) == 1

    assert [scheduled_run.due for scheduled_run in store.scheduled_runs("digits")] == [300.0, 200.0]
    assert store.state("digits").checked == 350.0


def test_only_one_of_several_processes_can_claim_a_run(store):
    store.enqueue("digits", [(200.0, "cron", 200.0)])
    (scheduled_run,) = store.startable(300.0)
    claimed = []

    def claim(pid: int) -> None:
        if Store(store.path).claim(scheduled_run.id, pid, 1.0, 300.0):
            claimed.append(pid)

    threads = [threading.Thread(target=claim, args=(pid,)) for pid in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(claimed) == 1
    assert store.scheduled_runs(state=RUNNING)[0].pid == claimed[0]


def test_a_pipeline_never_runs_twice_at_a_time(store):
    store.enqueue("digits", [(200.0, "cron", 200.0), (210.0, "cron", 210.0)])
    first, second = store.scheduled_runs("digits")[::-1]

    assert [scheduled_run.id for scheduled_run in store.startable(300.0)] == [first.id]
    assert store.claim(first.id, 1, 1.0, 300.0)
    assert store.startable(300.0) == []
    assert store.claim(second.id, 2, 1.0, 300.0) is None
    store.finish(first, Outcome(SUCCEEDED), 310.0)
    assert [scheduled_run.id for scheduled_run in store.startable(320.0)] == [second.id]


def test_a_run_does_not_start_before_its_jitter_is_over(store):
    store.enqueue("digits", [(200.0, "cron", 260.0)])

    assert store.startable(259.0) == []
    assert len(store.startable(260.0)) == 1


def test_consecutive_failures_pause_and_a_success_resets_the_count(store):
    store.enqueue("digits", [(float(due), "cron", float(due)) for due in range(200, 205)])
    scheduled_runs = store.scheduled_runs("digits")[::-1]

    def finish(scheduled_run, state: str) -> bool:
        assert store.claim(scheduled_run.id, 1, 1.0, 300.0)
        return store.finish(scheduled_run, Outcome(state, 1, message="no data"), 310.0)

    assert not finish(scheduled_runs[0], FAILED)
    assert not finish(scheduled_runs[1], SUCCEEDED)
    assert not finish(scheduled_runs[2], FAILED)
    assert finish(scheduled_runs[3], FAILED)
    assert store.state("digits").paused == "2 failures in a row, the last: no data"
    assert store.startable(400.0) == []
    store.resume("digits", now=400.0)
    assert store.state("digits").failures == 0
    assert len(store.startable(400.0)) == 1


def test_the_result_of_a_run_is_recorded_once(store):
    store.enqueue("digits", [(200.0, "cron", 200.0)])
    (scheduled_run,) = store.scheduled_runs("digits")
    store.claim(scheduled_run.id, 1, 1.0, 300.0)
    store.finish(scheduled_run, Outcome(SUCCEEDED, 0, "20260101-1", "published 7"), 310.0)

    store.finish(scheduled_run, Outcome(FAILED, message="its process was killed"), 320.0)

    (run,) = store.scheduled_runs("digits")
    assert (run.state, run.ended, run.run, run.message) == (SUCCEEDED, 310.0, "20260101-1", "published 7")
    assert store.state("digits").failures == 0


def test_a_removed_schedule_runs_no_more_and_its_history_stays(store):
    store.enqueue("digits", [(200.0, "cron", 200.0), (210.0, "cron", 210.0)])
    first = store.scheduled_runs("digits")[-1]
    store.claim(first.id, 1, 1.0, 300.0)

    store.remove("digits")

    assert [scheduled_run.state for scheduled_run in store.scheduled_runs("digits")] == [SKIPPED, RUNNING]
    store.finish(first, Outcome(SUCCEEDED), 310.0)  # its run still ends
    assert store.scheduled_runs("digits")[-1].state == SUCCEEDED
    assert store.states() == []


def test_a_replaced_schedule_is_active_from_now_on(store):
    store.pause("digits", "by hand")
    store.add(Schedule("digits", "digits", cron="0 4 * * *"), now=500.0)

    state = store.state("digits")
    assert (state.schedule.cron, state.checked, state.paused) == ("0 4 * * *", 500.0, None)


@pytest.mark.parametrize("method", ["state", "remove", "pause", "resume"])
def test_an_unknown_schedule_is_refused(store, method):
    arguments = {"pause": ("why",), "resume": (1.0,)}.get(method, ())
    with pytest.raises(ConfigError, match="There is no schedule digit; schedules: digits"):
        getattr(store, method)("digit", *arguments)


def test_history_is_limited_and_pending_runs_stay(store, monkeypatch):
    monkeypatch.setattr("pipeline.scheduling.store.MAX_HISTORY", 3)
    for due in range(10):
        store.enqueue("digits", [(float(due), "cron", float(due))])
        scheduled_run = store.scheduled_runs("digits")[0]
        if due:
            store.claim(scheduled_run.id, 1, 1.0, 300.0)
            store.finish(scheduled_run, Outcome(SUCCEEDED), 310.0)

    store.enqueue("digits", [(99.0, "cron", 99.0)])

    runs = store.scheduled_runs("digits", limit=100)
    assert [scheduled_run.due for scheduled_run in runs if scheduled_run.state == PENDING] == [99.0, 0.0]
    assert len(runs) == 4
