"""Parses the five cron fields and translates them for other schedulers."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from data.errors import ConfigError

MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS = range(60), range(24), range(1, 32), range(1, 13), range(7)
WEEKDAY_NAMES = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


@dataclass(frozen=True)
class CronFields:
    """The values that five cron fields match.

    Attributes:
        minutes: 0 to 59.
        hours: 0 to 23.
        days: Days of the month, 1 to 31.
        months: 1 to 12.
        weekdays: 0 to 6, Sunday is 0.
        match_either: Whether a day has to match `days` or `weekdays`; otherwise it has to match both.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    match_either: bool


def parse(cron: str, scheduler: str) -> CronFields:
    """Returns the values that the fields match.

    Args:
        cron: Five fields.
        scheduler: Name of the scheduler that will read them, for the error message.

    Raises:
        ConfigError: The fields are invalid, or only our scheduler supports them, such as the last day of a month.
    """
    check_count(cron)
    try:
        schedule = CronSim(cron, datetime.now(UTC))
    except CronSimError as error:
        raise ConfigError(f"cron fields {cron!r}: {error}.") from None
    values = {*schedule.minutes, *schedule.hours, *schedule.days, *schedule.months, *schedule.weekdays}
    if any(not isinstance(value, int) or value < 0 for value in values):  # L, LW, 5#2, 5L
        raise ConfigError(f"{scheduler} cannot express {cron!r}; use `headrace scheduler`.")
    weekdays = frozenset(value % 7 for value in schedule.weekdays if isinstance(value, int))
    days, every_day = frozenset(schedule.days), len(schedule.days) == len(DAYS) or len(weekdays) == len(WEEKDAYS)
    match_either = not schedule.day_and
    if match_either and every_day:  # the 13th or any weekday is every day
        days, weekdays, match_either = frozenset(DAYS), frozenset(WEEKDAYS), False
    return CronFields(
        frozenset(schedule.minutes),
        frozenset(schedule.hours),
        days,
        frozenset(schedule.months),
        weekdays,
        match_either=match_either,
    )


def check_count(cron: str) -> None:
    """Raises ConfigError unless there are five fields; cronsim also accepts a sixth for seconds, unlike cron."""
    count = len(cron.split())
    if count != 5:
        raise ConfigError(
            f"--cron {cron!r}: expected five fields, minute, hour, day, month and weekday, such as '0 3 * * *' for "
            f"three every night, found {count}."
        )


def portable(cron: str, scheduler: str) -> str:
    """Returns equivalent fields that all cron parsers read alike: numbers only, Sunday is 0.

    Parsers differ in names, in 7 for Sunday, and in whether `*/2` counts as `*` or as a restriction of the day: with it
    Debian's cron requires both day and weekday to match, Kubernetes and Airflow only one of them.

    Raises:
        ConfigError: Day of the month and weekday both have to match, which Kubernetes and Airflow cannot express.
    """
    fields = parse(cron, scheduler)
    restricted = len(fields.days) < len(DAYS) and len(fields.weekdays) < len(WEEKDAYS)
    if restricted and not fields.match_either:
        raise ConfigError(
            f"{scheduler} takes a day that matches the day of the month or the weekday, {cron!r} means both; "
            "use `headrace scheduler`, or export to systemd."
        )
    return " ".join(
        [
            _cron_field(fields.minutes, MINUTES, steps=True),
            _cron_field(fields.hours, HOURS, steps=True),
            _cron_field(fields.days, DAYS),
            _cron_field(fields.months, MONTHS),
            _cron_field(fields.weekdays, WEEKDAYS),
        ]
    )


def on_calendar(cron: str) -> list[str]:
    """Returns the OnCalendar expressions of systemd; two if either the day of the month or the weekday has to match.

    Raises:
        ConfigError: systemd cannot express the fields.
    """
    fields = parse(cron, "systemd")
    time = f"{_systemd_field(fields.hours, HOURS)}:{_systemd_field(fields.minutes, MINUTES)}:00"
    month, day = _systemd_field(fields.months, MONTHS), _systemd_field(fields.days, DAYS)
    week = _systemd_weekdays(fields.weekdays)
    if fields.match_either:
        return [f"*-{month}-{day} {time}", f"{week} *-{month}-* {time}"]
    return [f"{week} *-{month}-{day} {time}".strip()]


def _cron_field(values: Collection[int], every: range, steps: bool = False) -> str:
    if len(values) == len(every):
        return "*"
    step = _step(values, every)
    if steps and step and min(values) == every.start:
        return f"*/{step}"
    return ",".join(f"{first}-{last}" if first != last else f"{first}" for first, last in _runs(values))


def _systemd_field(values: Collection[int], every: range) -> str:
    if len(values) == len(every):
        return "*"
    step = _step(values, every)
    if step:
        return f"{min(values)}/{step}"
    return ",".join(f"{first}..{last}" if first != last else f"{first}" for first, last in _runs(values))


def _systemd_weekdays(weekdays: Collection[int]) -> str:
    """Returns weekday names; Sunday is never part of a range, since systemd's week ends with it."""
    if len(weekdays) == len(WEEKDAYS):
        return ""
    sunday = ["Sun"] if 0 in weekdays else []
    runs = [(WEEKDAY_NAMES[first], WEEKDAY_NAMES[last]) for first, last in _runs({*weekdays} - {0})]
    return ",".join(sunday + [f"{first}..{last}" if first != last else first for first, last in runs])


def _step(values: Collection[int], every: range) -> int:
    """Returns the constant step, above 1, of three or more values up to the end of the range; 0 if there is none."""
    ordered = sorted(values)
    step = ordered[1] - ordered[0] if len(ordered) > 2 else 0
    return step if step > 1 and ordered == list(range(ordered[0], every.stop, step)) else 0


def _runs(values: Collection[int]) -> list[tuple[int, int]]:
    """Returns (first, last) of each run of three or more consecutive values; other values are runs of one."""
    runs: list[tuple[int, int]] = []
    for value in sorted(values):
        if runs and runs[-1][1] == value - 1:
            runs[-1] = (runs[-1][0], value)
        else:
            runs.append((value, value))
    split = [[(value, value) for value in run] if run[1] - run[0] == 1 else [run] for run in runs]
    return [run for part in split for run in part]
