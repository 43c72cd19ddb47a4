import threading
from dataclasses import replace

import pytest

from data.errors import ConfigError
from pipeline.scheduling.store import FAILED, PENDING, RUNNING, SKIPPED, SUCCEEDED, Outcome, Schedule, Store

DIGITS = Schedule("digits", "digits", ("train.epochs=2",), cron="0 3 * * *", max_failures=2)


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store.of(tmp_path)
    made.add(DIGITS, now=100.0)
    return made


def test_a_schedule_comes_back_as_it_was(store):
    state = store.state("digits")

    assert state.schedule == DIGITS
    assert (state.checked, state.failures, state.paused) == (100.0, 0, None)
    assert Store(store.path).state("digits") == state  # from the disk


def test_a_schedule_of_a_run_file_within_the_home_moves_with_it(tmp_path):
    home, moved = tmp_path / "home", tmp_path / "moved"
    inside, outside = replace(DIGITS, target=str(home / "mine.yaml")), replace(DIGITS, name="b", target="/files/b.yaml")
    for schedule in (inside, outside):
        Store.of(home).add(schedule, now=100.0)
    assert Store.of(home).state("digits").schedule == inside

    home.rename(moved)

    targets = [state.schedule.target for state in Store.of(moved).states()]
    assert targets == ["/files/b.yaml", str(moved / "mine.yaml")]


def test_a_time_is_known_once(store):
    assert store.write_down("digits", [(200.0, "cron", 200.0)], checked=250.0) == 1
    assert store.write_down("digits", [(200.0, "cron", 201.0), (300.0, "cron", 300.0)], checked=350.0) == 1

    assert [fire.due for fire in store.fires("digits")] == [300.0, 200.0]
    assert store.state("digits").checked == 350.0


def test_one_process_can_claim_a_fire_whoever_tries(store):
    store.write_down("digits", [(200.0, "cron", 200.0)])
    (fire,) = store.startable(300.0)
    claimed = []

    def claim(pid: int) -> None:
        if Store(store.path).claim(fire.id, pid, 1.0, 300.0):
            claimed.append(pid)

    threads = [threading.Thread(target=claim, args=(pid,)) for pid in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(claimed) == 1
    assert store.fires(state=RUNNING)[0].pid == claimed[0]


def test_a_pipeline_never_runs_beside_itself(store):
    store.write_down("digits", [(200.0, "cron", 200.0), (210.0, "cron", 210.0)])
    first, second = store.fires("digits")[::-1]

    assert [fire.id for fire in store.startable(300.0)] == [first.id]
    assert store.claim(first.id, 1, 1.0, 300.0)
    assert store.startable(300.0) == []
    assert store.claim(second.id, 2, 1.0, 300.0) is None
    store.finish(first, Outcome(SUCCEEDED), 310.0)
    assert [fire.id for fire in store.startable(320.0)] == [second.id]


def test_what_may_not_start_yet_waits(store):
    store.write_down("digits", [(200.0, "cron", 260.0)])

    assert store.startable(259.0) == []
    assert len(store.startable(260.0)) == 1


def test_failures_in_a_row_pause_and_a_success_forgets_them(store):
    store.write_down("digits", [(float(due), "cron", float(due)) for due in range(200, 205)])
    fires = store.fires("digits")[::-1]

    def ends(fire, state: str) -> bool:
        assert store.claim(fire.id, 1, 1.0, 300.0)
        return store.finish(fire, Outcome(state, 1, message="no data"), 310.0)

    assert not ends(fires[0], FAILED)
    assert not ends(fires[1], SUCCEEDED)
    assert not ends(fires[2], FAILED)
    assert ends(fires[3], FAILED)
    assert store.state("digits").paused == "2 failures in a row, the last: no data"
    assert store.startable(400.0) == []
    store.resume("digits", now=400.0)
    assert store.state("digits").failures == 0
    assert len(store.startable(400.0)) == 1


def test_an_end_is_written_down_once(store):
    store.write_down("digits", [(200.0, "cron", 200.0)])
    (fire,) = store.fires("digits")
    store.claim(fire.id, 1, 1.0, 300.0)
    store.finish(fire, Outcome(SUCCEEDED, 0, "20260101-1", "published 7"), 310.0)

    store.finish(fire, Outcome(FAILED, message="its process was killed"), 320.0)

    (found,) = store.fires("digits")
    assert (found.state, found.ended, found.run, found.message) == (SUCCEEDED, 310.0, "20260101-1", "published 7")
    assert store.state("digits").failures == 0


def test_a_removed_schedule_runs_no_more_and_its_history_stays(store):
    store.write_down("digits", [(200.0, "cron", 200.0), (210.0, "cron", 210.0)])
    first = store.fires("digits")[-1]
    store.claim(first.id, 1, 1.0, 300.0)

    store.remove("digits")

    assert [fire.state for fire in store.fires("digits")] == [SKIPPED, RUNNING]
    store.finish(first, Outcome(SUCCEEDED), 310.0)  # it ends in good order
    assert store.fires("digits")[-1].state == SUCCEEDED
    assert store.states() == []


def test_a_changed_schedule_begins_anew(store):
    store.pause("digits", "by hand")
    store.add(Schedule("digits", "digits", cron="0 4 * * *"), now=500.0)

    state = store.state("digits")
    assert (state.schedule.cron, state.checked, state.paused) == ("0 4 * * *", 500.0, None)


@pytest.mark.parametrize("what", ["state", "remove", "pause", "resume"])
def test_a_schedule_that_is_not_there_is_told(store, what):
    arguments = {"pause": ("why",), "resume": (1.0,)}.get(what, ())
    with pytest.raises(ConfigError, match="There is no schedule digit; schedules: digits"):
        getattr(store, what)("digit", *arguments)


def test_history_is_cut_and_what_waits_is_not(store, monkeypatch):
    monkeypatch.setattr("pipeline.scheduling.store.KEPT", 3)
    for due in range(10):
        store.write_down("digits", [(float(due), "cron", float(due))])
        fire = store.fires("digits")[0]
        if due:
            store.claim(fire.id, 1, 1.0, 300.0)
            store.finish(fire, Outcome(SUCCEEDED), 310.0)

    store.write_down("digits", [(99.0, "cron", 99.0)])

    found = store.fires("digits", limit=100)
    assert [fire.due for fire in found if fire.state == PENDING] == [99.0, 0.0]
    assert len(found) == 4
