"""A clock that tests set, and schedules of a run file that is refused at once."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from pipeline.scheduling.store import Schedule

BERLIN = ZoneInfo("Europe/Berlin")
# `headrace run` refuses it in a third of a second: a cheap real run.
REFUSED_FILE = "task: image_classification\ndata: {name: digits}\ntrain: {epoch: 3}\n"


class Clock:
    """A clock with the time that a test sets, in seconds since 1970."""

    def __init__(self, text: str):
        self.now = datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()

    def __call__(self) -> float:
        return self.now


def schedule(home: Path, name: str, **settings) -> Schedule:
    """Returns a schedule of the run file `name`; writes a run file that is refused if there is none."""
    file = home / f"{name}.yaml"
    if not file.exists():
        file.write_text(REFUSED_FILE)
    return Schedule(name, str(file), zone="Europe/Berlin", **{"max_failures": 1000, **settings})
