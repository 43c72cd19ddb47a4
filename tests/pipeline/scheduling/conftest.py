"""A clock that tests move, and schedules of a run file that costs nothing."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from pipeline.scheduling.store import Schedule

BERLIN = ZoneInfo("Europe/Berlin")
# Refused by `headrace run` in a third of a second: a run of its own that costs nothing.
REFUSED_FILE = "task: image_classification\ndata: {name: digits}\ntrain: {epoch: 3}\n"


class Clock:
    """A clock that is where a test puts it."""

    def __init__(self, text: str):
        self.now = datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()

    def __call__(self) -> float:
        return self.now


def schedule(home: Path, name: str, **settings) -> Schedule:
    """Returns the schedule of a run file of that name; writes one that is refused where there is none."""
    file = home / f"{name}.yaml"
    if not file.exists():
        file.write_text(REFUSED_FILE)
    return Schedule(name, str(file), zone="Europe/Berlin", **{"max_failures": 1000, **settings})
