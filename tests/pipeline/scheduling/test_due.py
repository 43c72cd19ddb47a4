"""Which runs the daemon records as due while its clock moves; no run is started."""

from datetime import datetime

import pytest

from pipeline.scheduling.daemon import Scheduler
from pipeline.scheduling.store import Store
from tests.pipeline.scheduling.conftest import BERLIN, Clock, schedule


def _due_times(store: Store) -> list[str]:
    return [
        datetime.fromtimestamp(scheduled_run.due, BERLIN).strftime("%m-%d %H:%M")
        for scheduled_run in store.scheduled_runs()[::-1]
    ]


def _travel(scheduler: Scheduler, clock: Clock, text: str, step: float) -> None:
    """Advances the clock to `text` in steps of `step` seconds and records due runs at each; no run is started."""
    end = datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()
    while clock.now < end:
        clock.now = min(clock.now + step, end)
        scheduler._enqueue_due(scheduler.store.states())


@pytest.mark.slow
@pytest.mark.parametrize("step", [600.0, 3600.0])
def test_a_nightly_run_is_due_once_a_night_through_both_changes_of_the_clock(tmp_path, step):
    for begin, end, expected in [
        ("2026-03-27 12:00", "2026-03-31 00:00", ["03-28 02:30", "03-29 03:00", "03-30 02:30"]),
        ("2026-10-23 12:00", "2026-10-27 00:00", ["10-24 02:30", "10-25 02:30", "10-26 02:30"]),
    ]:
        home = tmp_path / begin[:7]
        home.mkdir()
        clock = Clock(begin)
        scheduler = Scheduler(home, clock=clock)
        scheduler.store.add(schedule(home, "nightly", cron="30 2 * * *", catch_up="all"), clock())

        _travel(scheduler, clock, end, step)

        assert _due_times(scheduler.store) == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("once", ["11-25 05:00"]), ("all", ["11-25 03:00", "11-25 04:00", "11-25 05:00"]), ("skip", [])],
)
def test_missed_runs_are_caught_up_after_the_daemon_was_down(tmp_path, policy, expected):
    clock = Clock("2026-11-25 02:30")
    Store.of(tmp_path).add(schedule(tmp_path, "hourly", cron="0 * * * *", catch_up=policy), clock())
    clock.now += 3 * 3600

    Scheduler(tmp_path, clock=clock)._enqueue_due(Store.of(tmp_path).states())

    assert _due_times(Store.of(tmp_path)) == expected


def test_a_clock_that_is_set_back_runs_nothing_twice_and_goes_on(tmp_path):
    clock = Clock("2026-11-25 02:59")
    scheduler = Scheduler(tmp_path, clock=clock)
    scheduler.store.add(schedule(tmp_path, "hourly", cron="0 * * * *", catch_up="all"), clock())
    _travel(scheduler, clock, "2026-11-25 03:01", 60.0)

    clock.now -= 2 * 3600
    scheduler._enqueue_due(scheduler.store.states())
    _travel(scheduler, clock, "2026-11-25 04:01", 60.0)

    assert _due_times(scheduler.store) == ["11-25 03:00", "11-25 02:00", "11-25 04:00"]


def test_due_times_during_a_pause_are_not_run(tmp_path):
    clock = Clock("2026-11-25 02:30")
    scheduler = Scheduler(tmp_path, clock=clock)
    scheduler.store.add(schedule(tmp_path, "hourly", cron="0 * * * *", catch_up="all"), clock())
    scheduler.store.pause("hourly", "by hand")
    _travel(scheduler, clock, "2026-11-25 05:30", 600.0)
    assert _due_times(scheduler.store) == []

    scheduler.store.resume("hourly", clock())
    _travel(scheduler, clock, "2026-11-25 06:30", 600.0)

    assert _due_times(scheduler.store) == ["11-25 06:00"]


def test_jitter_delays_a_start(tmp_path):
    clock = Clock("2026-11-25 02:59")
    scheduler = Scheduler(tmp_path, clock=clock)
    scheduler.store.add(schedule(tmp_path, "hourly", cron="0 * * * *", jitter=300.0), clock())

    _travel(scheduler, clock, "2026-11-25 03:00", 60.0)

    (scheduled_run,) = scheduler.store.scheduled_runs()
    assert scheduled_run.due < scheduled_run.run_after < scheduled_run.due + 300
    assert scheduler.store.startable(clock()) == []
