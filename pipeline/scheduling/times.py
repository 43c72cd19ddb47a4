"""When a schedule is due: five cron fields in a time zone, as Debian's cron takes them across daylight-saving changes.

cronsim, not APScheduler's CronTrigger: that one runs a nightly job twice when the clock goes back (02:30 in Berlin on
2026-10-25), and takes weekday 0 for Monday.
"""

import hashlib
import re
from collections import deque
from collections.abc import Iterator
from datetime import datetime
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from data.errors import ConfigError
from pipeline.scheduling import cron_fields

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# More than this of a schedule are not caught up with, whatever its policy.
MAX_MISSED = 1000


def check(cron: str, zone: str) -> None:
    """Raises ConfigError unless both can be used."""
    if zone not in available_timezones():
        raise ConfigError(f"There is no time zone {zone}; expected a name such as Europe/Berlin or UTC.")
    cron_fields.check_count(cron)
    try:
        next(CronSim(cron, datetime.now(ZoneInfo(zone))))
    except (CronSimError, StopIteration) as error:
        raise ConfigError(
            f"--cron {cron!r}: {error or 'it is never due'}; expected minute, hour, day, month and weekday, "
            "such as '0 3 * * *' for three every night."
        ) from None


def after(cron: str, zone: str, moment: float) -> Iterator[float]:
    """Yields when a schedule is due after a moment, the first first; all in seconds since 1970."""
    for due in CronSim(cron, datetime.fromtimestamp(moment, ZoneInfo(zone))):
        yield due.timestamp()


def due_between(cron: str, zone: str, since: float, until: float) -> list[float]:
    """Returns when it was due after `since` and up to `until`, the newest MAX_MISSED."""
    return list(deque(takewhile(lambda due: due <= until, after(cron, zone, since)), MAX_MISSED))


def caught_up(dues: list[float], policy: str, now: float, grace: float) -> list[float]:
    """Returns which of the missed times are run.

    Args:
        dues: When it was due, the oldest first.
        policy: `once` runs the newest, `all` each, `skip` those that are not later than `grace`.
        now: The moment.
        grace: Seconds by which one may be late and is not missed yet.
    """
    if policy == "all":
        return dues
    if policy == "once":
        return dues[-1:]
    return [due for due in dues if now - due <= grace]


def jittered(due: float, key: str, jitter: float) -> float:
    """Returns `due` put off by up to `jitter` seconds, the same each time for the same schedule and moment."""
    if not jitter:
        return due
    digest = hashlib.sha256(f"{key} {due}".encode()).digest()
    return due + jitter * int.from_bytes(digest[:8], "big") / 2**64


def seconds(text: str) -> float:
    """Returns a duration such as `90s`, `5m`, `2h` or `1d` in seconds; raises ConfigError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip())
    if not match:
        raise ConfigError(f"{text!r} is no duration; expected a number and s, m, h or d, such as 5m.")
    return float(match[1]) * UNITS[match[2]]
