"""The schedules as a table."""

from pathlib import Path
from typing import Any

from pipeline.scheduling import times
from pipeline.scheduling.store import PENDING, Store


def rows(home: Path, now: float) -> list[dict[str, Any]]:
    """Returns a row for each schedule with its next due time and last result; times in seconds since 1970."""
    store = Store.of(home)
    table = []
    for state in store.states():
        schedule = state.schedule
        last_run = next(
            (run for run in store.scheduled_runs(schedule.name) if run.state != PENDING),
            None,
        )
        due = next(times.after(schedule.cron, schedule.zone, now)) if schedule.cron else None
        table.append(
            {
                "name": schedule.name,
                "target": schedule.target,
                "cron": schedule.cron,
                "zone": schedule.zone,
                "on_new_data": schedule.on_new_data,
                "catch_up": schedule.catch_up,
                "next": due,
                "paused": state.paused,
                "failures": state.failures,
                "last": (last_run.started or last_run.due) if last_run else None,
                "state": last_run.state if last_run else None,
                "message": last_run.message if last_run else None,
            }
        )
    return table
