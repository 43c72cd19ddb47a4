"""The five fields of cron as the values they match, and written as other schedulers read them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError

from data.errors import ConfigError

MINUTES, HOURS, DAYS, MONTHS, WEEKDAYS = range(60), range(24), range(1, 32), range(1, 13), range(7)
WEEKDAY_NAMES = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")


@dataclass(frozen=True)
class CronFields:
    """What five cron fields match.

    Attributes:
        minutes: 0 to 59.
        hours: 0 to 23.
        days: Days of the month, 1 to 31.
        months: 1 to 12.
        weekdays: 0 to 6, Sunday is 0.
        either: Whether a day has to match `days` or `weekdays`; else both.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool


def parse(cron: str, scheduler: str) -> CronFields:
    """Returns what the fields match.

    Args:
        cron: Five fields.
        scheduler: Who is to read them, for the message.

    Raises:
        ConfigError: They cannot be used, or only our own scheduler has what they say, such as the last day of a month.
    """
    check_count(cron)
    try:
        found = CronSim(cron, datetime.now(UTC))
    except CronSimError as error:
        raise ConfigError(f"cron fields {cron!r}: {error}.") from None
    values = {*found.minutes, *found.hours, *found.days, *found.months, *found.weekdays}
    if any(not isinstance(value, int) or value < 0 for value in values):  # L, LW, 5#2, 5L
        raise ConfigError(f"{scheduler} has no words for {cron!r}; use `headrace scheduler`.")
    weekdays = frozenset(value % 7 for value in found.weekdays if isinstance(value, int))
    days, every_day = frozenset(found.days), len(found.days) == len(DAYS) or len(weekdays) == len(WEEKDAYS)
    either = not found.day_and
    if either and every_day:  # 13th or any weekday is any day
        days, weekdays, either = frozenset(DAYS), frozenset(WEEKDAYS), False
    return CronFields(
        frozenset(found.minutes), frozenset(found.hours), days, frozenset(found.months), weekdays, either=either
    )


def check_count(cron: str) -> None:
    """Raises ConfigError unless there are five fields: cronsim takes a sixth, of seconds, that cron does not know."""
    count = len(cron.split())
    if count != 5:
        raise ConfigError(
            f"--cron {cron!r}: expected five fields, minute, hour, day, month and weekday, such as '0 3 * * *' for "
            f"three every night, found {count}."
        )


def portable(cron: str, scheduler: str) -> str:
    """Returns five fields that all readers of cron take for the same: numbers, Sunday is 0.

    Readers differ in names, in 7 for Sunday, and in whether `*/2` restricts a day as `*` or as a number does: Debian's
    cron wants both day and weekday then, Kubernetes and Airflow one of them.

    Raises:
        ConfigError: Both day of the month and weekday have to match, which those cannot say.
    """
    fields = parse(cron, scheduler)
    restricted = len(fields.days) < len(DAYS) and len(fields.weekdays) < len(WEEKDAYS)
    if restricted and not fields.either:
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
    """Returns cron fields in systemd's words; two where a day of the month or a weekday will do.

    Raises:
        ConfigError: systemd cannot say it.
    """
    fields = parse(cron, "systemd")
    time = f"{_systemd_field(fields.hours, HOURS)}:{_systemd_field(fields.minutes, MINUTES)}:00"
    month, day = _systemd_field(fields.months, MONTHS), _systemd_field(fields.days, DAYS)
    week = _systemd_weekdays(fields.weekdays)
    if fields.either:
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
    """Returns weekdays by name; systemd's week ends with Sunday, which is never within a range here."""
    if len(weekdays) == len(WEEKDAYS):
        return ""
    sunday = ["Sun"] if 0 in weekdays else []
    runs = [(WEEKDAY_NAMES[first], WEEKDAY_NAMES[last]) for first, last in _runs({*weekdays} - {0})]
    return ",".join(sunday + [f"{first}..{last}" if first != last else first for first, last in runs])


def _step(values: Collection[int], every: range) -> int:
    """Returns the step of three or more values that go on to the end of the range; 0 for others, and for step 1."""
    ordered = sorted(values)
    step = ordered[1] - ordered[0] if len(ordered) > 2 else 0
    return step if step > 1 and ordered == list(range(ordered[0], every.stop, step)) else 0


def _runs(values: Collection[int]) -> list[tuple[int, int]]:
    """Returns first and last of each run of values without a gap; two neighbours are two runs."""
    runs: list[tuple[int, int]] = []
    for value in sorted(values):
        if runs and runs[-1][1] == value - 1:
            runs[-1] = (runs[-1][0], value)
        else:
            runs.append((value, value))
    parted = [[(one, one) for one in run] if run[1] - run[0] == 1 else [run] for run in runs]
    return [run for part in parted for run in part]
