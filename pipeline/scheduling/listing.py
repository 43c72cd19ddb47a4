"""The schedules as a table."""

from pathlib import Path
from typing import Any

from pipeline.scheduling import times
from pipeline.scheduling.store import PENDING, Store


def rows(home: Path, now: float) -> list[dict[str, Any]]:
    """Returns for each schedule when it runs next, and what came of it last; moments in seconds since 1970."""
    store = Store.of(home)
    found = []
    for state in store.states():
        schedule = state.schedule
        ran = next((fire for fire in store.fires(schedule.name) if fire.state != PENDING), None)
        due = next(times.after(schedule.cron, schedule.zone, now)) if schedule.cron else None
        found.append(
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
                "last": (ran.started or ran.due) if ran else None,
                "state": ran.state if ran else None,
                "message": ran.message if ran else None,
            }
        )
    return found
