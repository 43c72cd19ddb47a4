"""Due times of five cron fields in a time zone; daylight-saving changes are handled as in Debian's cron.

cronsim, not APScheduler's CronTrigger: that one runs a nightly job twice when the clock goes back (02:30 in Berlin on
2026-10-25), and reads weekday 0 as Monday.
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
# Number of missed due times of a schedule that are caught up at most, for every policy.
MAX_MISSED = 1000


def check(cron: str, zone: str) -> None:
    """Raises ConfigError if the cron fields or the time zone are invalid, or if the fields are never due."""
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
    """Yields the due times after a moment in ascending order; all in seconds since 1970."""
    for due in CronSim(cron, datetime.fromtimestamp(moment, ZoneInfo(zone))):
        yield due.timestamp()


def due_between(cron: str, zone: str, since: float, until: float) -> list[float]:
    """Returns the newest MAX_MISSED due times in (`since`, `until`], in seconds since 1970, ascending."""
    return list(deque(takewhile(lambda due: due <= until, after(cron, zone, since)), MAX_MISSED))


def caught_up(due_times: list[float], policy: str, now: float, grace: float) -> list[float]:
    """Returns the due times to run, according to the catch-up policy.

    Args:
        due_times: Due times in seconds since 1970, ascending.
        policy: `once` runs the newest, `all` every one, `skip` those that are at most `grace` late.
        now: Current time, in seconds since 1970.
        grace: Seconds of delay up to which a due time does not count as missed.
    """
    if policy == "all":
        return due_times
    if policy == "once":
        return due_times[-1:]
    return [due for due in due_times if now - due <= grace]


def jittered(due: float, key: str, jitter: float) -> float:
    """Returns `due` plus a delay of up to `jitter` seconds, which is a hash of `key` and `due`."""
    if not jitter:
        return due
    digest = hashlib.sha256(f"{key} {due}".encode()).digest()
    return due + jitter * int.from_bytes(digest[:8], "big") / 2**64


def seconds(text: str) -> float:
    """Returns the seconds of a duration such as `90s`, `5m`, `2h` or `1d`; raises ConfigError for other text."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip())
    if not match:
        raise ConfigError(f"{text!r} is no duration; expected a number and s, m, h or d, such as 5m.")
    return float(match[1]) * UNITS[match[2]]
