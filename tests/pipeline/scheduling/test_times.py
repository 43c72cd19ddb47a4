from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from data.errors import ConfigError
from pipeline.scheduling import times

BERLIN = ZoneInfo("Europe/Berlin")


def _at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def _due_times(cron: str, since: str, until: str, zone: str = "Europe/Berlin") -> list[str]:
    time_zone = ZoneInfo(zone)
    timestamps = times.due_between(cron, zone, _at(since, time_zone), _at(until, time_zone))
    return [datetime.fromtimestamp(due, time_zone).strftime("%m-%d %H:%M %Z") for due in timestamps]


def test_a_night_without_a_change_of_the_clock():
    assert _due_times("0 3 * * *", "2026-11-24 12:00", "2026-11-26 12:00") == ["11-25 03:00 CET", "11-26 03:00 CET"]


def test_a_due_time_in_the_skipped_hour_runs_once_after_it():
    assert _due_times("30 2 * * *", "2026-03-28 12:00", "2026-03-30 12:00") == ["03-29 03:00 CEST", "03-30 02:30 CEST"]


def test_a_due_time_in_the_repeated_hour_runs_once():
    assert _due_times("30 2 * * *", "2026-10-24 12:00", "2026-10-26 12:00") == ["10-25 02:30 CEST", "10-26 02:30 CET"]


def test_half_hourly_due_times_go_on_through_the_change():
    assert _due_times("*/30 * * * *", "2026-10-25 01:40", "2026-10-25 03:10") == [
        "10-25 02:00 CEST", "10-25 02:30 CEST", "10-25 02:00 CET", "10-25 02:30 CET", "10-25 03:00 CET",
    ]  # fmt: skip
    assert _due_times("*/30 * * * *", "2026-03-29 01:10", "2026-03-29 03:40") == [
        "03-29 01:30 CET", "03-29 03:00 CEST", "03-29 03:30 CEST",
    ]  # fmt: skip


def test_zero_is_sunday_and_either_day_or_weekday_has_to_match():
    assert _due_times("0 3 * * 0", "2026-11-25 00:00", "2026-11-30 12:00") == ["11-29 03:00 CET"]
    assert _due_times("0 0 13 * 5", "2026-11-10 00:00", "2026-11-21 00:00") == ["11-13 00:00 CET", "11-20 00:00 CET"]


def test_the_time_zone_is_the_schedules_own():
    assert _due_times("0 3 * * *", "2026-11-25 00:00", "2026-11-26 00:00", "Asia/Kathmandu") == ["11-25 03:00 +0545"]


@pytest.mark.parametrize(("policy", "expected"), [("all", [10.0, 20.0, 95.0]), ("once", [95.0]), ("skip", [95.0])])
def test_the_policy_selects_the_missed_times_to_run(policy, expected):
    assert times.caught_up([10.0, 20.0, 95.0], policy, now=100.0, grace=60.0) == expected


def test_skip_leaves_out_late_times():
    assert times.caught_up([10.0, 20.0], "skip", now=100.0, grace=60.0) == []
    assert times.caught_up([], "once", now=100.0, grace=60.0) == []


def test_the_number_of_missed_times_is_limited():
    year = _at("2026-01-01 00:00", ZoneInfo("UTC"))

    due_times = times.due_between("* * * * *", "UTC", year, year + 2 * 86400)

    assert len(due_times) == times.MAX_MISSED
    assert due_times[-1] == year + 2 * 86400


def test_jitter_is_the_same_each_time_and_within_bounds():
    delays = [times.jittered(due, "digits", 300.0) - due for due in (1e9, 1e9 + 60, 1e9 + 120)]

    assert all(0 <= delay < 300 for delay in delays)
    assert len(set(delays)) == 3
    assert times.jittered(1e9, "digits", 300.0) == times.jittered(1e9, "digits", 300.0)
    assert times.jittered(1e9, "digits", 0.0) == 1e9


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90.0), ("5m", 300.0), ("1.5h", 5400.0), ("2d", 172800.0)])
def test_durations_are_read(text, seconds):
    assert times.seconds(text) == seconds


@pytest.mark.parametrize("text", ["5", "m", "-5m", "5 weeks", ""])
def test_an_invalid_duration_is_refused(text):
    with pytest.raises(ConfigError, match="is no duration"):
        times.seconds(text)


@pytest.mark.parametrize("cron", ["0 0 3 * * *", "0 3 * *", "0 3 * * * headrace", "@daily"])
def test_cron_has_exactly_five_fields(cron):
    with pytest.raises(ConfigError, match=f"expected five fields.*found {len(cron.split())}"):
        times.check(cron, "UTC")


@pytest.mark.parametrize("cron", ["", "61 * * * *", "* * * *", "a b c d e", "0 0 31 2 *"])
def test_invalid_fields_are_refused(cron):
    with pytest.raises(ConfigError, match="--cron"):
        times.check(cron, "UTC")


def test_an_unknown_time_zone_is_refused():
    with pytest.raises(ConfigError, match="no time zone Europe/Berlln"):
        times.check("0 3 * * *", "Europe/Berlln")
